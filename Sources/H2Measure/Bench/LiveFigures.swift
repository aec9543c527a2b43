/// The figures of a measurement since they were last taken, while it runs.
package struct LiveFigures: Sendable {
    /// The requests of one name that ended in one way.
    package struct Part: Sendable {
        package var ended = 0
        /// Bytes of response bodies.
        package var bytes = 0
        /// Nanoseconds from the beginning of a request to its end: their sum, the shortest and the longest.
        package var latencies: UInt64 = 0
        package var shortest = UInt64.max
        package var longest: UInt64 = 0
        /// When the last one ended, in nanoseconds since 1970.
        package var lastAt: UInt64 = 0
        /// The number of latencies in each of the ranges that `LiveFigures.bounds` ends; the last one is for longer ones.
        package var counts = [Int](repeating: 0, count: LiveFigures.bounds.count + 1)
        /// The number of latencies by whole milliseconds, of which two digits are kept.
        package var milliseconds = RoundedMilliseconds()
        /// The number that ended, by second since 1970.
        package var endedBySecond: [Int: Int] = [:]

        package init() {}

        package mutating func add(_ other: Part) {
            ended += other.ended
            bytes += other.bytes
            latencies &+= other.latencies
            shortest = min(shortest, other.shortest)
            longest = max(longest, other.longest)
            lastAt = max(lastAt, other.lastAt)
            for index in counts.indices { counts[index] += other.counts[index] }
            milliseconds.add(other.milliseconds)
            endedBySecond.merge(other.endedBySecond, uniquingKeysWith: +)
        }
    }

    package struct Key: Hashable, Sendable {
        /// The index in `LiveNames.all`.
        package var name: Int
        /// 0 if there was no response.
        package var status: Int
        package var isFailure: Bool

        package init(name: Int, status: Int, isFailure: Bool = false) {
            (self.name, self.status, self.isFailure) = (name, status, isFailure)
        }
    }

    package struct Failure: Hashable, Sendable {
        /// The index in `LiveNames.all`.
        package var name: Int
        /// A short name of the cause.
        package var cause: String

        package init(name: Int, cause: String) { (self.name, self.cause) = (name, cause) }
    }

    /// The upper bounds of latencies that are counted together, in nanoseconds, ascending.
    package static let bounds: [UInt64] = [
        100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000,
        250_000_000, 500_000_000, 1_000_000_000, 2_500_000_000, 5_000_000_000, 10_000_000_000,
    ]

    package var parts: [Key: Part] = [:]
    package var failures: [Failure: Int] = [:]
    /// At the moment: users, requests under way, open connections.
    package var users = 0
    package var inFlight = 0
    package var connections = 0
    /// Bytes on the wire since the measurement began.
    package var received = 0
    package var sent = 0

    package init() {}

    /// Adds what another loop counted in the same time.
    mutating func addAll(_ other: LiveFigures) {
        addCounts(other)
        users += other.users
        inFlight += other.inFlight
        connections += other.connections
        received += other.received
        sent += other.sent
    }

    /// Adds what was counted in another time.
    package mutating func addCounts(_ other: LiveFigures) {
        for (key, part) in other.parts { parts[key, default: Part()].add(part) }
        failures.merge(other.failures, uniquingKeysWith: +)
    }
}
