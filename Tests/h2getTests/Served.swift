import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

/// An origin in this process, and the folder in which its client works.
final class Served: Sendable {
    let origin: OriginServer
    let folder: TemporaryFolder

    init(_ change: (inout OriginServer.Configuration) -> Void = { _ in }) throws {
        folder = try TemporaryFolder()
        var configuration = OriginServer.Configuration()
        change(&configuration)
        origin = try OriginServer.start(configuration)
        if let pem = origin.caPEM { try folder.write(pem, to: "ca.pem") }
    }

    deinit { origin.stopNow() }

    func url(_ path: String) -> String {
        let scheme = origin.fingerprint == nil ? "http" : "https"
        return "\(scheme)://localhost:\(origin.port)\(path)"
    }

    /// Runs h2get in the folder, trusting the origin; over HTTP/2 in cleartext, unless the arguments say which version.
    func get(
        _ arguments: [String], input: Data? = nil, output: String? = nil,
        whileRunning: (@Sendable (Int32) -> Void)? = nil
    ) async throws -> Program.Result {
        let saysVersion = arguments.contains { $0 == "--http1.1" || $0 == "--http2" }
        let cleartext = saysVersion ? [] : ["--http2-prior-knowledge"]
        let trust = origin.caPEM == nil ? cleartext : ["--cacert", folder.path("ca.pem")]
        return try await Program.run(
            trust + arguments, input: input, in: folder.root, output: output, whileRunning: whileRunning)
    }

    func get(_ arguments: String...) async throws -> Program.Result { try await get(arguments) }

    /// The folder's files, the CA's aside.
    var files: [String] { folder.names.filter { $0 != "ca.pem" } }

    /// The names whose unfinished files are there.
    var parts: [String] {
        files.filter { $0.hasSuffix(".part") }.map { String($0.dropLast(".XXXXXX.part".count)) }
    }

    /// A server that works on so many requests at once, and answers 503 to others.
    static func workers(
        _ count: Int, queue: Int = 0, serviceTime: Duration, retryAfter: Int? = nil
    ) -> OriginServer.Workers {
        var workers = OriginServer.Workers(count: count)
        workers.queue = queue
        workers.serviceTime = serviceTime
        workers.refusal = .unavailable(retryAfter: retryAfter)
        return workers
    }

    /// What `/bytes/N` answers.
    static func pattern(_ count: Int) -> Data { Data((0..<count).map { UInt8($0 % 251) }) }
}

/// A port of this machine on which nobody listens.
func closedPort() throws -> Int { try LoopbackPort.unused() }
