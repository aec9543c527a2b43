import H2Client
import H2ClientTesting

/// The origin that `h2get serve` runs.
final class ServedOrigin: Sendable {
    private let server: OriginServer

    var port: Int { server.port }
    var url: String { server.url }
    /// SHA-256 of the certificate; nil in cleartext.
    var fingerprint: String? { server.fingerprint }
    var caPEM: String? { server.caPEM }

    /// Creates the server and starts to listen.
    /// - Throws: `Failure`.
    init(_ configuration: OriginServer.Configuration) throws {
        do {
            server = try OriginServer.start(configuration)
        } catch let error as H2Error {
            throw Failure(error.code == .tlsConfiguration ? .clientCertificate : .usage, error.description)
        }
    }

    /// Lets running requests finish, for at most 2 s.
    func stop() async { await server.stop(grace: .seconds(2)) }
}
