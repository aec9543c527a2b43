import CNghttp2
import H2TestSupport
import Testing

@testable import H2Client

/// OCSP staples (RFC 6066 section 8), certificates that promise them (RFC 7633), and revocation lists.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct RevocationTests {
    private static let authority = TestAuthority()
    private static let leaf = authority.leaf()
    private static let delegate = authority.leaf(serial: 9, [(NID_ext_key_usage, "OCSPSigning")])
    private static let stranger = TestAuthority("Stranger")

    /// A staple, and the outcome of the connection.
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var staple: @Sendable () -> [UInt8]?
        var kind: H2Error.CertificateFault.Kind?
        var words = ""

        var testDescription: String { name }

        static let all = [
            Case(name: "none") { nil },
            Case(name: "good") { authority.response(about: leaf) },
            Case(name: "good, by SHA-256") { authority.response(about: leaf, hash: EVP_sha256()) },
            Case(name: "good, by a responder that the authority named") {
                authority.response(about: leaf, signer: delegate)
            },
            Case(name: "good, without an end") { authority.response(about: leaf, until: nil) },
            Case(name: "good, of a clock that is a little fast") { authority.response(about: leaf, from: 120) },
            Case(name: "try later") { TestAuthority.response(OCSP_RESPONSE_STATUS_TRYLATER) },
            Case(name: "unauthorized") { TestAuthority.response(OCSP_RESPONSE_STATUS_UNAUTHORIZED) },
            Case(
                name: "revoked", staple: { authority.response(about: leaf, status: V_OCSP_CERTSTATUS_REVOKED) },
                kind: .revoked, words: "revoked (keyCompromise)"),
            Case(
                name: "revoked, in a response that has expired",
                staple: {
                    authority.response(about: leaf, status: V_OCSP_CERTSTATUS_REVOKED, from: -9_000, until: -4_000)
                }, kind: .revoked, words: "revoked"),
            Case(
                name: "unknown", staple: { authority.response(about: leaf, status: V_OCSP_CERTSTATUS_UNKNOWN) },
                kind: .unknownRevocation, words: "does not know"),
            Case(
                name: "expired", staple: { authority.response(about: leaf, from: -9_000, until: -4_000) },
                kind: .unknownRevocation, words: "expired"),
            Case(
                name: "from the future", staple: { authority.response(about: leaf, from: 4_000, until: 9_000) },
                kind: .unknownRevocation, words: "not yet valid"),
            Case(
                name: "eleven days old, without an end",
                staple: { authority.response(about: leaf, from: -11 * 86_400, until: nil) },
                kind: .unknownRevocation, words: "expired"),
            Case(
                name: "about another certificate", staple: { authority.response(about: authority.leaf(serial: 77)) },
                kind: .unknownRevocation, words: "another certificate"),
            Case(
                name: "by another authority", staple: { stranger.response(about: leaf) },
                kind: .unknownRevocation, words: "not signed"),
            Case(
                name: "signed by another authority",
                staple: { authority.response(about: leaf, signer: stranger.root) },
                kind: .unknownRevocation, words: "not signed"),
            Case(
                name: "signed by the server itself", staple: { authority.response(about: leaf, signer: leaf) },
                kind: .unknownRevocation, words: "not signed"),
            Case(
                name: "garbage", staple: { [1, 2, 3] }, kind: .unknownRevocation, words: "malformed"),
            Case(
                name: "with bytes behind it", staple: { authority.response(about: leaf) + [0] },
                kind: .unknownRevocation, words: "malformed"),
        ]
    }

    private func connect(
        _ leaf: TestAuthority.Leaf, _ staple: [UInt8]?, _ change: (inout ConnectionConfiguration.TLS) -> Void = { _ in }
    ) async throws -> Reached {
        let peer = try TLSPeer(protocols: ["h2"], present(leaf, staple: staple))
        defer { peer.stop() }
        var configuration = ConnectionConfiguration()
        configuration.tls.roots = [.pem(Self.authority.root.pem)]
        change(&configuration.tls)
        return try await dial(peer.url, configuration, tls: TLSContext(client: configuration.tls))
    }

    private func fault(
        _ leaf: TestAuthority.Leaf, _ staple: [UInt8]?, _ change: (inout ConnectionConfiguration.TLS) -> Void = { _ in }
    ) async throws -> H2Error.CertificateFault? {
        do {
            #expect(try await connect(leaf, staple, change).info.tlsVersion != nil)
            return nil
        } catch let error as H2Error {
            #expect(error.code == .certificateRejected, "\(error)")
            #expect(!error.remedy.isEmpty)
            guard case .certificate(let fault) = error.cause else {
                Issue.record("\(error)")
                return nil
            }
            #expect(error.message.contains(fault.reason))
            return fault
        }
    }

    @Test(arguments: Case.all, [ConnectionConfiguration.TLS.Version.tls12, .tls13])
    func `A staple is believed if it is good, and otherwise rejects the certificate`(
        _ a: Case, version: ConnectionConfiguration.TLS.Version
    ) async throws {
        let found = try await fault(Self.leaf, a.staple()) { $0.maximumVersion = version }
        #expect(found?.kind == a.kind, "\(String(describing: found))")
        if let found { #expect(found.reason.contains(a.words), "\(found.reason)") }
    }

    @Test(arguments: [ConnectionConfiguration.TLS.Version.tls12, .tls13])
    func `A certificate that promises a staple needs one`(version: ConnectionConfiguration.TLS.Version) async throws {
        let leaf = Self.authority.mustStapleLeaf()
        for staple in [nil, TestAuthority.response(OCSP_RESPONSE_STATUS_TRYLATER)] {
            let found = try await fault(leaf, staple) { $0.maximumVersion = version }
            #expect(found?.kind == .unknownRevocation)
            #expect(found?.reason.contains("promises") == true)
        }
        #expect(try await fault(leaf, Self.authority.response(about: leaf)) { $0.maximumVersion = version } == nil)
        #expect(try await fault(leaf, nil) { $0.stapling = .ignored } == nil)
        #expect(try await fault(leaf, nil) { $0.verifiesPeer = false } == nil)
    }

    @Test func `The staple of an intermediate authority's certificate is signed by that authority`() async throws {
        let intermediate = TestAuthority("Intermediate", issuer: Self.authority)
        let leaf = intermediate.leaf()
        let delegate = intermediate.leaf(serial: 9, [(NID_ext_key_usage, "OCSPSigning")])
        let cases: [(staple: [UInt8], kind: H2Error.CertificateFault.Kind?)] = [
            (intermediate.response(about: leaf), nil), (intermediate.response(about: leaf, signer: delegate), nil),
            (intermediate.response(about: leaf, status: V_OCSP_CERTSTATUS_REVOKED), .revoked),
            // Neither the root nor its delegates may speak for it.
            (intermediate.response(about: leaf, signer: Self.authority.root), .unknownRevocation),
            (intermediate.response(about: leaf, signer: Self.delegate), .unknownRevocation),
        ]
        for (staple, kind) in cases {
            let peer = try TLSPeer(protocols: ["h2"], present(leaf, intermediate.root, staple: staple))
            defer { peer.stop() }
            for root in [Self.authority.root, intermediate.root] {
                let (configuration, tls) = try trusting(root.pem)
                do {
                    _ = try await dial(peer.url, configuration, tls: tls)
                    #expect(kind == nil)
                } catch let error as H2Error {
                    #expect(error.certificateFault == kind, "\(error)")
                    #expect(error.code == .certificateRejected)
                }
            }
        }
    }

    @Test func `A staple can be required`() async throws {
        #expect(try await fault(Self.leaf, nil) { $0.stapling = .required }?.kind == .unknownRevocation)
        let good = Self.authority.response(about: Self.leaf)
        #expect(try await fault(Self.leaf, good) { $0.stapling = .required } == nil)
    }

    @Test func `Without a check no staple is asked for`() async throws {
        let revoked = Self.authority.response(about: Self.leaf, status: V_OCSP_CERTSTATUS_REVOKED)
        #expect(try await fault(Self.leaf, revoked) { $0.stapling = .ignored } == nil)
        #expect(try await fault(Self.leaf, revoked) { $0.verifiesPeer = false } == nil)
        // It is trusted itself, so nobody else's word counts.
        #expect(try await fault(Self.leaf, revoked) { $0.roots = [.pem(Self.leaf.pem)] } == nil)
    }

    @Test(arguments: [ConnectionConfiguration.TLS.Version.tls12, .tls13])
    func `A session of a certificate with a staple is resumed`(
        version: ConnectionConfiguration.TLS.Version
    ) async throws {
        let leaf = Self.authority.mustStapleLeaf()
        let staple = Self.authority.response(about: leaf)
        let peer = try TLSPeer(protocols: ["h2"], greeting: "hello", present(leaf, staple: staple))
        defer { peer.stop() }
        var configuration = ConnectionConfiguration()
        configuration.tls.roots = [.pem(Self.authority.root.pem)]
        configuration.tls.maximumVersion = version
        configuration.tls.stapling = .required
        let tls = try TLSContext(client: configuration.tls)
        var resumed: [Bool] = []
        for _ in 0..<3 { resumed.append(try await visit(peer.url, configuration, tls).info.isTLSResumed) }
        #expect(resumed == [false, true, true])
    }

    // MARK: - Revocation lists

    @Test func `A revocation list rejects what it lists, and nothing else`() async throws {
        let authority = Self.authority
        for serials in [[], [3], [2, 3]] {
            let found = try await fault(Self.leaf, nil) {
                $0.revocationLists = [.pem(authority.list(revoking: serials))]
            }
            #expect(found?.kind == (serials.contains(2) ? .revoked : nil))
        }
    }

    @Test func `A revocation list that is missing, expired or another authority's rejects everything`() async throws {
        let lists = [
            Self.stranger.list(revoking: []), Self.authority.list(revoking: [], from: -9_000, until: -4_000),
            Self.authority.list(revoking: [], from: 4_000, until: 9_000),
        ]
        for list in lists {
            let found = try await fault(Self.leaf, nil) { $0.revocationLists = [.pem(list)] }
            #expect(found?.kind == .unknownRevocation, "\(String(describing: found))")
        }
    }
}
