package import H2Client

/// How many connections, and how many streams on each.
package struct SweepSetting: Sendable, Hashable, CustomStringConvertible {
    package var connections: Int
    package var streams: Int

    package init(connections: Int, streams: Int) {
        self.connections = connections
        self.streams = streams
    }

    /// Requests in flight at once.
    package var concurrency: Int { connections.multipliedReportingOverflow(by: streams).partialValue }

    /// Such as `2 connections × 16 streams`.
    package var description: String { "\(counted(connections, "connection")) × \(counted(streams, "stream"))" }
}

/// Which settings a sweep tries, and how.
package struct SweepPlan: Sendable {
    package var origin: Origin
    /// In turn. At least one.
    package var requests: [BenchPlan.Request]
    /// On each connection; ascending. HTTP/1.1 has 1.
    package var streams = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    /// Ascending.
    package var connections = [1]
    /// Of each point.
    package var time: Duration = .seconds(1)
    package var warmUp: Duration = .milliseconds(200)
    /// At most so many, and never more than there are connections.
    package var threads = 1
    package var protocols = BenchPlan.Protocols.tls(["h2", "http/1.1"])
    package var configuration = Configuration()
    /// That the best setting has to keep to, all of them.
    package var limits: [LatencyLimit] = []

    package init(origin: Origin, requests: [BenchPlan.Request]) {
        self.origin = origin
        self.requests = requests
    }

    func bench(_ setting: SweepSetting) -> BenchPlan {
        var plan = BenchPlan(origin: origin, requests: requests)
        plan.extent = .time(time)
        plan.warmUp = warmUp
        plan.connections = setting.connections
        plan.streams = setting.streams
        plan.threads = max(1, min(threads, setting.connections))
        plan.protocols = protocols
        plan.configuration = configuration
        return plan
    }
}
