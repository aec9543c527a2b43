package import H2Client

/// The number of connections, and the number of streams on each.
package struct SweepSetting: Sendable, Hashable, CustomStringConvertible {
    package var connections: Int
    package var streams: Int

    package init(connections: Int, streams: Int) {
        self.connections = connections
        self.streams = streams
    }

    /// Requests in flight at once.
    package var concurrency: Int { connections.multipliedReportingOverflow(by: streams).partialValue }

    /// For example `2 connections × 16 streams`.
    package var description: String { "\(counted(connections, "connection")) × \(counted(streams, "stream"))" }
}

/// The settings that a sweep tries, and how it measures them.
package struct SweepPlan: Sendable {
    package var origin: Origin
    /// Sent in turn. At least one.
    package var requests: [BenchPlan.Request]
    /// On each connection, in ascending order. HTTP/1.1 has 1.
    package var streams = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    /// In ascending order.
    package var connections = [1]
    /// The time for each point.
    package var time: Duration = .seconds(1)
    package var warmUp: Duration = .milliseconds(200)
    /// The most threads to use; never more than there are connections.
    package var threads = 1
    package var protocols = BenchPlan.Protocols.tls(["h2", "http/1.1"])
    package var configuration = ConnectionConfiguration()
    /// The limits that the best setting has to meet, all of them.
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
