internal import H2Client

/// Times in which a measurement had no connection on any of its loops, and could not get one at once.
///
/// Replacing a connection takes a moment and is not downtime. It becomes downtime if a dial fails, or if a connection ends
/// without an answer.
///
/// Invariant behind `@unchecked Sendable`: all state is behind the lock, which is taken when connections come and go.
final class Downtime: @unchecked Sendable {
    private let lock = PthreadLock()
    private var live = 0
    private var hadConnection = false
    private var measuredFrom: UInt64?
    /// When the last connection ended; nil while there is one.
    private var goneAt: UInt64?
    /// When a dial last failed since then, or a connection last ended without an answer.
    private var failedAt: UInt64?
    /// The last gap, not yet known to be over: the connection that ended it has not answered.
    private var doubtful: (from: UInt64, to: UInt64, failedAt: UInt64?)?
    private var sum = BenchResult.Downtime()

    /// The measured part begins. The first of several loops decides.
    func measure(from now: UInt64) {
        lock.withLock {
            guard measuredFrom == nil else { return }
            measuredFrom = now
            sum = BenchResult.Downtime()
        }
    }

    func connected(_ now: UInt64) {
        lock.withLock {
            live += 1
            hadConnection = true
            guard live == 1, let goneAt else { return }
            doubtful = (goneAt, now, failedAt)
            self.goneAt = nil
        }
    }

    /// Whether there ever was a connection, on any of the loops.
    var hasConnected: Bool { lock.withLock { hadConnection } }

    /// A connection has answered for the first time.
    func answered() {
        lock.withLock { settle() }
    }

    func failed(_ now: UInt64) {
        lock.withLock { if live == 0 { failedAt = now } }
    }

    /// How long there has been no connection, in nanoseconds; nil while there is one, and before the first.
    func lasts(_ now: UInt64) -> UInt64? {
        lock.withLock { goneAt.map { now > $0 ? now - $0 : 0 } }
    }

    /// The pause before the next dial to a server that has been away for `time`, in nanoseconds: a twentieth of it, so that its
    /// length is known to 5 %, and between 20 ms and 1 s, to spare the server.
    static func pause(after time: UInt64) -> UInt64 { min(max(time / 20, 20_000_000), 1_000_000_000) }

    /// - Parameter isWanted: false if no connection is needed any more, so that the time from now on is no downtime.
    func gone(_ now: UInt64, isWanted: Bool = true) {
        lock.withLock {
            live -= 1
            guard live == 0 else { return }
            guard isWanted else {
                (goneAt, failedAt, doubtful) = (nil, nil, nil)
                return
            }
            // A connection that never answered counts as none.
            if let doubtful {
                (goneAt, failedAt) = (doubtful.from, now)
            } else {
                (goneAt, failedAt) = (now, nil)
            }
            doubtful = nil
        }
    }

    /// The downtime until the end of the measured part.
    func result(_ end: UInt64) -> BenchResult.Downtime {
        lock.withLock {
            // A connection established after the end does not end a gap before it.
            if let doubtful { add(doubtful.from, min(doubtful.to, end), doubtful.failedAt) }
            doubtful = nil
            if let goneAt { add(goneAt, end, failedAt) }
            return sum
        }
    }

    private func settle() {
        guard let doubtful else { return }
        self.doubtful = nil
        add(doubtful.from, doubtful.to, doubtful.failedAt)
    }

    private func add(_ from: UInt64, _ to: UInt64, _ failedAt: UInt64?) {
        guard let failedAt, let measuredFrom, case let from = max(from, measuredFrom), to > from else { return }
        let seconds = Double(to - from) / 1e9
        sum.count += 1
        sum.seconds += seconds
        // The server was still away when that dial failed; between it and the next dial nobody looked.
        sum.leastSeconds += Double(min(max(failedAt, from), to) - from) / 1e9
        sum.longest = max(sum.longest, seconds)
    }
}
