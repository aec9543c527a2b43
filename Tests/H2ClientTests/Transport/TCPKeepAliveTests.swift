import CNghttp2
import H2ClientTesting
import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn, .timeLimit(.minutes(5))) struct TCPKeepAliveTests {
    /// What the system says of a socket: SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT.
    private static func options(_ descriptor: CInt) -> [CInt] {
        func read(_ level: CInt, _ option: CInt) -> CInt {
            var value: CInt = -1
            var length = socklen_t(MemoryLayout<CInt>.size)
            return getsockopt(descriptor, level, option, &value, &length) == 0 ? value : -1
        }
        let tcp = CInt(IPPROTO_TCP)
        return [read(SOL_SOCKET, SO_KEEPALIVE)]
            + [TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT].map { read(tcp, $0) }
    }

    private func dialled(_ configuration: ConnectionConfiguration, https: Bool = false) async throws -> [CInt] {
        var origin = OriginServer.Configuration()
        if !https { origin.security = .cleartext }
        let server = try OriginServer.start(origin)
        defer { server.stopNow() }
        let found = Found()
        let tls = https ? try trustingAnybody().1 : nil
        _ = try await dial(server.url, configuration, tls: tls) { connected, _, done in
            found.options = Self.options((connected.wire as? SocketWire)?.descriptor ?? -1)
            done()
        }
        return found.options
    }

    /// Invariant behind `@unchecked Sendable`: set on the loop before the dial ends, read after.
    private final class Found: @unchecked Sendable { var options: [CInt] = [] }

    @Test(arguments: [false, true]) func `A dialled socket probes a silent peer`(https: Bool) async throws {
        #expect(try await dialled(ConnectionConfiguration(), https: https) == [1, 60, 15, 4, 120_000])
    }

    @Test func `Each option is the configuration's`() async throws {
        var configuration = ConnectionConfiguration()
        configuration.tcpKeepAlive = ConnectionConfiguration.TCPKeepAlive()
        configuration.tcpKeepAlive?.idle = .milliseconds(6_500)
        configuration.tcpKeepAlive?.interval = .seconds(3)
        configuration.tcpKeepAlive?.count = 9
        #expect(try await dialled(configuration) == [1, 7, 3, 9, 34_000])
        configuration.tcpKeepAlive?.userTimeout = .milliseconds(1_234)
        #expect(try await dialled(configuration) == [1, 7, 3, 9, 1_234])
    }

    @Test func `What the system cannot count is as much as it can`() async throws {
        var configuration = ConnectionConfiguration()
        configuration.tcpKeepAlive?.idle = .seconds(1 << 40)
        configuration.tcpKeepAlive?.interval = .zero
        configuration.tcpKeepAlive?.count = 1_000
        configuration.tcpKeepAlive?.userTimeout = .seconds(1 << 40)
        #expect(try await dialled(configuration) == [1, 32_767, 1, 127, .max])
        configuration.tcpKeepAlive?.idle = .seconds(-5)
        configuration.tcpKeepAlive?.count = -1
        configuration.tcpKeepAlive?.userTimeout = .zero
        #expect(try await dialled(configuration) == [1, 1, 1, 1, 1])
    }

    @Test func `Without it the socket has the system's defaults`() async throws {
        let plain = ch2_tcp_socket(AF_INET)
        defer { close(plain) }
        var configuration = ConnectionConfiguration()
        configuration.tcpKeepAlive = nil
        #expect(try await dialled(configuration) == Self.options(plain))
        #expect(Self.options(plain).first == 0)
    }
}
