import H2Client
import Synchronization

/// Sees the bytes of one transfer's bodies: --limit-rate holds them back, -Y and -y give up if they are slow, --trace shows them.
final class BodyMeter: Sendable {
    /// -Y and -y: a transfer fails if it is slower than this for so long.
    struct Floor: Sendable, Equatable {
        let bytesPerSecond: Int
        let seconds: Int

        /// In curl's words.
        var failure: Failure {
            Failure(
                .timeout,
                "Operation too slow. Less than \(bytesPerSecond) bytes/sec transferred the last \(seconds) seconds; lower -Y "
                    + "or raise -y")
        }
    }

    /// The speed counts over this many seconds, as in curl.
    private static let window = 5

    private let limit: Int?
    let floor: Floor?
    /// The bytes of both bodies.
    private let moved = Atomic<Int>(0)
    private let isMeasured = Atomic<Bool>(false)
    private let over = Atomic<Bool>(false)
    private let trace: Trace?
    /// The transfer's position among all.
    private let number: Int

    /// - Parameter limit: in bytes per second, for each direction.
    init(limit: Int?, floor: Floor?, trace: Trace? = nil, number: Int = 0) {
        self.limit = limit
        self.floor = floor
        self.trace = trace
        self.number = number
    }

    /// Whether bytes have a speed to keep, and are not just shown.
    var limitsSpeed: Bool { limit != nil || floor != nil }

    /// Whether the work was cancelled because it was too slow.
    var isOver: Bool { over.load(ordering: .relaxed) }

    /// Whether the transfer's speed is up to the server and the network now. A body that waits for its turn on stdout is not
    /// slow.
    func measure(_ isOn: Bool) { isMeasured.store(isOn, ordering: .relaxed) }

    /// - Parameter direction: whose body they belong to.
    func add(_ bytes: ArraySlice<UInt8>, _ direction: Trace.Direction) {
        moved.add(bytes.count, ordering: .relaxed)
        trace?.data(bytes, direction, transfer: number)
    }

    /// Holds the chunks of a body back that the library writes, and counts them.
    var gate: ContinuedDownload.Gate {
        let pace = SharedPace(limit: limit)
        return { [self] bytes in
            try await pace.wait(for: bytes.count)
            add(bytes[...], .received)
        }
    }

    /// The bytes of one direction.
    var pace: Pace { Pace(limit: limit) }

    /// Runs `work`, and cancels it if it is slower than the floor for too long.
    func run<Value: Sendable>(_ work: @escaping @Sendable () async -> Value) async -> Value {
        guard let floor else { return await work() }
        return await watched {
            if await self.isTooSlow(floor) { self.over.store(true, ordering: .relaxed) }
        } work: {
            await work()
        }
    }

    /// Returns true when the transfer was too slow for too long; false if the task is cancelled before.
    private func isTooSlow(_ floor: Floor) async -> Bool {
        // The bytes moved at each of the last seconds.
        var totals: [Int] = []
        var slowSeconds = 0
        var next = ContinuousClock.now
        while true {
            next = next + .seconds(1)
            do { try await Task.sleep(until: next, clock: .continuous) } catch { return false }
            guard isMeasured.load(ordering: .relaxed) else {
                (totals, slowSeconds) = ([], 0)
                continue
            }
            totals.append(moved.load(ordering: .relaxed))
            if totals.count > Self.window + 1 { totals.removeFirst() }
            // The first second after the beginning has no predecessor.
            let seconds = max(totals.count - 1, 1)
            let bytes = totals.count == 1 ? totals[0] : totals[totals.count - 1] - totals[0]
            slowSeconds = bytes / seconds < floor.bytesPerSecond ? slowSeconds + 1 : 0
            if slowSeconds >= floor.seconds { return true }
        }
    }
}

/// Holds bytes back so that they have a limited rate, on average since the first.
struct Pace {
    private let limit: Int?
    private let start = ContinuousClock.now
    private var bytes = 0

    init(limit: Int?) { self.limit = limit }

    /// When the next bytes may follow this number of others.
    fileprivate static func due(
        _ start: ContinuousClock.Instant, _ bytes: Int, _ limit: Int
    ) -> ContinuousClock.Instant {
        // No sum of times may overflow.
        start + .seconds(min(Double(bytes) / Double(limit), 1e9))
    }

    /// The bytes in pieces small enough for a steady flow.
    func pieces(of bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        guard let limit else { return [bytes[...]] }
        let size = max(limit / 8, 1)
        return stride(from: 0, to: bytes.count, by: size).map { bytes[$0..<min($0 + size, bytes.count)] }
    }

    /// Returns when the next piece may follow the bytes before it.
    /// - Throws: `CancellationError`.
    nonisolated(nonsending) mutating func wait(for count: Int) async throws {
        defer { bytes += count }
        guard let limit else { return }
        let due = Self.due(start, bytes, limit)
        if due > ContinuousClock.now { try await Task.sleep(until: due, clock: .continuous) }
    }
}

/// The same for chunks of any length, and closures that are sent elsewhere.
private final class SharedPace: Sendable {
    private let limit: Int?
    private let start = ContinuousClock.now
    private let bytes = Atomic<Int>(0)

    init(limit: Int?) { self.limit = limit }

    func wait(for count: Int) async throws {
        let before = bytes.wrappingAdd(count, ordering: .relaxed).oldValue
        guard let limit else { return }
        let due = Pace.due(start, before, limit)
        if due > ContinuousClock.now { try await Task.sleep(until: due, clock: .continuous) }
    }
}

extension FetchSettings {
    /// Whether transfers have a speed to keep.
    var limitsSpeed: Bool { rateLimit != nil || slowest != nil }
}

extension Fetch {
    /// The meter of a transfer's bytes; nil if nobody wants to see them.
    func meter(ofTransfer number: Int) -> BodyMeter? {
        guard facts.limitsSpeed || trace != nil else { return nil }
        return BodyMeter(limit: settings.rateLimit, floor: settings.slowest, trace: trace, number: number)
    }
}
