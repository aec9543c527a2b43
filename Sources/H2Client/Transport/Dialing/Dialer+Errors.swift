import H2Platform

// Why no address could be connected to.

extension Dialer {
    func connectError() -> H2Error {
        if let code = sourceFailure, failures.allSatisfy({ $0.error == code }) { return sourceError(code) }
        let tried = failures.map { "\($0.address): \(describeErrno($0.error))" }.joined(separator: ", ")
        let refused = failures.contains { $0.error == ECONNREFUSED }
        // If this machine has no free sockets, that says nothing about the server.
        let exhausted = failures.lazy.map { exhaustionRemedy($0.error) }.first { !$0.isEmpty }
        let isLocal = exhausted != nil && failures.allSatisfy { !exhaustionRemedy($0.error).isEmpty }
        return H2Error(
            isLocal ? .localIO : .connectFailed, scope: .connection, initiator: isLocal ? .local : .remote,
            cause: failures.last.map { .errno($0.error) } ?? .unknown,
            message: "cannot connect to \(origin): \(tried.isEmpty ? "no address" : tried)",
            remedy: exhausted ?? socketRemedy
                ?? (refused ? "is the server running, and is the port right?" : "is the host reachable from here?"),
            isRetryable: true)
    }

    private func sourceError(_ code: CInt) -> H2Error {
        let local = configuration.local
        let source = [
            local.address, local.interface, local.ports.map { "port \($0.lowerBound) to \($0.upperBound)" },
        ]
        .compactMap { $0 }.joined(separator: ", ")
        let (why, remedy) =
            switch code {
            case ENODEV: ("there is no such interface", "name one that this machine has ('ip link' lists them)")
            case EPERM:
                ("this user may not choose the interface", "Linux 5.7 or newer allows it; else CAP_NET_RAW is needed")
            case EADDRINUSE: ("all of these ports are taken", "allow more ports")
            case EACCES: ("this user may not use these ports", "use ports of 1024 or more")
            case EADDRNOTAVAIL where local.ports != nil && local.address == nil:
                ("all of these ports are taken", "allow more ports")
            case EADDRNOTAVAIL:
                ("this machine does not have it", "name one of this machine's addresses ('ip address' lists them)")
            case EAFNOSUPPORT:
                ("the server has no address of its family", "name an IPv4 address for IPv4, an IPv6 address for IPv6")
            default: (describeErrno(code), "name another address")
            }
        return H2Error(
            .connectFailed, scope: .connection, initiator: .user, cause: .errno(code),
            message: "cannot connect to \(origin) from \(source): \(why)", remedy: remedy)
    }

    /// The remedy for a Unix domain socket, where host-related advice would be wrong.
    private var socketRemedy: String? {
        guard configuration.unixSocketPath != nil else { return nil }
        return switch failures.last?.error {
        case ENOENT, ENOTDIR: "is the path right, and is the server running?"
        case ECONNREFUSED: "the socket is there, but no server listens on it: is it running?"
        case EACCES, EPERM: "may this user write to the socket?"
        case ENOTSOCK, EPROTOTYPE: "is the path that of a stream socket?"
        default: "is the server running?"
        }
    }
}
