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
    init(_ command: ServeCommand) throws {
        var configuration = OriginServer.Configuration()
        configuration.address = command.address
        configuration.port = command.port
        configuration.documentRoot = command.directory
        if command.cleartext {
            configuration.security = .cleartext
        } else if let certificate = command.cert, let key = command.key {
            configuration.security = .identity(certificateFile: certificate, keyFile: key)
        } else if !["127.0.0.1", "::1", "0.0.0.0", "::"].contains(command.address) {
            configuration.security = .selfSigned(names: ["localhost", "127.0.0.1", "::1", command.address])
        }
        if command.http1 { configuration.versions = .http1 }
        if command.http2 { configuration.versions = .http2 }
        configuration.servesDotFiles = command.dotFiles
        if let time = command.idleTimeout { configuration.limits.idle = time.duration }
        if let time = command.headTimeout { configuration.limits.requestHead = time.duration }
        if let time = command.bodyTimeout { configuration.limits.bodyProgress = time.duration }
        if let count = command.maxConnections { configuration.limits.connections = count }
        configuration.limits.workers = Self.workers(command)
        configuration.faults.closeAfterResponses = command.closeAfter
        if let maximum = command.maxStreams { configuration.settings.maxConcurrentStreams = UInt32(maximum) }
        configuration.faults.latency = .milliseconds(command.latency)
        configuration.faults.goAwayAfterRequests = command.goawayAfter
        configuration.faults.refuseEvery = command.refuseEvery
        configuration.faults.resetAfterBodyBytes = command.resetAfterBytes
        do {
            server = try OriginServer.start(configuration)
        } catch let error as H2Error {
            throw Failure(error.code == .tlsConfiguration ? .clientCertificate : .usage, error.description)
        }
    }

    private static func workers(_ command: ServeCommand) -> OriginServer.Workers? {
        guard let count = command.workers else { return nil }
        var workers = OriginServer.Workers(count: count)
        workers.queue = command.workerQueue ?? 0
        workers.serviceTime = command.serviceTime?.duration ?? .zero
        workers.refusal = command.refusedStream ? .refusedStream : .unavailable(retryAfter: command.retryAfter)
        return workers
    }

    /// Lets running requests finish, for at most 2 s.
    func stop() async { await server.stop(grace: .seconds(2)) }
}
