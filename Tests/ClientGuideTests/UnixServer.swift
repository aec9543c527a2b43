import H2Platform
import H2TestSupport

/// Answers one HTTP/1.1 request over a Unix domain socket.
struct UnixServer {
    private let listener: CInt

    init(path: String) throws {
        listener = socket(AF_UNIX, streamSocketType, 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { place in
            guard bytes.count < place.count else { return false }
            place.copyBytes(from: bytes)
            return true
        }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let status = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { H2Platform.bind(listener, $0, length) }
        }
        guard fits, status == 0, listen(listener, 1) == 0 else {
            close(listener)
            throw ProcessFailure("cannot listen at \(path)")
        }
    }

    /// Waits for the request. `stop` ends the wait.
    func serve(_ body: String) {
        let descriptor = accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var head: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            head += buffer[..<count]
        }
        let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
        _ = send(descriptor, answer, answer.count, CInt(MSG_NOSIGNAL))
    }

    func stop() {
        shutdown(listener, CInt(SHUT_RDWR))
        close(listener)
    }
}
