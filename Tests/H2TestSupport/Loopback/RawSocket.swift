import CNghttp2
import H2Platform

/// A blocking TCP socket on 127.0.0.1, for what no HTTP client would do. Each call ends after a minute at the latest.
package final class RawSocket: Sendable {

    /// The result of a read.
    package enum Read: Equatable, Sendable {
        case bytes([UInt8])
        case end
        case failed(CInt)
    }

    package let descriptor: CInt

    package init(descriptor: CInt) {
        self.descriptor = descriptor
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// - Parameter receiveBuffer: bytes that the system may hold for it; nil for the usual.
    package static func connect(to port: Int, receiveBuffer: CInt? = nil) throws -> RawSocket {
        RawSocket(descriptor: try LoopbackSocket.connect(to: port, receiveBuffer: receiveBuffer))
    }

    package func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                H2Platform.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw ProcessFailure("cannot send, errno \(errno)") }
            rest = rest.dropFirst(count)
        }
    }

    /// Sends what can be sent within `milliseconds`; returns how many bytes the system took.
    package func sendWhatFits(_ bytes: [UInt8], waiting milliseconds: CInt) -> Int {
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

    package func finish() { shutdown(descriptor, CInt(SHUT_WR)) }

    /// Says RST at once: what a connect to nowhere does to a connected socket.
    package func reset() {
        var nowhere = sockaddr()
        nowhere.sa_family = sa_family_t(AF_UNSPEC)
        _ = H2Platform.connect(descriptor, &nowhere, socklen_t(MemoryLayout<sockaddr>.size))
    }

    package func read(upTo most: Int = 64 << 10) -> Read {
        var buffer = [UInt8](repeating: 0, count: most)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0 { return .failed(errno) }
        return count == 0 ? .end : .bytes(Array(buffer[..<count]))
    }

    package func readToEnd() throws -> [UInt8] {
        var all: [UInt8] = []
        while true {
            switch read() {
            case .bytes(let bytes): all += bytes
            case .end: return all
            case .failed(let code): throw ProcessFailure("cannot read, errno \(code)")
            }
        }
    }

    package func read(exactly count: Int) throws -> [UInt8] {
        var all: [UInt8] = []
        while all.count < count {
            guard case .bytes(let bytes) = read() else { throw ProcessFailure("only \(all.count) bytes") }
            all += bytes
        }
        return all
    }
}

/// A listener on 127.0.0.1 each of whose connections gets a thread.
package final class RawServer: Sendable {
    package let port: Int
    private let descriptor: CInt

    package init(_ serve: @escaping @Sendable (RawSocket) -> Void) throws {
        let (descriptor, port) = try LoopbackSocket.listen()
        (self.descriptor, self.port) = (descriptor, port)
        RawThread.start {
            while let accepted = LoopbackSocket.accept(descriptor) {
                let socket = RawSocket(descriptor: accepted)
                RawThread.start { serve(socket) }
            }
        }
    }

    /// Accepts no more, so that its thread ends.
    package func stop() { shutdown(descriptor, CInt(SHUT_RDWR)) }

    deinit {
        stop()
        close(descriptor)
    }
}

package enum RawThread {
    package static func start(_ body: @escaping @Sendable () -> Void) {
        let status = startDetachedThread(body)
        precondition(status == 0, "cannot start a thread, error \(status)")
    }

    /// Runs what blocks on a thread of its own, so that tasks find a thread of the pool.
    package static func run<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            start { continuation.resume(with: Result(catching: body)) }
        }
    }
}
