import Foundation
import H2Platform
import Testing

/// A server made of one accepted blocking socket and hand-written frames, whose steps a test writes down.
///
/// Every accept, read and write ends after a minute at the latest: where all suites run at once on two cores, tasks wait for
/// long before they run. The connection ends with the script.
final class PuppetServer: @unchecked Sendable {
    // Invariant behind `@unchecked Sendable`: only the one thread that `play` starts touches what changes.

    typealias Frame = RawPeer.Frame

    let port: Int
    private let listener: CInt
    private var descriptor: CInt = -1
    private var buffer: [UInt8] = []

    init() throws {
        listener = socket(AF_INET, streamSocketType | CInt(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let socket = listener
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(socket, address, length) == 0 && listen(socket, 8) == 0
                    ? getsockname(socket, address, &length) : -1
            }
        }
        if status != 0 { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        port = Int(UInt16(bigEndian: address.sin_port))
        limit(listener)
    }

    deinit {
        hangUp()
        close(listener)
    }

    private func limit(_ socket: CInt) {
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Plays `script` on a thread of its own, for the next client; settings are sent and acknowledged first.
    func play(settings: [UInt8] = [], _ script: @escaping @Sendable (PuppetServer) -> Void) {
        Thread.detachNewThread { [self] in
            descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            limit(descriptor)
            guard read(24) != nil else { return }
            send(RawPeer.frame(4, settings) + RawPeer.frame(4, flags: 1))
            script(self)
            hangUp()
        }
    }

    /// Plays `script` for the next client, which speaks HTTP/1.1.
    func playHTTP1(_ script: @escaping @Sendable (PuppetServer) -> Void) {
        Thread.detachNewThread { [self] in
            descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            limit(descriptor)
            script(self)
            hangUp()
        }
    }

    static func setting(_ id: UInt8, _ value: UInt32) -> [UInt8] { [0, id] + RawPeer.bytes(value) }

    func hangUp() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    // MARK: - Sending

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

    func head(_ stream: UInt32, _ status: String = "200", _ fields: [(String, String)] = [], ends: Bool = false) {
        var block = RawPeer.field(":status", status)
        for (name, value) in fields { block += RawPeer.field(name, value) }
        send(RawPeer.frame(1, flags: ends ? 5 : 4, stream: stream, block))
    }

    // MARK: - Receiving

    func read(_ count: Int) -> [UInt8]? {
        while buffer.count < count {
            var chunk = [UInt8](repeating: 0, count: 65_536)
            let got = recv(descriptor, &chunk, chunk.count, 0)
            guard got > 0 else { return nil }
            buffer += chunk[..<got]
        }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    /// The next head of an HTTP/1.1 request; nil at the end or after a minute of nothing.
    func nextHead() -> String? {
        var head: [UInt8] = []
        while let byte = read(1) {
            head += byte
            if head.suffix(4).elementsEqual("\r\n\r\n".utf8) { return String(decoding: head, as: UTF8.self) }
        }
        return nil
    }

    /// The next frame of a type (any by default), others skipped; nil at the end or after a minute of nothing.
    func next(_ type: UInt8? = nil) -> Frame? {
        while let header = read(9) {
            let count = Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
            guard let payload = read(count) else { return nil }
            let frame = Frame(
                type: header[3], flags: header[4], stream: header[5..<9].reduce(0) { $0 << 8 | UInt32($1) },
                payload: payload)
            if type == nil || frame.type == type { return frame }
        }
        return nil
    }
}

/// Hands one value from a thread to a test.
final class Mailbox<Value: Sendable>: @unchecked Sendable {
    // Invariant behind `@unchecked Sendable`: `value` is touched under the lock alone.
    private let lock = NSLock()
    private var value: Value?

    func put(_ value: Value) { lock.withLock { self.value = value } }
    private func peek() -> Value? { lock.withLock { value } }
    var isFull: Bool { peek() != nil }

    /// The value, once it is there; nil after a minute.
    func take() async -> Value? {
        for _ in 0..<6_000 {
            if let value = peek() { return value }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return nil
    }
}

/// Runs `operation`, which has to end within a minute, whatever it throws; nil where it did not end.
func ending<R: Sendable>(_ operation: @escaping @Sendable () async throws -> R) async -> Result<R, any Error>? {
    let box = Mailbox<Result<R, any Error>>()
    let task = Task.detached {
        do { box.put(.success(try await operation())) } catch { box.put(.failure(error)) }
    }
    let result = await box.take()
    task.cancel()
    return result
}
