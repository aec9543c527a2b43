import H2Client
import H2Platform

/// The sockets of a link: all non-blocking, closed in child processes, and without Nagle's delay.
enum LinkSocket {
    /// Listens on 127.0.0.1, on a port that the system chooses.
    static func listen() throws(H2Error) -> (descriptor: CInt, port: Int) {
        let descriptor = new(AF_INET)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                descriptor >= 0 && bind(descriptor, address, length) == 0
                    && H2Platform.listen(descriptor, 1024) == 0 && getsockname(descriptor, address, &length) == 0
            }
        }
        guard isListening else {
            let code = errno
            if descriptor >= 0 { close(descriptor) }
            throw H2Error(
                .localIO, cause: .errno(code),
                message: "cannot listen on 127.0.0.1 for the simulated link: \(describeErrno(code))",
                remedy: "measure without --rtt and --loss, or free some descriptors and ports")
        }
        return (descriptor, Int(in_port_t(bigEndian: address.sin_port)))
    }

    /// Accepts a connection that waits at a listener; nil if there is none, or no descriptor for it: see errno.
    static func accept(_ listener: CInt) -> CInt? {
        let descriptor = H2Platform.accept(listener, nil, nil)
        guard descriptor >= 0 else { return nil }
        prepare(descriptor)
        return descriptor
    }

    /// Begins to connect; the descriptor becomes writable when the result is known. Nil if it could not begin.
    static func connect(to address: SocketAddress) -> CInt? {
        let descriptor = new(address.family)
        guard descriptor >= 0 else { return nil }
        let status = address.bytes.withUnsafeBytes {
            H2Platform.connect(
                descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
        guard status == 0 || errno == EINPROGRESS else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    /// The error that a connect ended with; 0 for none.
    static func error(of descriptor: CInt) -> CInt {
        var error: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno
    }

    /// Makes the next close send a RST rather than a FIN.
    static func willReset(_ descriptor: CInt) {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    private static func new(_ family: CInt) -> CInt {
        let descriptor = socket(family, streamSocketType, 0)
        if descriptor >= 0 { prepare(descriptor) }
        return descriptor
    }

    private static func prepare(_ descriptor: CInt) {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        var yes: CInt = 1
        setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<CInt>.size))
        disableSIGPIPE(descriptor)
    }
}
