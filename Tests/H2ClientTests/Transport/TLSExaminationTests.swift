import CNghttp2
import Foundation
import H2Platform
import H2TestSupport
import Synchronization
import Testing

@testable import H2Client

/// Pinned keys and verifiers.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct TLSExaminationTests {
    private static let authority = TestAuthority()
    private static let leaf = authority.leaf()
    private static let stranger = TestAuthority("Stranger")

    private struct Refusal: Error, CustomStringConvertible {
        var description: String { "not this one" }
    }

    private func configuration(
        _ change: (inout ConnectionConfiguration.TLS) -> Void
    ) throws -> (ConnectionConfiguration, TLSContext) {
        try trusting(Self.authority.root.pem) { change(&$0.tls) }
    }

    private func fault(
        _ peer: TLSPeer, _ configuration: ConnectionConfiguration, _ tls: TLSContext
    ) async throws -> H2Error.CertificateFault? {
        let error = await #expect(throws: H2Error.self) { try await visit(peer.url, configuration, tls) }
        #expect(error?.code == .certificateRejected, "\(String(describing: error))")
        guard case .certificate(let fault) = error?.cause else { return nil }
        return fault
    }

    // MARK: - Pins

    private static let versions = [ConnectionConfiguration.TLS.Version.tls12, .tls13]

    @Test(arguments: versions)
    func `A pinned key of the server or its authority is accepted, resumed sessions included`(
        version: ConnectionConfiguration.TLS.Version
    ) async throws {
        let peer = try TLSPeer(protocols: ["h2"], greeting: "hello", present(Self.leaf))
        defer { peer.stop() }
        for pins in [[Self.leaf.pin], [Self.authority.root.pin], [Self.stranger.root.pin, Self.leaf.pin]] {
            let (configuration, tls) = try configuration {
                $0.pinnedKeys = pins
                $0.maximumVersion = version
            }
            #expect(try await !visit(peer.url, configuration, tls).info.isTLSResumed)
            #expect(try await visit(peer.url, configuration, tls).info.isTLSResumed)
        }
    }

    @Test(arguments: versions)
    func `A chain without a pinned key is rejected, and its sessions are not kept`(
        version: ConnectionConfiguration.TLS.Version
    ) async throws {
        let peer = try TLSPeer(protocols: ["h2"], greeting: "hello", present(Self.leaf))
        defer { peer.stop() }
        let (configuration, tls) = try configuration {
            $0.pinnedKeys = [Self.stranger.root.pin]
            $0.maximumVersion = version
        }
        for _ in 0..<2 {
            let found = try await fault(peer, configuration, tls)
            #expect(found?.kind == .pinMismatch)
            #expect(found?.reason.contains(Self.leaf.pin) == true)
            #expect(tls.sessions?.count == 0)
        }
    }

    @Test func `Pins hold without verification, for the server's own certificate`() async throws {
        // Anybody can send an authority's certificate.
        let peer = try TLSPeer(
            protocols: ["h2"], greeting: "hello", present(Self.leaf, Self.authority.root))
        defer { peer.stop() }
        for (pin, isAccepted) in [(Self.leaf.pin, true), (Self.authority.root.pin, false)] {
            let (configuration, tls) = try configuration {
                $0.verifiesPeer = false
                $0.pinnedKeys = [pin]
            }
            if isAccepted {
                #expect(try await !visit(peer.url, configuration, tls).info.isPeerVerified)
            } else {
                #expect(try await fault(peer, configuration, tls)?.kind == .pinMismatch)
            }
        }
    }

    @Test(arguments: [
        "", "sha256//", "sha256/" + leaf.pin.dropFirst(8), String(leaf.pin.dropFirst(8)), leaf.pin + "=",
        String(leaf.pin.dropLast()), "sha256//AAAA", "SHA256//" + leaf.pin.dropFirst(8), leaf.pin + ";" + leaf.pin,
        "sha256//" + String(repeating: "!", count: 44), "\u{1b}[31m",
    ])
    func `A pin that is not one is an invalid configuration`(pin: String) throws {
        var configuration = ConnectionConfiguration()
        configuration.tls.pinnedKeys = [Self.leaf.pin, pin]
        let error = #expect(throws: H2Error.self) { try configuration.validate() }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains("pinnedKeys") == true)
        #expect(error?.message.contains("\u{1b}") == false)
    }

    @Test func `A pin is what openssl and curl compute`() throws {
        let base64 = """
            MIIBcjCCARmgAwIBAgIUfj5X9z8AE6EwSPeqWFZuXb2hBrAwCgYIKoZIzj0EAwIw
            DjEMMAoGA1UEAwwDcGluMCAXDTI2MTEzMDE5NTA0MFoYDzIxMjYxMTA2MTk1MDQw
            WjAOMQwwCgYDVQQDDANwaW4wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATMQVIS
            on+rry+sUNDD5Zspaa4xkKBvxqMbiWYm4Is/8E8baXNQyZummt+VAEKDO7672ZRr
            C3Nms1fQffo0CioNo1MwUTAdBgNVHQ4EFgQUcdlu/urrqwNrMCzl6CJ1UpGu4tUw
            HwYDVR0jBBgwFoAUcdlu/urrqwNrMCzl6CJ1UpGu4tUwDwYDVR0TAQH/BAUwAwEB
            /zAKBggqhkjOPQQDAgNHADBEAiAjrf7lCaryPQt6T66rnH+kEO8lq7AdS6rYD7zI
            FAhspQIgbbSdPoQNU7VBKiFVRlaPjjGxuk6i3DAvOvrTRVi7EIo=
            """
        let der = try #require(Data(base64Encoded: base64, options: .ignoreUnknownCharacters))
        // openssl x509 -in pin.pem -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64
        let pin = "sha256//ojd8I03k4d8izl/PTZ0Gf9gE38R3aoz42rItN1fwW08="
        let certificates = PeerCertificates(encoded: [Array(der)])
        #expect(certificates.pinOfPeer == pin)
        let digest = try #require(ConnectionConfiguration.TLS.digest(ofPin: pin))
        #expect(certificates.contain([digest], isVerified: true))
        #expect(!PeerCertificates(encoded: [[1, 2]]).contain([digest], isVerified: true))
    }

    // MARK: - Verifiers

    private final class Seen: Sendable {
        let chains = Mutex<[ConnectionConfiguration.TLS.PeerChain]>([])
    }

    @Test(arguments: versions)
    func `A verifier sees the verified chain of each connection, resumed ones too`(
        version: ConnectionConfiguration.TLS.Version
    ) async throws {
        let peer = try TLSPeer(protocols: ["h2"], greeting: "hello", present(Self.leaf))
        defer { peer.stop() }
        let seen = Seen()
        let (configuration, tls) = try configuration {
            $0.maximumVersion = version
            $0.verifier = { chain in
                precondition(ch2_current_loop() == nil, "on an event loop")
                seen.chains.withLock { $0.append(chain) }
            }
        }
        for _ in 0..<2 { _ = try await visit(peer.url, configuration, tls) }
        let chains = seen.chains.withLock { $0 }
        #expect(chains.map(\.isResumed) == [false, true])
        for chain in chains {
            #expect(chain.host == "127.0.0.1" && chain.isVerified)
            #expect(chain.certificates.map(\.der) == [Self.leaf.der, Self.authority.root.der])
            let first = try #require(chain.certificates.first)
            #expect(first.subject == "CN = localhost" && first.issuer == "CN = Test CA")
            #expect(first.names == ["localhost", "127.0.0.1", "::1"])
            #expect(first.publicKeyPin == Self.leaf.pin)
        }
    }

    @Test(arguments: versions)
    func `A verifier that throws rejects the connection, with its error as the reason`(
        version: ConnectionConfiguration.TLS.Version
    ) async throws {
        let peer = try TLSPeer(protocols: ["h2"], greeting: "hello", present(Self.leaf))
        defer { peer.stop() }
        let (configuration, tls) = try configuration {
            $0.maximumVersion = version
            $0.verifier = { _ in throw Refusal() }
        }
        for _ in 0..<2 {
            let found = try await fault(peer, configuration, tls)
            #expect(found?.kind == .refused)
            #expect(found?.reason.contains("not this one") == true)
            #expect(tls.sessions?.count == 0)
        }
    }

    @Test func `A verifier makes nothing acceptable`() async throws {
        let peer = try TLSPeer(protocols: ["h2"], present(Self.leaf))
        defer { peer.stop() }
        let (configuration, tls) = try trusting(Self.stranger.root.pem) {
            $0.tls.verifier = { _ in Issue.record("called for a certificate that was not verified") }
        }
        #expect(try await fault(peer, configuration, tls)?.kind == .unknownAuthority)
    }

    @Test func `Without verification a verifier decides alone, and is told so`() async throws {
        let peer = try TLSPeer(protocols: ["h2"], present(Self.leaf))
        defer { peer.stop() }
        let (configuration, tls) = try configuration {
            $0.verifiesPeer = false
            $0.verifier = { chain in
                if chain.isVerified || chain.certificates.first?.der != Self.leaf.der { throw Refusal() }
            }
        }
        _ = try await dial(peer.url, configuration, tls: tls)
    }

    @Test func `A verifier that does not return is inside the handshake's time limit`() async throws {
        let peer = try TLSPeer(protocols: ["h2"], present(Self.leaf))
        defer { peer.stop() }
        let gate = Gate()
        let (base, tls) = try configuration { $0.verifier = { _ in gate.wait() } }
        var configuration = base
        configuration.timeouts.tls = .milliseconds(200)
        let fixed = configuration
        let error = await #expect(throws: H2Error.self) { try await dial(peer.url, fixed, tls: tls) }
        #expect(error?.code == .timeout)
        gate.open()
    }
}

/// Blocks threads until it is opened.
private final class Gate: Sendable {
    private let ends: (CInt, CInt)

    init() {
        var descriptors: [CInt] = [0, 0]
        precondition(pipe(&descriptors) == 0)
        ends = (descriptors[0], descriptors[1])
    }

    func wait() {
        var byte: UInt8 = 0
        _ = read(ends.0, &byte, 1)
    }

    func open() { close(ends.1) }

    deinit { close(ends.0) }
}
