import CNghttp2
import H2ClientTesting
import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

/// What coalescing asks of a connection (RFC 9113 section 9.1.1): for whom its certificate is valid, and where it leads.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct CertificateScopeTests {
    private static let hosts = [
        "localhost", "LOCALHOST", "localhost.", "127.0.0.1", "::1", "a.wild.example", "b.a.wild.example",
        "wild.example",
        "elsewhere.example", "", ".wild.example", "127.0.0.2", "*.wild.example", "H2ClientTesting",
    ]

    /// Those of the hosts above for which a connection's certificate is valid.
    private func valid(
        _ url: String, _ configuration: ConnectionConfiguration, _ tls: TLSContext?
    ) async throws -> [String] {
        let found = Found()
        _ = try await dial(url, configuration, tls: tls) { connected, _, done in
            found.hosts = Self.hosts.filter { connected.wire.isCertificateValid(for: $0) }
            done()
        }
        return found.hosts
    }

    /// Invariant behind `@unchecked Sendable`: set on the loop before the dial ends, read after.
    private final class Found: @unchecked Sendable {
        var hosts: [String] = []
        var isSame = false
    }

    private func peer() throws -> TLSPeer {
        try TLSPeer(protocols: ["h2"], names: ["localhost", "127.0.0.1", "::1", "*.wild.example"])
    }

    @Test func `A verified certificate is valid for its names and addresses alone`() async throws {
        let peer = try peer()
        defer { peer.stop() }
        let (configuration, tls) = try trusting(peer.caPEM)
        #expect(
            try await valid(peer.url, configuration, tls)
                == ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "::1", "a.wild.example", "*.wild.example"])
    }

    @Test func `A certificate that nobody verified is valid for nothing`() async throws {
        let peer = try peer()
        defer { peer.stop() }
        let (configuration, tls) = try trustingAnybody()
        #expect(try await valid(peer.url, configuration, tls) == [])
    }

    @Test func `In cleartext there is no certificate`() async throws {
        var configuration = OriginServer.Configuration()
        configuration.security = .cleartext
        let server = try OriginServer.start(configuration)
        defer { server.stopNow() }
        #expect(try await valid(server.url, ConnectionConfiguration(), nil) == [])
    }

    @Test func `A connection's address is among those that its host resolves to, and no other`() async throws {
        let peer = try peer()
        defer { peer.stop() }
        let (configuration, tls) = try trusting(peer.caPEM)
        let found = Found()
        let port = peer.port
        _ = try await dial("https://localhost:\(port)", configuration, tls: tls) { connected, _, done in
            let addresses = Resolver.addresses(host: "127.0.0.1", port: port, flags: AI_NUMERICHOST)
            found.isSame = (try? addresses.get()) == [connected.remoteAddress]
            #expect(connected.remoteAddress.description == connected.info.remoteAddress)
            done()
        }
        #expect(found.isSame)
    }

    @Test func `Addresses are equal by address, port and zone, whatever else is in them`() throws {
        func address(_ host: String, _ port: Int) throws -> SocketAddress {
            try #require(Resolver.addresses(host: host, port: port, flags: AI_NUMERICHOST).get().first)
        }
        let four = try address("10.0.0.1", 443)
        #expect(try four == address("10.0.0.1", 443))
        #expect(try four != address("10.0.0.2", 443))
        #expect(try four != address("10.0.0.1", 444))
        var padded = four.bytes
        padded[12] = 9
        #expect(four == SocketAddress(bytes: padded, family: AF_INET))
        #expect(Set([four, SocketAddress(bytes: padded, family: AF_INET)]).count == 1)
        let six = try address("2001:db8::1", 443)
        #expect(try six != address("2001:db8::2", 443))
        #expect(try address("::ffff:10.0.0.1", 443) != four)
        var labelled = six.bytes
        labelled[6] = 7
        #expect(six == SocketAddress(bytes: labelled, family: AF_INET6))
        var zoned = six.bytes
        zoned[24] = 1
        #expect(six != SocketAddress(bytes: zoned, family: AF_INET6))
    }
}
