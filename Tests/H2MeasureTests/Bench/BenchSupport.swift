import H2Client
import H2Measure
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Histogram
import Testing

/// An origin on a loop of its own, and plans that measure it.
struct MeasuredOrigin {
    let server: OriginServer
    let loop: H2EventLoop
    let configuration: ConnectionConfiguration

    /// Starts an origin, which ends on every exit.
    static func run<R>(
        _ origin: OriginServer.Configuration = OriginServer.Configuration(),
        _ body: (MeasuredOrigin) async throws -> R
    ) async throws -> R {
        let loop = H2EventLoop()
        let server = try OriginServer.start(origin, on: loop)
        defer {
            server.stopNow()
            loop.shutdown()
        }
        var configuration = ConnectionConfiguration()
        if let pem = server.caPEM {
            let file = try TemporaryDirectory.shared.newPath("origin-ca.pem")
            try writeText(pem, to: file)
            configuration.tls.caFile = file
        }
        return try await body(MeasuredOrigin(server: server, loop: loop, configuration: configuration))
    }

    static func cleartext(_ change: (inout OriginServer.Configuration) -> Void = { _ in }) -> OriginServer.Configuration
    {
        var configuration = OriginServer.Configuration()
        configuration.security = .cleartext
        change(&configuration)
        return configuration
    }

    /// A plan of GET requests for `path`.
    func plan(
        _ path: String, _ extent: BenchPlan.Extent, connections: Int = 1, streams: Int = 1,
        _ change: (inout BenchPlan) -> Void = { _ in }
    ) throws -> BenchPlan {
        let origin = try Origin(server.url)
        var plan = BenchPlan(
            origin: origin,
            requests: [
                .init(
                    HTTPRequest(
                        method: .get, scheme: origin.scheme.rawValue, authority: origin.authority, path: path))
            ])
        plan.extent = extent
        plan.connections = connections
        plan.streams = streams
        plan.configuration = configuration
        plan.protocols = origin.scheme == .https ? .tls(["h2", "http/1.1"]) : .cleartextHTTP2
        change(&plan)
        return plan
    }

    func measure(
        _ path: String, _ extent: BenchPlan.Extent, connections: Int = 1, streams: Int = 1,
        _ change: (inout BenchPlan) -> Void = { _ in }
    ) async throws -> BenchResult {
        let result = try await Bench(
            plan(path, extent, connections: connections, streams: streams, change)
        ).run()
        expectBalance(result)
        return result
    }
}

/// Whatever happened, every request is accounted for.
func expectBalance(_ result: BenchResult, sourceLocation: SourceLocation = #_sourceLocation) {
    let requests = result.requests
    // Whole responses that were not as expected have a status, too.
    let unexpected = result.errors.reduce(0) { count, error in
        count + (["unexpected status", "a body of"].contains { error.key.hasPrefix($0) } ? error.value : 0)
    }
    #expect(
        requests.sent == requests.done + requests.failed + requests.aborted, "\(requests)",
        sourceLocation: sourceLocation)
    #expect(result.statuses.reduce(0, +) == requests.done + unexpected, sourceLocation: sourceLocation)
    #expect(result.errors.values.reduce(0, +) == requests.failed, sourceLocation: sourceLocation)
    #expect(Int(result.latency.totalCount) == requests.done, sourceLocation: sourceLocation)
    #expect(Int(result.corrected.totalCount) == requests.done, sourceLocation: sourceLocation)
    #expect(Int(result.firstByte.totalCount) == requests.done, sourceLocation: sourceLocation)
}
