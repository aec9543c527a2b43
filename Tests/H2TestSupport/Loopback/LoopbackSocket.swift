import H2Platform

/// Sockets on 127.0.0.1, with errors as exceptions.
enum LoopbackSocket {
    /// Listens on a port that the system chooses.
    static func listen() throws -> (descriptor: CInt, port: Int) {
        let descriptor = try new()
        var address = address(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address -> CInt in
                guard H2Platform.bind(descriptor, address, length) == 0, H2Platform.listen(descriptor, 512) == 0 else {
                    return -1
                }
                return getsockname(descriptor, address, &length)
            }
        }
        guard status == 0 else { throw failed(descriptor, "cannot listen") }
        return (descriptor, Int(in_port_t(bigEndian: address.sin_port)))
    }

    /// Connects, blocking.
    /// - Parameter receiveBuffer: bytes that the system may hold for it; nil for the usual.
    static func connect(to port: Int, receiveBuffer: CInt? = nil) throws -> CInt {
        let descriptor = try new()
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<CInt>.size))
        }
        guard connect(descriptor, to: port) == 0 else { throw failed(descriptor, "cannot connect") }
        return descriptor
    }

    /// Begins to connect; whether it could is told when the descriptor becomes writable.
    static func connectLater(to port: Int) throws -> CInt {
        let descriptor = try new()
        makeNonblocking(descriptor)
        guard connect(descriptor, to: port) == 0 || errno == EINPROGRESS else {
            throw failed(descriptor, "cannot connect")
        }
        return descriptor
    }

    /// A connection that waits at a listener, or nil where there is none after all.
    static func accept(_ listener: CInt) -> CInt? {
        let descriptor = H2Platform.accept(listener, nil, nil)
        guard descriptor >= 0 else { return nil }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        sendAtOnce(descriptor)
        return descriptor
    }

    static func makeNonblocking(_ descriptor: CInt) {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    /// Ends a connection by a RST.
    static func reset(_ descriptor: CInt) {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<H2Platform.linger>.size))
        close(descriptor)
    }

    /// The two ends of a pipe that wakes a thread out of poll.
    static func wakePipe() throws -> (reading: CInt, writing: CInt) {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw ProcessFailure("cannot make a pipe: errno \(errno)") }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            makeNonblocking(end)
        }
        return (ends[0], ends[1])
    }

    private static func new() throws -> CInt {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw ProcessFailure("no socket: \(String(cString: strerror(errno)))") }
        sendAtOnce(descriptor)
        return descriptor
    }

    private static func connect(_ descriptor: CInt, to port: Int) -> CInt {
        var address = address(port: port)
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                H2Platform.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// The error for errno. Closes the descriptor.
    private static func failed(_ descriptor: CInt, _ what: String) -> ProcessFailure {
        let error = errno
        close(descriptor)
        return ProcessFailure("\(what): \(errnoText(error))")
    }

    /// Scripts cut responses in pieces, which the system must not put together again.
    private static func sendAtOnce(_ descriptor: CInt) {
        var yes: CInt = 1
        setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<CInt>.size))
    }

    private static func address(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        return address
    }
}
