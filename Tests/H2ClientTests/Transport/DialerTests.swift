import CNghttp2
import Dispatch
import Foundation
import H2ClientTesting
import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn, .timeLimit(.minutes(5))) struct DialerTests {
    // MARK: - RFC 8305 section 4

    private func addresses(_ names: String) -> [SocketAddress] {
        names.split(separator: " ").map { name in
            SocketAddress(bytes: Array(name.utf8), family: name.hasPrefix("6") ? AF_INET6 : AF_INET)
        }
    }

    @Test(arguments: [
        ("", ""), ("4a 4b 4c", "4a 4b 4c"), ("6a 6b 4a 4b", "6a 4a 6b 4b"), ("4a 6a 6b 6c", "4a 6a 6b 6c"),
        ("6a 6b 6c 4a", "6a 4a 6b 6c"), ("4a 4b 6a", "4a 6a 4b"), ("6a 4a 4b 6b", "6a 4a 6b 4b"),
    ])
    func `Address families take turns, the resolver's first choice first`(given: String, expected: String) {
        let result = Dialer.interleaved(addresses(given)).map { String(decoding: $0.bytes, as: UTF8.self) }
        #expect(result.joined(separator: " ") == expected)
    }

    // MARK: - Dialing

    private func trusting(
        _ server: OriginServer, _ change: (inout ConnectionConfiguration) -> Void = { _ in }
    ) throws -> (
        ConnectionConfiguration, TLSContext
    ) {
        try H2ClientTests.trusting(try #require(server.caPEM), change)
    }

    private func cleartext(_ change: (inout OriginServer.Configuration) -> Void = { _ in }) throws -> OriginServer {
        var configuration = OriginServer.Configuration()
        configuration.security = .cleartext
        change(&configuration)
        return try OriginServer.start(configuration)
    }

    @Test func `A cleartext connection tells its addresses and no TLS`() async throws {
        let server = try cleartext()
        defer { server.stopNow() }
        let reached = try await dial(server.url)
        #expect(reached.info.remoteAddress == "127.0.0.1:\(server.port)")
        #expect(reached.info.localAddress.hasPrefix("127.0.0.1:"))
        #expect(reached.info.tlsVersion == nil)
        #expect(reached.applicationProtocol == .cleartext)
    }

    @Test func `An address that refuses is followed by the next`() async throws {
        let server = try cleartext()
        defer { server.stopNow() }
        // Where `localhost` is ::1 first, that refuses: the origin listens on 127.0.0.1 alone.
        let reached = try await dial("http://localhost:\(server.port)")
        #expect(reached.info.remoteAddress == "127.0.0.1:\(server.port)")
    }

    @Test func `A host that does not answer ends in a time-out of connecting`() async throws {
        let silent = try SilentPort()
        var configuration = ConnectionConfiguration()
        configuration.timeouts.connect = .milliseconds(100)
        let error = await #expect(throws: H2Error.self) {
            _ = try await dial("http://127.0.0.1:\(silent.number)", configuration)
        }
        #expect(error?.code == .timeout)
        #expect(error?.cause == .timeout(.connect, after: .milliseconds(100)))
        #expect(error?.isRetryable == true)
    }

    /// A resolver that knows these ports of 127.0.0.1 for any name.
    private func resolver(_ ports: [Int]) -> Resolver {
        Resolver { _, _ in
            .success(
                ports.flatMap {
                    (try? Resolver.addresses(host: "127.0.0.1", port: $0, flags: AI_NUMERICHOST).get()) ?? []
                })
        }
    }

    @Test func `An address that does not answer has a head start, and then the next is tried as well`() async throws {
        let silent = try SilentPort()
        let server = try cleartext()
        defer { server.stopNow() }
        var configuration = ConnectionConfiguration()
        configuration.timeouts.connectionAttemptDelay = .milliseconds(60)
        let reached = try await dial(
            "http://two.example:1", configuration, resolver: resolver([silent.number, server.port]))
        #expect(reached.info.remoteAddress == "127.0.0.1:\(server.port)")
        #expect(reached.info.connect >= .milliseconds(60))

        // With a longer head start than there is time, the good one has no turn.
        configuration.timeouts.connectionAttemptDelay = .seconds(60)
        configuration.timeouts.connect = .milliseconds(100)
        let fixed = configuration
        let error = await #expect(throws: H2Error.self) {
            try await dial("http://two.example:1", fixed, resolver: resolver([silent.number, server.port]))
        }
        #expect(error?.cause == .timeout(.connect, after: .milliseconds(100)))
    }

    @Test func `An address that does not answer costs no more than its head start where the next refuses`() async throws
    {
        let silent = try SilentPort()
        let server = try cleartext()
        let gone = try cleartext()
        let goneAt = gone.port
        await gone.stop()
        defer { server.stopNow() }
        var configuration = ConnectionConfiguration()
        configuration.timeouts.connectionAttemptDelay = .milliseconds(20)
        let reached = try await dial(
            "http://three.example:1", configuration, resolver: resolver([silent.number, goneAt, server.port]))
        #expect(reached.info.remoteAddress == "127.0.0.1:\(server.port)")
    }

    /// Answers when it is told to, and never begins before.
    ///
    /// Invariant behind `@unchecked Sendable`: touched on the loop's thread alone.
    private final class LateResolver: NameResolver, @unchecked Sendable {
        struct Query: NameQuery { func cancel() {} }
        let wait: UInt64
        init(wait: UInt64) { self.wait = wait }
        func resolve(
            host: String, port: Int, on loop: H2EventLoop, began: (@Sendable () -> Void)?,
            completion: @escaping @Sendable (Result<[SocketAddress], H2Error>) -> Void
        ) -> (any NameQuery)? {
            _ = loop.schedule(after: wait) {
                began?()
                _ = loop.schedule(after: 1_000_000) {
                    completion(Resolver.addresses(host: "127.0.0.1", port: port, flags: AI_NUMERICHOST))
                }
            }
            return Query()
        }
    }

    @Test func `The limit of a look-up counts from when it runs, and that of the whole from the beginning`()
        async throws
    {
        let server = try cleartext()
        defer { server.stopNow() }
        var configuration = ConnectionConfiguration()
        configuration.timeouts.resolve = .milliseconds(200)
        configuration.resolver = HostResolver(LateResolver(wait: 500_000_000))
        let reached = try await dial("http://a-name.example:\(server.port)", configuration)
        #expect(reached.info.remoteAddress == "127.0.0.1:\(server.port)")
        #expect(reached.info.resolve >= .milliseconds(500))
        configuration.timeouts.establish = .milliseconds(100)
        let fixed = configuration
        let error = await #expect(throws: H2Error.self) {
            try await dial("http://a-name.example:\(server.port)", fixed)
        }
        #expect(error?.cause == .timeout(.resolve, after: .milliseconds(100)))
    }

    @Test func `A look-up that takes too long is a timeout of that phase`() async throws {
        let isOver = DispatchSemaphore(value: 0)
        let resolver = Resolver { _, _ in
            isOver.wait()
            return .success([])
        }
        var configuration = ConnectionConfiguration()
        configuration.timeouts.resolve = .milliseconds(50)
        let fixed = configuration
        let error = await #expect(throws: H2Error.self) {
            try await dial("http://slow.example", fixed, resolver: resolver)
        }
        #expect(error?.code == .timeout)
        #expect(error?.cause == .timeout(.resolve, after: .milliseconds(50)))
        #expect(error?.isRetryable == true)
        isOver.signal()
    }

    @Test func `TLS chooses h2 and verifies the certificate against a given authority`() async throws {
        let server = try OriginServer.start()
        defer { server.stopNow() }
        let (configuration, tls) = try trusting(server)
        let reached = try await dial("https://localhost:\(server.port)", configuration, tls: tls)
        #expect(reached.applicationProtocol == .chosen("h2"))
        #expect(reached.info.isPeerVerified)
        #expect(reached.info.tlsVersion == "TLSv1.3")
        #expect(reached.info.certificateSubject?.contains("H2ClientTesting") == true)
    }

    @Test func `TLS 1.2 works too`() async throws {
        let server = try OriginServer.start()
        defer { server.stopNow() }
        let (configuration, tls) = try trusting(server) { $0.tls.maximumVersion = .tls12 }
        let reached = try await dial(server.url, configuration, tls: tls)
        #expect(reached.info.tlsVersion == "TLSv1.2")
        #expect(reached.applicationProtocol == .chosen("h2"))
    }

    @Test func `A certificate of another authority is rejected`() async throws {
        let server = try OriginServer.start()
        let stranger = try OriginServer.start()
        defer {
            server.stopNow()
            stranger.stopNow()
        }
        let (configuration, tls) = try trusting(stranger)
        let error = await #expect(throws: H2Error.self) {
            try await dial("https://localhost:\(server.port)", configuration, tls: tls)
        }
        #expect(error?.code == .certificateRejected)
        #expect(error?.scope == .connection)
    }

    @Test func `A certificate for another name is rejected, and the error says so`() async throws {
        let server = try OriginServer.start()
        defer { server.stopNow() }
        let (configuration, tls) = try trusting(server) { $0.tls.serverName = "elsewhere.example" }
        let error = await #expect(throws: H2Error.self) {
            try await dial("https://localhost:\(server.port)", configuration, tls: tls)
        }
        #expect(error?.code == .certificateRejected)
        #expect(error?.certificateFault == .wrongHost)
        #expect(error?.remedy.contains("name") == true)
    }

    @Test func `Verification that is off accepts any certificate, and says that it is not verified`() async throws {
        let server = try OriginServer.start()
        defer { server.stopNow() }
        var configuration = ConnectionConfiguration()
        configuration.tls.verifiesPeer = false
        let reached = try await dial(server.url, configuration, tls: try TLSContext(client: configuration.tls))
        #expect(!reached.info.isPeerVerified)
    }

    @Test func `A server that shares no protocol is a clear error`() async throws {
        let server = try OriginServer.start()
        defer { server.stopNow() }
        var configuration = ConnectionConfiguration()
        configuration.tls.verifiesPeer = false
        let tls = try TLSContext(client: configuration.tls)
        let error = await #expect(throws: H2Error.self) {
            try await dial(server.url, configuration, tls: tls, protocols: ["spdy/1"])
        }
        #expect(error?.code == .tlsFailed)
        #expect(error?.remedy == "the server does not speak 'spdy/1' here")
    }

    // MARK: - Cipher suites

    /// A server of TLS 1.2 alone that has one suite alone.
    private func peer(only suite: String, protocols: [String] = ["h2", "http/1.1"]) throws -> TLSPeer {
        try TLSPeer(protocols: protocols) {
            SSL_CTX_ctrl($0.context, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
            precondition(SSL_CTX_set_cipher_list($0.context, suite) == 1)
        }
    }

    @Test(arguments: ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"])
    func `A TLS 1.2 suite that HTTP/2 allows is spoken`(suite: String) async throws {
        let peer = try peer(only: suite)
        defer { peer.stop() }
        let (configuration, tls) = try trustingAnybody()
        let reached = try await dial(peer.url, configuration, tls: tls)
        #expect(reached.applicationProtocol == .chosen("h2"))
        #expect(reached.info.cipher == suite)
        #expect(reached.info.tlsVersion == "TLSv1.2")
    }

    @Test(arguments: ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"])
    func `A TLS 1.2 suite that HTTP/2 prohibits is not offered with h2 alone, but for HTTP/1.1`(
        suite: String
    ) async throws {
        let peer = try peer(only: suite)
        defer { peer.stop() }
        let (configuration, tls) = try trustingAnybody()
        let error = await #expect(throws: H2Error.self) { try await dial(peer.url, configuration, tls: tls) }
        #expect(error?.code == .tlsFailed)
        let reached = try await dial(peer.url, configuration, tls: tls, protocols: ["http/1.1"])
        #expect(reached.info.cipher == suite)

        // An old server that speaks HTTP/1.1 alone is served, also where h2 would have been welcome.
        let old = try self.peer(only: suite, protocols: ["http/1.1"])
        defer { old.stop() }
        let served = try await dial(old.url, configuration, tls: tls, protocols: ["h2", "http/1.1"])
        #expect(served.applicationProtocol == .chosen("http/1.1"))
        #expect(served.info.cipher == suite)
    }

    @Test func `A server that chooses h2 over a prohibited suite is left`() async throws {
        let peer = try peer(only: "ECDHE-ECDSA-AES128-SHA")
        defer { peer.stop() }
        let (configuration, tls) = try trustingAnybody()
        let error = await #expect(throws: H2Error.self) {
            try await dial(peer.url, configuration, tls: tls, protocols: ["h2", "http/1.1"])
        }
        #expect(error?.code == .tlsFailed)
        #expect(error?.message.contains("ECDHE-ECDSA-AES128-SHA") == true)
    }

    @Test func `Of the suites that OpenSSL has, those are prohibited that RFC 9113 lists`() throws {
        let context = try TLSContext(client: ConnectionConfiguration.TLS())
        #expect(SSL_CTX_set_cipher_list(context.context, "ALL:!PSK:!SRP") == 1)
        let suites = try #require(SSL_CTX_get_ciphers(context.context))
        var seen = 0
        for index in 0..<OPENSSL_sk_num(suites) {
            let suite = OpaquePointer(try #require(OPENSSL_sk_value(suites, index)))
            let name = String(cString: SSL_CIPHER_get_name(suite))
            let isModern = name.hasPrefix("TLS_")
            let isEphemeral = name.hasPrefix("ECDHE-") || name.hasPrefix("DHE-")
            let isAEAD = ["GCM", "CHACHA20", "CCM"].contains { name.contains($0) }
            #expect(
                TLSWire.isProhibited(suite, version: isModern ? TLS1_3_VERSION : TLS1_2_VERSION)
                    == !(isModern || isEphemeral && isAEAD), "\(name)")
            seen += 1
        }
        #expect(seen > 20)
    }

    // MARK: - ALPN

    @Test(arguments: [
        (["h2"], "h2"), (["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"),
    ])
    func `Dials over one TLS context offer each what they are told to`(offered: [String], chosen: String) async throws {
        let peer = try TLSPeer(protocols: ["h2", "http/1.1"])
        defer { peer.stop() }
        let (configuration, tls) = try H2ClientTests.trusting(peer.caPEM)
        let other = try await dial(peer.url, configuration, tls: tls, protocols: ["http/1.1"])
        #expect(other.applicationProtocol == .chosen("http/1.1"))
        let reached = try await dial(peer.url, configuration, tls: tls, protocols: offered)
        #expect(reached.applicationProtocol == .chosen(chosen))
        #expect(reached.info.isPeerVerified)
    }

    @Test func `A server that does not know ALPN has chosen nothing`() async throws {
        let peer = try TLSPeer(protocols: [])
        defer { peer.stop() }
        let (configuration, tls) = try trustingAnybody()
        for offered in [["h2", "http/1.1"], ["http/1.1"], []] {
            let reached = try await dial(peer.url, configuration, tls: tls, protocols: offered)
            #expect(reached.applicationProtocol == .nothing)
        }
    }

    @Test func `A server that chose what was not offered is told apart`() async throws {
        let peer = try TLSPeer(protocols: [], chooseUnoffered)
        defer { peer.stop() }
        let (configuration, tls) = try trustingAnybody()
        do {
            let reached = try await dial(peer.url, configuration, tls: tls, protocols: ["h2", "http/1.1"])
            #expect(reached.applicationProtocol == .unoffered("spdy/1"))
        } catch let error as H2Error {
            // An OpenSSL that looks by itself.
            #expect(error.code == .tlsFailed)
            #expect(error.message.contains("bad extension"))
        }
    }

    @Test func `A server that shares nothing of what was offered is an error that names all of it`() async throws {
        let peer = try TLSPeer(protocols: ["spdy/1"])
        defer { peer.stop() }
        let (configuration, tls) = try trustingAnybody()
        func failure(_ offered: [String]) async -> H2Error? {
            await #expect(throws: H2Error.self) {
                try await dial(peer.url, configuration, tls: tls, protocols: offered)
            }
        }
        let only = await failure(["h2"])
        #expect(only?.code == .http2NotNegotiated)
        #expect(only?.remedy == "the server does not speak 'h2' here; an HTTPClient falls back to HTTP/1.1")
        let both = await failure(["h2", "http/1.1"])
        #expect(both?.code == .http2NotNegotiated)
        #expect(both?.remedy == "the server speaks none of 'h2', 'http/1.1' here")
        let old = await failure(["http/1.1"])
        #expect(old?.code == .tlsFailed)
        #expect(old?.remedy == "the server does not speak 'http/1.1' here")
    }

    @Test func `TLS to a cleartext port is a TLS error`() async throws {
        let server = try cleartext()
        defer { server.stopNow() }
        var configuration = ConnectionConfiguration()
        configuration.tls.verifiesPeer = false
        let tls = try TLSContext(client: configuration.tls)
        let error = await #expect(throws: H2Error.self) {
            try await dial("https://127.0.0.1:\(server.port)", configuration, tls: tls)
        }
        #expect(error?.code == .tlsFailed)
    }

    @Test func `A port that nobody listens on is a retryable error that names address and errno`() async throws {
        let server = try cleartext()
        let port = server.port
        await server.stop()
        let error = await #expect(throws: H2Error.self) { try await dial("http://127.0.0.1:\(port)") }
        #expect(error?.code == .connectFailed)
        #expect(error?.cause == .errno(ECONNREFUSED))
        #expect(error?.isRetryable == true)
        #expect(error?.message.contains("127.0.0.1:\(port)") == true)
    }

    @Test func `A server that never answers the handshake is a timeout of that phase`() async throws {
        let server = try cleartext { $0.faults.isMute = true }
        defer { server.stopNow() }
        var configuration = ConnectionConfiguration()
        configuration.tls.verifiesPeer = false
        configuration.timeouts.tls = .milliseconds(50)
        let tls = try TLSContext(client: configuration.tls)
        let error = await #expect(throws: H2Error.self) {
            try await dial("https://127.0.0.1:\(server.port)", configuration, tls: tls)
        }
        #expect(error?.code == .timeout)
        #expect(error?.cause == .timeout(.tls, after: .milliseconds(50)))
    }

    @Test func `A cancelled dial never completes, not even by its time limit`() async throws {
        let server = try cleartext { $0.faults.isMute = true }
        defer { server.stopNow() }
        var configuration = ConnectionConfiguration()
        configuration.tls.verifiesPeer = false
        configuration.timeouts.tls = .milliseconds(50)
        let tls = try TLSContext(client: configuration.tls)
        let origin = try Origin("https://127.0.0.1:\(server.port)")
        let loop = H2EventLoop()
        let fixed = configuration
        let completions: Int = await withCheckedContinuation { continuation in
            loop.execute {
                final class Count { var value = 0 }
                let count = Count()
                let dialer = Dialer(
                    origin: origin, id: ConnectionID(number: 1), configuration: fixed, tls: tls, loop: loop
                ) { _ in count.value += 1 }
                dialer.start()
                // While the handshake waits; well before its limit, and the look is well after.
                _ = loop.schedule(after: 20_000_000) { dialer.cancel() }
                _ = loop.schedule(after: 120_000_000) { continuation.resume(returning: count.value) }
            }
        }
        #expect(completions == 0)
        loop.shutdown()
    }
}
