import CNghttp2
import H2ClientTesting
import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

/// TLS sessions that are resumed (RFC 8446 section 2.2), and those that must not be.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct TLSResumptionTests {
    @Test(arguments: [ConnectionConfiguration.TLS.Version.tls12, .tls13])
    func `A second connection resumes the session of the first`(
        version: ConnectionConfiguration.TLS.Version
    ) async throws {
        let server = try OriginServer.start()
        defer { server.stopNow() }
        let (configuration, tls) = try trusting(try #require(server.caPEM)) { $0.tls.maximumVersion = version }
        var resumed: [Bool] = []
        for _ in 0..<4 {
            let reached = try await visit(server.url, configuration, tls)
            #expect(reached.applicationProtocol == .chosen("h2"))
            // As if the certificate had been sent.
            #expect(reached.info.isPeerVerified)
            #expect(reached.info.certificateSubject?.contains("H2ClientTesting") == true)
            #expect(reached.info.tlsVersion == (version == .tls12 ? "TLSv1.2" : "TLSv1.3"))
            resumed.append(reached.info.isTLSResumed)
        }
        #expect(resumed == [false, true, true, true])
    }

    @Test func `A ticket of TLS 1.3 is used once, one of TLS 1.2 again`() async throws {
        let server = try OriginServer.start()
        defer { server.stopNow() }
        for (version, left) in [(ConnectionConfiguration.TLS.Version.tls13, 1), (.tls12, 1)] {
            let (configuration, tls) = try trustingAnybody { $0.tls.maximumVersion = version }
            _ = try await visit(server.url, configuration, tls)
            let sessions = try #require(tls.sessions)
            #expect(sessions.count == (version == .tls13 ? 2 : 1))
            let key = TLSSessionCache.Key(
                serverName: try Origin(server.url).host, port: server.port, protocols: ["h2"])
            let session = try #require(sessions.take(for: key))
            SSL_SESSION_free(session.session)
            #expect(sessions.count == left)
        }
    }

    @Test func `A resumed connection's certificate is still valid for its names`() async throws {
        let server = try OriginServer.start()
        defer { server.stopNow() }
        let (configuration, tls) = try trusting(try #require(server.caPEM))
        _ = try await visit(server.url, configuration, tls)
        let reached = try await dial(server.url, configuration, tls: tls) { connected, _, done in
            #expect(connected.wire.isCertificateValid(for: "localhost"))
            #expect(!connected.wire.isCertificateValid(for: "elsewhere.example"))
            done()
        }
        #expect(reached.info.isTLSResumed)
    }

    @Test func `Unverified and verified connections never share a session`() async throws {
        let server = try OriginServer.start()
        defer { server.stopNow() }
        let (lax, anybody) = try trustingAnybody()
        let (strict, trusted) = try trusting(try #require(server.caPEM))
        let stranger = try OriginServer.start()
        defer { stranger.stopNow() }
        let (wrong, mistrusting) = try trusting(try #require(stranger.caPEM))
        #expect(try await !visit(server.url, lax, anybody).info.isTLSResumed)
        #expect(try await visit(server.url, lax, anybody).info.isTLSResumed)
        let first = try await visit(server.url, strict, trusted)
        #expect(!first.info.isTLSResumed && first.info.isPeerVerified)
        #expect(try await visit(server.url, strict, trusted).info.isTLSResumed)
        let error = await #expect(throws: H2Error.self) { try await visit(server.url, wrong, mistrusting) }
        #expect(error?.code == .certificateRejected)
        #expect(mistrusting.sessions?.count == 0)
    }

    @Test func `A session is not resumed for another name, port or offer`() async throws {
        let names = ["localhost", "127.0.0.1", "other.example"]
        let peer = try TLSPeer(protocols: ["h2", "http/1.1"], names: names, greeting: "hello")
        defer { peer.stop() }
        let (configuration, tls) = try trusting(peer.caPEM)
        _ = try await visit(peer.url, configuration, tls)
        var elsewhere = configuration
        elsewhere.tls.serverName = "other.example"
        #expect(try await !visit(peer.url, elsewhere, tls).info.isTLSResumed)
        #expect(try await !visit("https://localhost:\(peer.port)", configuration, tls).info.isTLSResumed)
        var moved = configuration
        moved.connectTo = .init(host: "127.0.0.1", port: peer.port)
        #expect(try await !visit("https://127.0.0.1:1", moved, tls).info.isTLSResumed)
        #expect(try await !visit(peer.url, configuration, tls, protocols: ["http/1.1"]).info.isTLSResumed)
        #expect(try await visit(peer.url, configuration, tls).info.isTLSResumed)

        // A name that the certificate does not have is refused, whatever was verified before.
        elsewhere.tls.serverName = "third.example"
        let fixed = elsewhere
        let error = await #expect(throws: H2Error.self) { try await visit(peer.url, fixed, tls) }
        #expect(error?.code == .certificateRejected)
    }

    @Test func `A server that does not know the ticket shakes hands in full`() async throws {
        let one = try TLSPeer(protocols: ["h2"], greeting: "hello")
        let two = try TLSPeer(protocols: ["h2"], greeting: "hello")
        defer {
            one.stop()
            two.stop()
        }
        let (base, tls) = try trustingAnybody()
        func at(_ peer: TLSPeer) async throws -> Bool {
            var configuration = base
            configuration.connectTo = .init(host: "127.0.0.1", port: peer.port)
            return try await visit("https://localhost:1", configuration, tls).info.isTLSResumed
        }
        #expect(try await !at(one))
        #expect(try await at(one))
        #expect(try await !at(two))
        #expect(try await at(two))
    }

    @Test func `It can be turned off`() async throws {
        let server = try OriginServer.start()
        defer { server.stopNow() }
        let (configuration, tls) = try trustingAnybody { $0.tls.resumesSessions = false }
        #expect(tls.sessions == nil)
        for _ in 0..<2 { #expect(try await !visit(server.url, configuration, tls).info.isTLSResumed) }
    }

    // MARK: - The cache

    private func key(_ name: String) -> TLSSessionCache.Key {
        TLSSessionCache.Key(serverName: name, port: 443, protocols: ["h2"])
    }

    /// A session that never was, whose number is its identifier.
    private func session(_ number: UInt32, version: CInt = TLS1_3_VERSION, age: Int = 0) throws -> OpaquePointer {
        let session = try #require(SSL_SESSION_new())
        let bytes = withUnsafeBytes(of: number.bigEndian) { Array($0) }
        #expect(SSL_SESSION_set1_id(session, bytes, 4) == 1)
        #expect(SSL_SESSION_set_protocol_version(session, version) == 1)
        _ = SSL_SESSION_set_time(session, time(nil) - age)
        _ = SSL_SESSION_set_timeout(session, 300)
        return session
    }

    private func add(_ cache: TLSSessionCache, _ name: String, _ session: OpaquePointer) {
        cache.add(session, for: key(name), since: .init(time: time(nil)))
        SSL_SESSION_free(session)
    }

    /// The number of the session that is taken.
    private func take(_ cache: TLSSessionCache, _ name: String) -> UInt32? {
        guard let session = cache.take(for: key(name))?.session else { return nil }
        defer { SSL_SESSION_free(session) }
        var length: UInt32 = 0
        guard let bytes = SSL_SESSION_get_id(session, &length), length == 4 else { return nil }
        return (0..<4).reduce(0) { $0 << 8 | UInt32(bytes[$1]) }
    }

    @Test func `The newest session is taken first, and the cache has limits`() throws {
        let cache = TLSSessionCache()
        for number in 0..<20 { add(cache, "a", try session(UInt32(number))) }
        #expect(cache.count == TLSSessionCache.limitOfKey)
        #expect((0..<9).map { _ in take(cache, "a") } == [19, 18, 17, 16, 15, 14, 13, 12, nil])
        for number in 0..<1_000 { add(cache, "h\(number)", try session(UInt32(number))) }
        #expect(cache.count == TLSSessionCache.limit)
        #expect(take(cache, "h999") == 999)
        #expect(take(cache, "h744") == 744)
        #expect(take(cache, "h743") == nil)
        cache.remove(for: key("h998"))
        #expect(take(cache, "h998") == nil)
    }

    @Test func `A session of TLS 1.2 is kept, and replaced by a newer one`() throws {
        let cache = TLSSessionCache()
        add(cache, "a", try session(1, version: TLS1_2_VERSION))
        add(cache, "a", try session(2, version: TLS1_2_VERSION))
        #expect(cache.count == 1)
        #expect((0..<3).map { _ in take(cache, "a") } == [2, 2, 2])
    }

    @Test func `A session is renewed for seven days at most`() throws {
        let cache = TLSSessionCache()
        for (name, age) in [("a", 7 * 86_400 - 60), ("b", 7 * 86_400)] {
            let session = try session(1)
            cache.add(session, for: key(name), since: .init(time: time(nil) - age))
            SSL_SESSION_free(session)
        }
        #expect(take(cache, "a") == 1)
        #expect(take(cache, "b") == nil)
    }

    @Test func `A session that has expired is not taken`() throws {
        let cache = TLSSessionCache()
        add(cache, "a", try session(1))
        add(cache, "a", try session(2, age: 301))
        #expect(take(cache, "a") == 1)
        #expect(cache.count == 0)
    }
}
