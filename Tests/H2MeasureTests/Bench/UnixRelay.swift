import H2Platform
import H2TestSupport
import Synchronization

@testable import H2Client

/// Takes one connection to a Unix domain socket, and carries its bytes to and from a port on loopback.
///
/// Invariant behind `@unchecked Sendable`: the descriptor is set once, and shut down by its owner.
final class UnixRelay: @unchecked Sendable {
    private let listener: CInt
    private let hasEnded = Atomic<Bool>(false)

    init(path: String, to port: Int) throws {
        guard let address = SocketAddress(path: path) else { throw ProcessFailure("no address for \(path)") }
        let listener = socket(AF_UNIX, streamSocketType, 0)
        self.listener = listener
        guard address.withSockaddr({ bind(listener, $0, $1) }) == 0, listen(listener, 4) == 0 else {
            close(listener)
            throw ProcessFailure("cannot listen at \(path): \(String(cString: strerror(errno)))")
        }
        let status = startDetachedThread { [self] in
            Self.run(listener, port)
            hasEnded.store(true, ordering: .releasing)
        }
        guard status == 0 else { throw ProcessFailure("cannot start a thread") }
    }

    /// Ends the wait for a connection. One that is there ends with its peers, which is waited for.
    func stop() {
        shutdown(listener, CInt(SHUT_RDWR))
        _ = becomes { hasEnded.load(ordering: .acquiring) }
        close(listener)
    }

    private static func run(_ listener: CInt, _ port: Int) {
        let client = accept(listener, nil, nil)
        guard client >= 0 else { return }
        defer { close(client) }
        let server = socket(AF_INET, streamSocketType, 0)
        defer { close(server) }
        guard case .success(let addresses) = Resolver.addresses(host: "127.0.0.1", port: port, flags: AI_NUMERICHOST),
            addresses[0].withSockaddr({ connect(server, $0, $1) }) == 0
        else { return }
        var ends = [
            pollfd(fd: client, events: Int16(POLLIN), revents: 0),
            pollfd(fd: server, events: Int16(POLLIN), revents: 0),
        ]
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while poll(&ends, 2, 60_000) > 0 {
            for (from, to) in [(0, 1), (1, 0)] where ends[from].revents != 0 {
                let count = recv(ends[from].fd, &buffer, buffer.count, 0)
                guard count > 0 else { return }
                var sent = 0
                while sent < count {
                    let part = buffer[sent..<count].withUnsafeBytes {
                        send(ends[to].fd, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
                    }
                    guard part > 0 else { return }
                    sent += part
                }
            }
        }
    }
}
