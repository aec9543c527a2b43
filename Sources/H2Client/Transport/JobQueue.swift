import CNghttp2

/// What a loop has to run: jobs of Swift's concurrency runtime, by the door they came through, and calls.
///
/// Both doors of a loop hold it, and neither holds the loop, so that a loop that was shut down goes with its last user.
///
/// Invariant behind `@unchecked Sendable`: `inbox` is touched under `lock` alone; `jobs` and `calls` only by the thread that
/// runs the loop, which `isCurrent` tells.
final class JobQueue: @unchecked Sendable {
    enum Door { case serial, task }
    typealias Job = (job: UnownedJob, door: Door)
    typealias Call = @Sendable () -> Void

    private struct Inbox {
        var jobs: [Job] = []
        var calls: [Call] = []
        var isAsleep = false
        var isStopping = false
    }

    private let lock = PthreadLock()
    @exclusivity(unchecked) private var inbox = Inbox()
    private let poller: any Poller

    /// Of the loop's own thread.
    @exclusivity(unchecked) var jobs: [Job] = []
    @exclusivity(unchecked) var calls: [Call] = []

    init(poller: any Poller) { self.poller = poller }

    /// True on the thread that runs the loop.
    var isCurrent: Bool {
        @inline(__always) get { ch2_current_loop() == Unmanaged.passUnretained(self).toOpaque() }
    }

    /// Makes the calling thread the loop's; what it was before.
    func enter() -> UnsafeMutableRawPointer? {
        defer { ch2_set_current_loop(Unmanaged.passUnretained(self).toOpaque()) }
        return ch2_current_loop()
    }

    var isEmpty: Bool { jobs.isEmpty && calls.isEmpty }

    /// From any thread: a plain array on the loop's own, a lock and at most one wake-up from another.
    func enqueue(_ job: UnownedJob, door: Door) {
        if isCurrent { jobs.append((job, door)) } else { post { $0.jobs.append((job, door)) } }
    }

    func enqueue(_ call: @escaping Call) {
        if isCurrent { calls.append(call) } else { post { $0.calls.append(call) } }
    }

    func stop() {
        lock.withLock { inbox.isStopping = true }
        poller.wake()
    }

    private func post(_ change: (inout Inbox) -> Void) {
        let mustWake = lock.withLock {
            change(&inbox)
            defer { inbox.isAsleep = false }
            return inbox.isAsleep
        }
        if mustWake { poller.wake() }
    }

    // MARK: - On the loop's thread

    /// Takes over what other threads have posted. False once the loop has to stop.
    func takeInbox() -> Bool {
        lock.withLock {
            inbox.isAsleep = false
            if !inbox.jobs.isEmpty {
                jobs.append(contentsOf: inbox.jobs)
                inbox.jobs.removeAll(keepingCapacity: true)
            }
            if !inbox.calls.isEmpty {
                calls.append(contentsOf: inbox.calls)
                inbox.calls.removeAll(keepingCapacity: true)
            }
            return !inbox.isStopping
        }
    }

    /// True where nothing was posted: from here on, whoever posts wakes the poller.
    func mayFallAsleep() -> Bool {
        lock.withLock {
            let isIdle = inbox.jobs.isEmpty && inbox.calls.isEmpty && !inbox.isStopping
            inbox.isAsleep = isIdle
            return isIdle
        }
    }

    /// Whether other threads have posted something.
    var hasPosted: Bool { lock.withLock { !inbox.jobs.isEmpty || !inbox.calls.isEmpty } }
}

/// Which loop something lives on, to be compared with the thread's own without a retain of the loop.
struct LoopIdentity: @unchecked Sendable {
    // Never dereferenced: only compared.
    private let queue: UnsafeMutableRawPointer

    init(_ queue: JobQueue) { self.queue = Unmanaged.passUnretained(queue).toOpaque() }

    /// True on the thread that runs the loop.
    @inline(__always)
    var isCurrent: Bool { ch2_current_loop() == queue }
}

/// The loop as a TaskExecutor: a class of its own, since one class that was both would make the runtime take an actor's
/// call on the same loop for a change of executors, and enqueue it.
final class TaskDoor: TaskExecutor {
    private let queue: JobQueue

    init(queue: JobQueue) { self.queue = queue }

    /// A job for a loop that was shut down is never run.
    func enqueue(_ job: consuming ExecutorJob) { queue.enqueue(UnownedJob(job), door: .task) }

    func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }
}
