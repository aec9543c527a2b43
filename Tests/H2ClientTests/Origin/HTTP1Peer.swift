import Foundation
import H2Platform
import Testing

/// A client of HTTP/1.1 made of a blocking socket: what it sends, no library has checked.
///
/// Every read and write ends after half a minute at the latest.
final class HTTP1Peer {
    struct Answer {
        var status = 0
        var fields: [(name: String, value: String)] = []
        var body: [UInt8] = []
        var trailers: [(name: String, value: String)] = []
        /// Told whole: by its length, its last chunk, or, where nothing else tells, the connection's end.
        var isWhole = false

        subscript(name: String) -> String? { fields.first { $0.name == name }?.value }
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    private let descriptor: CInt
    private var buffer: [UInt8] = []
    private(set) var hasEnded = false
    /// The connection ended by a reset.
    private(set) var wasReset = false

    /// - Parameter receiveBuffer: bytes that the system may hold for it; nil for the usual.
    init(port: Int, receiveBuffer: CInt? = nil) throws {
        descriptor = socket(AF_INET, streamSocketType, 0)
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<CInt>.size))
        }
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var yes: CInt = 1
        setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<CInt>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if status != 0 { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Foundation.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    func get(_ path: String, _ fields: String = "") { send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n") }

    func finishWriting() { shutdown(descriptor, CInt(SHUT_WR)) }

    /// Reads so many bytes at most, and forgets them; false at the connection's end.
    func trickle(_ count: Int) -> Bool {
        var chunk = [UInt8](repeating: 0, count: count)
        return recv(descriptor, &chunk, count, 0) > 0
    }

    private func fill() -> Bool {
        guard !hasEnded else { return false }
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let got = recv(descriptor, &chunk, chunk.count, 0)
        if got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) { Issue.record("nothing came for half a minute") }
        if got < 0 { wasReset = errno == ECONNRESET }
        guard got > 0 else {
            hasEnded = true
            return false
        }
        buffer += chunk[..<got]
        return true
    }

    /// A line without its end; nil at the connection's end.
    private func line() -> String? {
        while true {
            if let feed = buffer.firstIndex(of: 10) {
                let line = buffer[..<feed]
                buffer.removeFirst(feed + 1)
                #expect(line.last == 13)
                return String(decoding: line.dropLast(), as: UTF8.self)
            }
            guard fill() else { return nil }
        }
    }

    private func take(_ count: Int) -> [UInt8]? {
        while buffer.count < count { guard fill() else { return nil } }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    private func fieldLines() -> [(name: String, value: String)]? {
        var fields: [(name: String, value: String)] = []
        while let line = line() {
            if line.isEmpty { return fields }
            guard let colon = line.range(of: ": ") else {
                Issue.record("no field: \(line)")
                return nil
            }
            fields.append((String(line[..<colon.lowerBound]), String(line[colon.upperBound...])))
        }
        return nil
    }

    /// The next response, informational ones included; nil where the connection ends before a whole head.
    func answer(toHead: Bool = false) -> Answer? {
        var answer = Answer()
        guard let first = line() else { return nil }
        #expect(first.hasPrefix("HTTP/1.1 ") && first.utf8.count >= 13)
        answer.status = Int(first.dropFirst(9).prefix(3)) ?? 0
        guard let fields = fieldLines() else { return nil }
        answer.fields = fields
        if toHead || answer.status < 200 || answer.status == 204 || answer.status == 304 {
            answer.isWhole = true
        } else if answer["transfer-encoding"] == "chunked" {
            while let size = line().flatMap({ Int($0, radix: 16) }) {
                if size == 0 {
                    answer.trailers = fieldLines() ?? []
                    answer.isWhole = true
                    break
                }
                guard let chunk = take(size), take(2) == [13, 10] else { break }
                answer.body += chunk
            }
        } else if let length = answer["content-length"].flatMap({ Int($0) }) {
            while buffer.count < length, fill() {}
            answer.isWhole = buffer.count >= length
            answer.body = Array(buffer.prefix(length))
            buffer.removeFirst(min(length, buffer.count))
        } else {
            while fill() {}
            answer.body = buffer
            buffer = []
            answer.isWhole = true
        }
        return answer
    }

    /// Everything up to the connection's end.
    func rest() -> [UInt8] {
        while fill() {}
        defer { buffer = [] }
        return buffer
    }
}
