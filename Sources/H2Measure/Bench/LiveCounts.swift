internal import H2Client
import H2Platform

/// The figures of one loop, which another thread takes from time to time.
///
/// Invariant behind `@unchecked Sendable`: all state is behind the lock. It is hardly ever contended.
final class LiveCounts: @unchecked Sendable {
    private let lock = PthreadLock()
    private var figures = LiveFigures()
    private let names: [Int]
    private let keepsSeconds: Bool
    /// The most causes of failures; those after them are counted together. A cause may have a number in it.
    private static let maximumCauses = 200
    /// Adds up to the wall clock's time with a loop's time, in nanoseconds. The wall clock may be set.
    private var offset: UInt64
    /// The current second since 1970, and when it ends in the loop's time.
    private var second = 0
    private var secondEnd: UInt64 = 0

    /// - Parameter keepsSeconds: whether to count by second, which grows with the time until the figures are taken.
    init(_ names: LiveNames, keepsSeconds: Bool) {
        self.names = names.indexes
        self.keepsSeconds = keepsSeconds
        offset = Self.offset
    }

    private static var offset: UInt64 {
        UInt64(max(ProcessClocks.wallSeconds, 0) * 1e9) &- H2EventLoop.monotonicNanoseconds()
    }

    /// A request is over.
    /// - Parameters:
    ///   - now: the loop's time.
    ///   - failure: why it failed; nil if it did not.
    func record(request: Int, status: Int, latency: UInt64, bytes: Int, at now: UInt64, failure: String? = nil) {
        let key = LiveFigures.Key(name: names[request], status: status, isFailure: failure != nil)
        lock.withLock {
            if now >= secondEnd { begin(now) }
            figures.parts[key, default: LiveFigures.Part()].record(
                latency, bytes, now &+ offset, keepsSeconds ? second : nil)
            guard let failure else { return }
            var cause = LiveFigures.Failure(name: key.name, cause: failure)
            if figures.failures.count >= Self.maximumCauses, figures.failures[cause] == nil { cause.cause = "(others)" }
            figures.failures[cause, default: 0] += 1
        }
    }

    private func begin(_ now: UInt64) {
        offset = Self.offset
        let wall = now &+ offset
        second = Int(wall / 1_000_000_000)
        secondEnd = now &+ (1_000_000_000 - wall % 1_000_000_000)
    }

    /// - Parameter wire: what the connections have carried; nil if that was not added up.
    func note(users: Int, inFlight: Int, connections: Int, _ wire: DirectFigures?) {
        lock.withLock {
            (figures.users, figures.inFlight, figures.connections) = (users, inFlight, connections)
            if let wire { (figures.received, figures.sent) = (wire.received, wire.sent) }
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
    fileprivate mutating func record(_ latency: UInt64, _ size: Int, _ wallTime: UInt64, _ second: Int?) {
        ended += 1
        bytes += size
        latencies &+= latency
        if latency < shortest { shortest = latency }
        if latency > longest { longest = latency }
        lastAt = wallTime
        counts[LiveFigures.bounds.firstIndex { latency <= $0 } ?? LiveFigures.bounds.count] += 1
        milliseconds.record(latency)
        if let second { endedBySecond[second, default: 0] += 1 }
    }
}
