internal import H2Client

/// The workers of one measurement, as far as they depend on each other: what one leaves that gave up, others send, and
/// where that may still happen nobody ends before all have done their part.
///
/// Invariant behind `@unchecked Sendable`: all state is behind the lock, and workers are called on their loops alone.
final class Crew: @unchecked Sendable {
    /// What a worker leaves to others.
    struct Handover: Sendable {
        /// Of a number of requests, those that were not sent.
        var requests = 0
        /// Of an open loop: what had arrived, and what is still to arrive.
        var arrivals: [Worker.Arrival] = []
        var schedules: [Schedule] = []
    }

    private enum State {
        case working
        /// It has nothing left to do.
        case done
        case gone
    }

    private let lock = PthreadLock()
    private var workers: [(worker: Worker, state: State)] = []
    /// Workers that are still to come.
    private var expected: Int

    init(_ count: Int) { expected = count }

    /// Before the worker starts.
    func add(_ worker: Worker) {
        lock.withLock {
            workers.append((worker, .working))
            expected -= 1
        }
    }

    /// The worker has nothing left to do. Where that is so of all, they end.
    func isDone(_ worker: Worker) { set(worker, .done) }

    /// The worker has ended.
    func isGone(_ worker: Worker) { set(worker, .gone) }

    private func set(_ worker: Worker, _ state: State) {
        let ending: [Worker] = lock.withLock {
            guard let place = workers.firstIndex(where: { $0.worker === worker }) else { return [] }
            if state == .gone { workers.remove(at: place) } else { workers[place].state = state }
            let isWorkLeft = expected > 0 || workers.contains { $0.state == .working }
            return isWorkLeft ? [] : workers.filter { $0.state == .done }.map(\.worker)
        }
        for worker in ending { worker.loop.execute { worker.allAreDone() } }
    }

    /// Shares out what a worker leaves, which then ends. False where no other worker is there to take it.
    func handOver(_ handover: Handover, from worker: Worker) -> Bool {
        let parts: [(Worker, Handover)] = lock.withLock {
            let places = workers.indices.filter { workers[$0].worker !== worker }
            for place in places { workers[place].state = .working }
            return places.enumerated().map { index, place in
                var part = Handover()
                part.requests = Worker.share(of: handover.requests, index, places.count)
                // A schedule stays whole, and with it the requests that it has.
                if !handover.schedules.isEmpty {
                    part = index == 0 ? handover : Handover()
                }
                return (workers[place].worker, part)
            }
        }
        for (worker, part) in parts { worker.loop.execute { worker.takeOver(part) } }
        return !parts.isEmpty
    }
}
