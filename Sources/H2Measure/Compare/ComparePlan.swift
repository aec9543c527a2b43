package import H2Client

/// A way to carry requests to a server.
package enum CompareWay: Sendable, Hashable {
    /// Each request opens and closes a connection: HTTP/1.1, one request after another.
    case newConnections(resuming: Bool)
    /// HTTP/1.1 on one connection, one request after another.
    case keepAlive
    /// HTTP/1.1 on this number of connections, with one request at a time on each.
    case pool(Int)
    /// HTTP/2 on this number of connections, which share out the streams.
    case http2(connections: Int)

    var isHTTP2: Bool {
        if case .http2 = self { true } else { false }
    }

    /// Whether a connection has to serve more than one request.
    var isReuse: Bool {
        if case .newConnections = self { false } else { true }
    }

    /// The name in a table, such as `HTTP/2 on 6`.
    package var name: String {
        switch self {
        case .newConnections(let resuming): resuming ? "new, resumed TLS" : "new connections"
        case .keepAlive: "keep-alive"
        case .pool(let count): "pool of \(count)"
        case .http2(1): "HTTP/2"
        case .http2(let count): "HTTP/2 on \(count)"
        }
    }

    /// The name in a sentence.
    package var phrase: String {
        switch self {
        case .newConnections(let resuming): resuming ? "new connections with resumed TLS" : "new connections"
        case .keepAlive: "keep-alive"
        case .pool(let count): "a pool of \(count)"
        case .http2(1): "HTTP/2 on one connection"
        case .http2(let count): "HTTP/2 on \(count) connections"
        }
    }

    /// The name for scripts.
    package var identifier: String {
        switch self {
        case .newConnections(let resuming): resuming ? "new_connections_resumed" : "new_connections"
        case .keepAlive: "keep_alive"
        case .pool: "pool"
        case .http2(1): "http2"
        case .http2: "http2_connections"
        }
    }
}

/// How a way's connections are protected.
package enum CompareSecurity: String, Sendable, Hashable {
    case tls
    case cleartext

    package init(_ scheme: Origin.Scheme) { self = scheme == .https ? .tls : .cleartext }

    package var phrase: String { self == .tls ? "over TLS" : "in cleartext" }
}

/// The work to be done in each way.
package struct ComparePlan: Sendable {
    /// A target of the requests: over TLS for `https`, in cleartext for `http`.
    package struct Target: Sendable {
        package var origin: Origin
        /// Sent in turn. At least one.
        package var requests: [BenchPlan.Request]

        package init(origin: Origin, requests: [BenchPlan.Request]) {
            self.origin = origin
            self.requests = requests
        }

        var security: CompareSecurity { CompareSecurity(origin.scheme) }
    }

    /// One, or one of each scheme.
    package var targets: [Target]
    /// The number of requests for each way, in each round.
    package var requests = 100
    /// For the ways that use several.
    package var connections = 6
    /// The number at once, over all HTTP/2 connections of a way.
    package var streams = 100
    /// The number of counted rounds; one more precedes them.
    package var rounds = 5
    /// For the order within the rounds, and for the losses.
    package var seed: UInt64 = 1
    package var conditions = LinkConditions()
    /// The configuration of each connection.
    package var configuration = ConnectionConfiguration()

    package init(targets: [Target]) { self.targets = targets }

    /// A connection that is silent for this long will not answer any more, and must not hold up all others.
    static let patience = Duration.seconds(60)

    /// The number of requests for each way in the uncounted round: enough to fill the caches on the way.
    var warmUpRequests: Int { min(requests, 100) }

    /// The ways, in the order of a table.
    package func ways(_ security: CompareSecurity) -> [CompareWay] {
        var ways = [CompareWay.newConnections(resuming: false)]
        if security == .tls { ways.append(.newConnections(resuming: true)) }
        ways += [.keepAlive, .pool(connections), .http2(connections: 1), .http2(connections: connections)]
        return ways
    }

    /// The engine's plan for a way.
    ///
    /// - Parameter version1: the protocol for ways other than HTTP/2: `http/1.1`, or `h2` for new connections to a server that
    ///   supports nothing else.
    func bench(_ way: CompareWay, _ target: Target, requests: Int, version1: String = "http/1.1") -> BenchPlan {
        var plan = BenchPlan(origin: target.origin, requests: target.requests)
        plan.extent = .requests(requests)
        plan.configuration = configuration
        plan.inactivityTimeout = Self.patience
        plan.protocols = Self.protocols(target.security, way.isHTTP2 ? "h2" : version1)
        switch way {
        case .newConnections(let resuming):
            plan.requestsPerConnection = 1
            plan.configuration.tls.resumesSessions = resuming
        case .keepAlive: break
        case .pool(let count): plan.connections = count
        case .http2(let count):
            plan.connections = count
            plan.streams = (streams + count - 1) / count
        }
        return plan
    }

    static func protocols(_ security: CompareSecurity, _ version: String) -> BenchPlan.Protocols {
        switch security {
        case .tls: .tls([version])
        case .cleartext: version == "h2" ? .cleartextHTTP2 : .cleartextHTTP1
        }
    }
}
