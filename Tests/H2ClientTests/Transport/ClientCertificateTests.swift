import CNghttp2
import Foundation
import HTTPTypes
import H2TestSupport
import Testing

@testable import H2Client

/// Servers that want a certificate of ours, and don't get one that they like.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct ClientCertificateTests {
    private func failure(
        _ peer: TLSPeer, version: ConnectionConfiguration.TLS.Version, isHTTP2: Bool = true,
        _ change: (inout ConnectionConfiguration.TLS) -> Void = { _ in }
    ) async throws -> H2Error {
        var configuration = ConnectionConfiguration()
        configuration.tls.verifiesPeer = false
        configuration.tls.minimumVersion = version
        configuration.tls.maximumVersion = version
        change(&configuration.tls)
        let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/")
        return try await #require(
            throws: H2Error.self,
            performing: {
                if isHTTP2 {
                    let connection = try await HTTP2Connection.connect(
                        to: Origin(peer.url), configuration: configuration)
                    _ = try await connection.send(request)
                } else {
                    let connection = try await HTTP1Connection.connect(
                        to: Origin(peer.url), configuration: configuration)
                    _ = try await connection.send(request)
                }
            })
    }

    @Test(arguments: [ConnectionConfiguration.TLS.Version.tls12, .tls13], [true, false])
    func `A server that wants a client certificate is named as the reason, with what to do`(
        version: ConnectionConfiguration.TLS.Version, isHTTP2: Bool
    ) async throws {
        let peer = try TLSPeer(protocols: ["h2", "http/1.1"], wantClientCertificate)
        defer { peer.stop() }
        let error = try await failure(peer, version: version, isHTTP2: isHTTP2)
        #expect(error.code == .tlsFailed)
        #expect(error.message.contains("asked for a client certificate"), "\(error)")
        #expect(error.remedy.contains("certificateFile"), "\(error)")
    }

    @Test(arguments: [ConnectionConfiguration.TLS.Version.tls12, .tls13])
    func `A certificate that the server rejects is named as the reason`(
        version: ConnectionConfiguration.TLS.Version
    ) async throws {
        let peer = try TLSPeer(protocols: ["h2"], wantClientCertificate)
        defer { peer.stop() }
        let identity = try TestIdentity()
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("client-\(UUID().uuidString).pem")
        try (identity.certificate + identity.key).write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let error = try await failure(peer, version: version) { $0.certificateFile = file.path }
        #expect(error.code == .tlsFailed)
        #expect(error.message.contains("did not accept our client certificate"), "\(error)")
    }

    @Test func `A server that merely closes is not said to want a certificate`() async throws {
        let peer = try TLSPeer(protocols: ["h2"])
        defer { peer.stop() }
        async let outcome = failure(peer, version: .tls13)
        while peer.isEmpty { await Task.yield() }
        peer.closeAll()
        #expect(try await !outcome.message.contains("certificate"))
    }
}
