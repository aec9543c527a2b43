internal import H2Client

/// Steers a measurement while it runs, and looks at its figures.
///
/// It may be used from any thread, before the measurement begins and after it has ended.
///
/// Invariant behind `@unchecked Sendable`: all state is behind the lock.
package final class BenchControl: @unchecked Sendable {
    private let lock = PthreadLock()
    private var workers: [Worker] = []
    private var counts: [LiveCounts] = []
    private var users = 0
    private var isStopped = false
    /// The figures that each reader has not taken yet.
    private var pending: [LiveFigures]

    /// - Parameter readers: how many take the figures, each all of them. Only the first gets the numbers by second, which would
    ///   grow with the time until a slow reader takes them.
    package init(readers: Int = 1) { pending = Array(repeating: LiveFigures(), count: readers) }

    /// Sets the number of users, for a plan with users. New ones begin at once; those who go do so once their responses are
    /// there.
    package func setUsers(_ number: Int) {
        let workers = lock.withLock {
            users = number
            return self.workers
        }
        for worker in workers { worker.loop.execute { worker.setUsers(number) } }
    }

    /// Without users, cuts off the requests that are still under way.
    package func abandon() {
        let workers = lock.withLock { self.workers }
        for worker in workers { worker.loop.execute { worker.abandon() } }
    }

    /// Begins no more requests, and ends the measurement when those under way are answered, or after `BenchPlan.drain`.
    package func stop() {
        let workers = lock.withLock {
            isStopped = true
            return self.workers
        }
        for worker in workers { worker.loop.execute { worker.stop() } }
    }

    /// The figures since the reader's last call, for a plan that collects them.
    package func takeFigures(for reader: Int = 0) -> LiveFigures {
        lock.withLock {
            var now = LiveFigures()
            for counts in counts { now.addAll(counts.take()) }
            for index in pending.indices {
                pending[index].addCounts(now)
                guard index > 0 else { continue }
                for key in pending[index].parts.keys { pending[index].parts[key]?.endedBySecond = [:] }
            }
            defer { pending[reader] = LiveFigures() }
            now.parts = pending[reader].parts
            now.failures = pending[reader].failures
            return now
        }
    }

    // MARK: - For the measurement

    /// - Returns: what a worker that is about to begin has missed.
    func add(_ worker: Worker) -> (users: Int, isStopped: Bool) {
        lock.withLock {
            workers.append(worker)
            if let live = worker.liveCounts { counts.append(live) }
            return (users, isStopped)
        }
    }

    /// Called when the worker is over, so that nothing holds it any more. Its figures can still be taken.
    func remove(_ worker: Worker) {
        lock.withLock { workers.removeAll { $0 === worker } }
    }
}
