internal import H2Client
import H2Platform
import HTTPTypes

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

/// The names under which a plan's requests are reported while it runs.
package struct LiveNames: Sendable {
    package struct Name: Hashable, Sendable {
        package var method: String
        package var path: String

        package init(method: String, path: String) { (self.method, self.path) = (method, path) }
    }

    /// Names with figures of their own, the first ones; those after them share one.
    static let maximumCount = 1_000
    package private(set) var all: [Name] = []
    /// The index of the name of each of the plan's requests.
    let indexes: [Int]

    package init(_ plan: BenchPlan) {
        var known: [Name: Int] = [:]
        var all: [Name] = []
        let steps = plan.scenario?.steps
        indexes = plan.requests.enumerated().map { index, request in
            var name =
                steps?[index].reportedAs
                ?? Name(method: request.request.method.rawValue, path: request.request.path ?? "/")
            if all.count >= Self.maximumCount, known[name] == nil { name = Name(method: name.method, path: "(others)") }
            if let index = known[name] { return index }
            known[name] = all.count
            all.append(name)
            return all.count - 1
        }
        self.all = all
    }
}

/// Counts of whole milliseconds, rounded to two digits: 0 to 100, then in steps of 10 to 1,000, of 100 to 10,000, and of 1,000.
package struct RoundedMilliseconds: Sendable, Equatable {
    private var counts = [UInt32](repeating: 0, count: 281)
    private var longer: [Int: Int] = [:]

    package init() {}

    mutating func record(_ nanoseconds: UInt64) {
        let value = Self.rounded(nanoseconds)
        if let index = Self.index(of: value) { counts[index] &+= 1 } else { longer[value, default: 0] += 1 }
    }

    mutating func add(_ other: Self) {
        for index in counts.indices { counts[index] &+= other.counts[index] }
        longer.merge(other.longer, uniquingKeysWith: +)
    }

    /// Milliseconds and their counts, those that occurred, ascending.
    package var all: [(milliseconds: Int, count: Int)] {
        let short = counts.enumerated().compactMap { index, count in
            count > 0 ? (milliseconds: Self.value(at: index), count: Int(count)) : nil
        }
        return short + longer.sorted { $0.key < $1.key }.map { (milliseconds: $0.key, count: $0.value) }
    }

    /// Halves are rounded to even.
    static func rounded(_ nanoseconds: UInt64) -> Int {
        let time = Double(nanoseconds) / 1e6
        let step = time < 100 ? 1.0 : time < 1_000 ? 10 : time < 10_000 ? 100 : 1_000
        return Int((time / step).rounded(.toNearestOrEven) * step)
    }

    private static func index(of value: Int) -> Int? {
        switch value {
        case ...100: value
        case ...1_000: 90 + value / 10
        case ...10_000: 180 + value / 100
        default: nil
        }
    }

    private static func value(at index: Int) -> Int {
        switch index {
        case ...100: index
        case ...190: (index - 90) * 10
        default: (index - 180) * 100
        }
    }
}

/// The figures of one loop, which another thread takes from time to time.
///
/// Invariant behind `@unchecked Sendable`: all state is behind the lock. It is hardly ever contended.
final class LiveCounts: @unchecked Sendable {
    private let lock = PthreadLock()
    private var figures = LiveFigures()
    private let names: [Int]
    /// Adds up to the wall clock's time with a loop's time, in nanoseconds.
    private let offset: UInt64
    /// The current second since 1970, and when it ends in the loop's time.
    private var second = 0
    private var secondEnd: UInt64 = 0

    init(_ names: LiveNames) {
        self.names = names.indexes
        let wall = UInt64(max(ProcessClocks.wallSeconds, 0) * 1e9)
        offset = wall &- H2EventLoop.monotonicNanoseconds()
    }

    /// A request is over.
    /// - Parameters:
    ///   - now: the loop's time.
    ///   - failure: why it failed; nil if it did not.
    func record(request: Int, status: Int, latency: UInt64, bytes: Int, at now: UInt64, failure: String? = nil) {
        let key = LiveFigures.Key(name: names[request], status: status, isFailure: failure != nil)
        lock.withLock {
            if now >= secondEnd { begin(now) }
            figures.parts[key, default: LiveFigures.Part()].record(latency, bytes, now &+ offset, second)
            if let failure { figures.failures[LiveFigures.Failure(name: key.name, cause: failure), default: 0] += 1 }
        }
    }

    private func begin(_ now: UInt64) {
        let wall = now &+ offset
        second = Int(wall / 1_000_000_000)
        secondEnd = now &+ (1_000_000_000 - wall % 1_000_000_000)
    }

    func note(users: Int, inFlight: Int, connections: Int, _ wire: DirectFigures) {
        lock.withLock {
            (figures.users, figures.inFlight, figures.connections) = (users, inFlight, connections)
            (figures.received, figures.sent) = (wire.received, wire.sent)
        }
    }

    /// The figures since the last call.
    func take() -> LiveFigures {
        lock.withLock {
            defer { (figures.parts, figures.failures) = ([:], [:]) }
            return figures
        }
    }
}

extension LiveFigures.Part {
    fileprivate mutating func record(_ latency: UInt64, _ size: Int, _ wallTime: UInt64, _ second: Int) {
        ended += 1
        bytes += size
        latencies &+= latency
        if latency < shortest { shortest = latency }
        if latency > longest { longest = latency }
        lastAt = wallTime
        counts[LiveFigures.bounds.firstIndex { latency <= $0 } ?? LiveFigures.bounds.count] += 1
        milliseconds.record(latency)
        endedBySecond[second, default: 0] += 1
    }
}
