import H2Client

/// The server's capabilities, found out with a few requests before anything is measured.
struct CompareProbe: Sendable {
    /// A protocol that works, or the reason why it does not.
    enum Answer: Sendable, Equatable {
        case works
        case fails(String)

        var reason: String? {
            if case .fails(let why) = self { why } else { nil }
        }
    }

    var http1 = Answer.works
    var http2 = Answer.works
    /// False if the server closes each HTTP/1.1 connection after its response.
    var keepsAlive = true
    /// Whether the server resumed a TLS session that it had issued.
    var resumes = true
    /// Statuses of 400 and above in the probe's answers, which are therefore not a sign of load. But 429 and 5xx next to other
    /// statuses are, even from a server that is nearly idle.
    var errorStatuses: Set<Int> {
        let all = Set(statuses.keys)
        return all.filter { $0 >= 400 && (all.count == 1 || $0 < 500 && $0 != 429) }
    }
    /// The number of answers with each status.
    var statuses: [Int: Int] = [:]
    /// About how long it takes to open a connection, and to send a request on an open one, in seconds.
    var connectSeconds = 0.0
    var requestSeconds = 0.0
    /// The first attempt's error, if nothing works at all.
    var failure: (any Error)?

    /// Enough to see that a connection is reused, and that a session from the first one is.
    static let requests = 3

    /// - Throws: only `CancellationError`: failures of the server are findings here.
    static func of(
        _ target: ComparePlan.Target, _ plan: ComparePlan, configuration: ConnectionConfiguration,
        engine: Compare.Engine
    ) async throws -> CompareProbe {
        var probe = CompareProbe()
        func ask(_ version: String, newConnections: Bool = false) async throws -> Result<BenchResult, any Error> {
            try Task.checkCancellation()
            var bench = BenchPlan(origin: target.origin, requests: target.requests)
            bench.extent = .requests(requests)
            bench.protocols = ComparePlan.protocols(target.security, version)
            bench.configuration = configuration
            bench.inactivityTimeout = ComparePlan.patience
            if newConnections {
                bench.requestsPerConnection = 1
                bench.configuration.tls.resumesSessions = true
            }
            do {
                return .success(try await engine(bench))
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                return .failure(error)
            }
        }

        let first = try await ask("http/1.1")
        switch first {
        case .failure(let error):
            probe.http1 = .fails(describe(error))
            probe.failure = error
        case .success(let result):
            probe.http1 = judge(result, isHTTP2: false, target.security)
            // One may be chance: for example, a server may take two requests per connection.
            probe.keepsAlive = result.connections.opened < requests
            probe.note(result)
        }
        let second = try await ask("h2")
        switch second {
        case .failure(let error):
            probe.http2 = .fails(withoutHTTP2(error, target.security))
        case .success(let result):
            probe.http2 = judge(result, isHTTP2: true, target.security)
            probe.note(result)
        }
        if probe.http1 == .works || probe.http2 == .works { probe.failure = nil }
        if target.security == .tls, let version = probe.version1,
            case .success(let result) = try await ask(version, newConnections: true)
        {
            probe.resumes = result.connections.resumed > 0
        }
        return probe
    }

    /// The protocol for ways other than HTTP/2: HTTP/1.1, or `h2` for new connections if nothing else works.
    var version1: String? { http1 == .works ? "http/1.1" : http2 == .works ? "h2" : nil }

    /// The reason why a way cannot be measured; nil if it can.
    func obstacle(_ way: CompareWay) -> String? {
        switch way {
        case .newConnections(let resuming):
            if version1 == nil { return http1.reason }
            return resuming && !resumes ? "the server resumes no TLS session" : nil
        case .keepAlive, .pool:
            return http1.reason
                ?? (keepsAlive
                    ? nil : "the server closes the connection after each response, so there is no keep-alive")
        case .http2: return http2.reason
        }
    }

    private mutating func note(_ result: BenchResult) {
        for (status, count) in result.statuses.enumerated() where count > 0 { statuses[status, default: 0] += count }
        guard requestSeconds == 0, result.requests.done > 0 else { return }
        let (request, connect) = (Distribution(result.latency), Distribution(result.connect))
        requestSeconds = Double(request.p50) / 1e9
        connectSeconds = Double(connect.p50 + Distribution(result.handshake).p50) / 1e9
    }

    /// About how long a way takes for the plan's requests, estimated from the few that were sent, plus the losses to be
    /// expected, which those few did not see.
    func seconds(of way: CompareWay, _ plan: ComparePlan) -> Double {
        let (loss, timeout) = (plan.conditions.loss, Double(plan.conditions.retransmissionTimeout) / 1e9)
        // A request is one segment in each direction, and only a timeout reveals the loss of one, since nothing follows it. A
        // loss on a connection holds up all of its streams. A lost SYN costs a second.
        func batches(of each: Int, onOne streams: Int) -> Double {
            let count = Double((plan.requests + each - 1) / max(each, 1))
            return count * (requestSeconds + min(1, 2 * loss * Double(min(streams, plan.requests))) * timeout)
        }
        func connect(_ connections: Int) -> Double {
            connectSeconds + min(1, 2 * loss * Double(connections)) * (1 + timeout)
        }
        return switch way {
        case .newConnections: Double(plan.requests) * connect(1) + batches(of: 1, onOne: 1)
        case .keepAlive: connect(1) + batches(of: 1, onOne: 1)
        // The unluckiest connection decides.
        case .pool(let count): connect(count) + batches(of: count, onOne: count)
        case .http2(let count): connect(count) + batches(of: plan.streams, onOne: plan.streams)
        }
    }

    private static func judge(_ result: BenchResult, isHTTP2: Bool, _ security: CompareSecurity) -> Answer {
        let (wanted, other) =
            isHTTP2
            ? (result.connections.http2, result.connections.http1)
            : (result.connections.http1, result.connections.http2)
        if wanted == 0 && other > 0 {
            return .fails(
                isHTTP2
                    ? "the server does not offer HTTP/2\(security == .tls ? " by ALPN" : "")"
                    : "the server speaks HTTP/2 alone")
        }
        if result.requests.done == 0 {
            let cause = firstCause(result) ?? "no request was answered"
            return .fails(isHTTP2 && security == .cleartext ? "no HTTP/2 in cleartext: \(cause)" : cause)
        }
        return .works
    }

    /// The most frequent cause of failure.
    static func firstCause(_ result: BenchResult) -> String? {
        if case .gaveUp(let why) = result.end { return why }
        for causes in [result.errors, result.connections.failed, result.connections.lost] {
            if let cause = causes.max(by: { ($0.value, $1.key) < ($1.value, $0.key) }) { return cause.key }
        }
        return nil
    }

    private static func withoutHTTP2(_ error: any Error, _ security: CompareSecurity) -> String {
        if let error = error as? H2Error, error.code == .http2NotNegotiated {
            return "the server does not offer HTTP/2 by ALPN"
        }
        return security == .cleartext ? "no HTTP/2 in cleartext: \(describe(error))" : describe(error)
    }

    static func describe(_ error: any Error) -> String {
        (error as? H2Error)?.message ?? String(describing: error)
    }
}
