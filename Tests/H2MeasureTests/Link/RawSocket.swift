import H2Platform
import Synchronization
import Testing

/// A blocking TCP socket on 127.0.0.1, for what no HTTP client would do. Each call ends after a minute at the latest.
final class RawSocket: Sendable {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// What a read came to.
    enum Read: Equatable {
        case bytes([UInt8])
        case end
        case failed(CInt)
    }

    let descriptor: CInt

    init(descriptor: CInt) {
        self.descriptor = descriptor
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    static func connect(to port: Int) throws -> RawSocket {
        let made = RawSocket(descriptor: socket(AF_INET, streamSocketType, 0))
        let status = withAddress(port: port) { H2Platform.connect(made.descriptor, $0, $1) }
        guard status == 0 else { throw Failure(description: "cannot connect, errno \(errno)") }
        return made
    }

    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                H2Platform.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(description: "cannot send, errno \(errno)") }
            rest = rest.dropFirst(count)
        }
    }

    /// Sends what can be sent within `milliseconds`; returns how many bytes the system took.
    func sendWhatFits(_ bytes: [UInt8], waiting milliseconds: CInt) -> Int {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                H2Platform.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
            if count > 0 {
                sent += count
                continue
            }
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            if poll(&entry, 1, milliseconds) == 0 { break }
        }
        return sent
    }

    func finish() { shutdown(descriptor, CInt(SHUT_WR)) }

    /// Says RST at once: what a connect to nowhere does to a connected socket.
    func reset() {
        var nowhere = sockaddr()
        nowhere.sa_family = sa_family_t(AF_UNSPEC)
        _ = H2Platform.connect(descriptor, &nowhere, socklen_t(MemoryLayout<sockaddr>.size))
    }

    func read() -> Read {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0 { return .failed(errno) }
        return count == 0 ? .end : .bytes(Array(buffer[..<count]))
    }

    func readToEnd() throws -> [UInt8] {
        var all: [UInt8] = []
        while true {
            switch read() {
            case .bytes(let bytes): all += bytes
            case .end: return all
            case .failed(let code): throw Failure(description: "cannot read, errno \(code)")
            }
        }
    }

    func read(exactly count: Int) throws -> [UInt8] {
        var all: [UInt8] = []
        while all.count < count {
            guard case .bytes(let bytes) = read() else { throw Failure(description: "only \(all.count) bytes") }
            all += bytes
        }
        return all
    }

    static func withAddress<R>(port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}

/// A listener on 127.0.0.1 each of whose connections gets a thread.
final class RawServer: Sendable {
    let port: Int
    private let descriptor: CInt

    init(_ serve: @escaping @Sendable (RawSocket) -> Void) throws {
        let descriptor = socket(AF_INET, streamSocketType, 0)
        _ = RawSocket.withAddress(port: 0) { bind(descriptor, $0, $1) }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard status == 0, listen(descriptor, 512) == 0 else {
            throw RawSocket.Failure(description: "cannot listen, errno \(errno)")
        }
        self.descriptor = descriptor
        port = Int(in_port_t(bigEndian: address.sin_port))
        RawThread.start {
            while true {
                let accepted = accept(descriptor, nil, nil)
                guard accepted >= 0 else { return }
                let socket = RawSocket(descriptor: accepted)
                RawThread.start { serve(socket) }
            }
        }
    }

    /// Accepts no more, so that its thread ends.
    func stop() { shutdown(descriptor, CInt(SHUT_RDWR)) }

    deinit {
        stop()
        close(descriptor)
    }
}

enum RawThread {
    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    static func start(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        // The thread owns the work that is retained for it.
        let work = Unmanaged.passRetained(Work(body))
        let status = pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        precondition(status == 0, "cannot start a thread, error \(status)")
        pthread_detach(thread)
    }

    /// Runs what blocks on a thread of its own, so that tasks find a thread of the pool.
    static func run<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            start { continuation.resume(with: Result(catching: body)) }
        }
    }
}
