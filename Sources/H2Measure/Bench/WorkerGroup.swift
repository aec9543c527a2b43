internal import H2Client

/// The workers of one measurement, as far as they depend on each other. If one gives up, others send its requests, and while
/// that may still happen none ends before all have done their part.
///
/// Invariant behind `@unchecked Sendable`: all state is behind the lock, and workers are called only on their loops.
final class WorkerGroup: @unchecked Sendable {
    /// The work that one worker leaves to others.
    struct Leftover: Sendable {
        /// For a plan with a number of requests: those that were not sent.
        var requests = 0
        /// For an open loop: requests that had arrived, and schedules of those still to arrive.
        var arrivals: [Worker.Arrival] = []
        var schedules: [Schedule] = []
        /// For an open loop in the warm-up: the parts of its schedule, which restarts with the measured part.
        var parts: [Arrivals.Part] = []

        mutating func add(_ other: Leftover) {
            requests += other.requests
            arrivals += other.arrivals
            schedules += other.schedules
            parts += other.parts
        }
    }

    private struct Member {
        let worker: Worker
        var state = State.working
        /// Whether it has a connection.
        var isConnected = false
        /// Work that others have left to it, until it takes that over.
        var inbox = Leftover()
    }

    private enum State {
        case working
        /// It has nothing left to do.
        case done
    }

    private let lock = PthreadLock()
    private var workers: [Member] = []
    /// The number of workers still to be added.
    private var expected: Int

    init(_ count: Int) { expected = count }

    /// Call it before the worker starts.
    func add(_ worker: Worker) {
        lock.withLock {
            workers.append(Member(worker: worker))
            expected -= 1
        }
    }

    /// The worker has nothing left to do. Once that is true of all, they end.
    func isDone(_ worker: Worker) {
        let ending: [Worker] = lock.withLock {
            guard let index = index(of: worker) else { return [] }
            workers[index].state = .done
            return allIfDone
        }
        end(ending)
    }

    /// The worker ends, and nobody leaves it anything from here on.
    /// - Returns: Work that others had left to it, and that it has not taken over.
    func leave(_ worker: Worker) -> Leftover {
        let (inbox, ending): (Leftover, [Worker]) = lock.withLock {
            guard let index = index(of: worker) else { return (Leftover(), []) }
            return (workers.remove(at: index).inbox, allIfDone)
        }
        end(ending)
        return inbox
    }

    private func end(_ workers: [Worker]) {
        for worker in workers { worker.loop.execute { worker.allAreDone() } }
    }

    // Under the lock.

    private func index(of worker: Worker) -> Int? { workers.firstIndex { $0.worker === worker } }

    private var allIfDone: [Worker] {
        let isWorkLeft = expected > 0 || workers.contains { $0.state == .working }
        return isWorkLeft ? [] : workers.map(\.worker)
    }

    /// Shares out the work of a worker that ends, including work left to it that it has not taken over. From here on nobody
    /// leaves anything to it. Returns false if no other worker can take it: `leftover` is then all of it.
    func share(_ leftover: inout Leftover, from worker: Worker) -> Bool {
        let heirs: [Worker] = lock.withLock {
            if let index = index(of: worker) {
                leftover.add(workers.remove(at: index).inbox)
            }
            for index in workers.indices {
                workers[index].state = .working
                var part = Leftover()
                // A schedule is never split, nor are its requests.
                if !leftover.schedules.isEmpty || !leftover.parts.isEmpty {
                    if index == 0 { part = leftover }
                } else {
                    part.requests = Worker.share(of: leftover.requests, index, workers.count)
                    if index == 0 { part.arrivals = leftover.arrivals }
                }
                workers[index].inbox.add(part)
            }
            return workers.map(\.worker)
        }
        for heir in heirs { heir.loop.execute { heir.takeOver() } }
        return !heirs.isEmpty
    }

    /// Records whether a worker has a connection, and so can send requests that others offer.
    func note(_ worker: Worker, isConnected: Bool) {
        lock.withLock {
            if let index = index(of: worker) { workers[index].isConnected = isConnected }
        }
    }

    /// Gives requests of a worker without a connection to those that have one. Returns false if there are none.
    func offer(_ requests: Int, from worker: Worker) -> Bool {
        let heirs: [Worker] = lock.withLock {
            let connected = workers.indices.filter { workers[$0].isConnected && workers[$0].worker !== worker }
            for (number, index) in connected.enumerated() {
                workers[index].state = .working
                workers[index].inbox.requests += Worker.share(of: requests, number, connected.count)
            }
            return connected.map { workers[$0].worker }
        }
        for heir in heirs { heir.loop.execute { heir.takeOver() } }
        return !heirs.isEmpty
    }

    /// Work that others have left to the worker since it last asked.
    func takeInbox(of worker: Worker) -> Leftover {
        lock.withLock {
            guard let index = index(of: worker) else { return Leftover() }
            defer { workers[index].inbox = Leftover() }
            return workers[index].inbox
        }
    }
}
