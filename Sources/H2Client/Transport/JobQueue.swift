import CNghttp2

/// The work of a loop: jobs of Swift's concurrency runtime, with the executor they came through, and calls. It also tracks
/// whether a thread is there to run them.
///
/// Invariant behind `@unchecked Sendable`: `inbox` is accessed only under `lock`; `jobs` and `calls` only by the thread that
/// runs the loop (`isCurrent`).
final class JobQueue: @unchecked Sendable {
    enum ExecutorKind { case serial, task }
    typealias Job = (job: UnownedJob, executor: ExecutorKind)
    typealias Call = @Sendable () -> Void

    /// The state of the thread that runs the loop's turns.
    enum Runner {
        /// None: the next post must start a thread.
        case none
        /// A thread that will check the inbox before it waits. A simulated loop is always in this state.
        case awake
        /// A thread that is waiting and must be woken.
        case asleep
    }

    private struct Inbox {
        var jobs: [Job] = []
        var calls: [Call] = []
        var runner: Runner
        var isStopping = false
    }

    private let lock = PthreadLock()
    // Unchecked exclusivity: `inbox` is used under the lock, the others by the loop's own thread, and no job runs meanwhile.
    @exclusivity(unchecked) private var inbox: Inbox

    @exclusivity(unchecked) var jobs: [Job] = []
    @exclusivity(unchecked) var calls: [Call] = []

    init(_ runner: Runner) { inbox = Inbox(runner: runner) }

    /// True on the thread that runs the loop.
    var isCurrent: Bool {
        @inline(__always) get { ch2_current_loop() == Unmanaged.passUnretained(self).toOpaque() }
    }

    /// Makes the calling thread the loop's thread. Returns its previous loop.
    func enter() -> UnsafeMutableRawPointer? {
        defer { ch2_set_current_loop(Unmanaged.passUnretained(self).toOpaque()) }
        return ch2_current_loop()
    }

    var isEmpty: Bool { jobs.isEmpty && calls.isEmpty }

    // MARK: - From other threads
    // Each returns the previous state of the runner. The runner is awake afterwards: the caller wakes or starts it.

    func post(_ job: UnownedJob, executor: ExecutorKind) -> Runner { post { $0.jobs.append((job, executor)) } }

    func post(_ call: @escaping Call) -> Runner { post { $0.calls.append(call) } }

    /// Makes the loop end when it has nothing left to do. A loop that is not running has nothing to end.
    func stop() -> Runner {
        lock.withLock {
            inbox.isStopping = true
            guard inbox.runner == .asleep else { return .awake }
            inbox.runner = .awake
            return .asleep
        }
    }

    private func post(_ change: (inout Inbox) -> Void) -> Runner {
        lock.withLock {
            change(&inbox)
            defer { inbox.runner = .awake }
            return inbox.runner
        }
    }

    // MARK: - On the loop's thread

    /// Takes over posts of other threads. Returns true once the loop should end.
    func takeInbox() -> Bool {
        lock.withLock {
            inbox.runner = .awake
            if !inbox.jobs.isEmpty {
                jobs.append(contentsOf: inbox.jobs)
                inbox.jobs.removeAll(keepingCapacity: true)
            }
            if !inbox.calls.isEmpty {
                calls.append(contentsOf: inbox.calls)
                inbox.calls.removeAll(keepingCapacity: true)
            }
            return inbox.isStopping
        }
    }

    /// Returns true if nothing was posted: from here on, each post wakes the poller.
    /// - Parameter isStopping: the result of `takeInbox`.
    func mayFallAsleep(isStopping: Bool) -> Bool {
        lock.withLock {
            let isIdle = inbox.jobs.isEmpty && inbox.calls.isEmpty && inbox.isStopping == isStopping
            if isIdle { inbox.runner = .asleep }
            return isIdle
        }
    }

    /// Releases the thread, unless something was posted.
    func retire() -> Bool {
        lock.withLock {
            guard inbox.jobs.isEmpty && inbox.calls.isEmpty else { return false }
            inbox.runner = .none
            return true
        }
    }

    /// Whether other threads have posted something.
    var hasPosted: Bool { lock.withLock { !inbox.jobs.isEmpty || !inbox.calls.isEmpty } }
}

/// Identifies the loop that owns an object, to compare with the current thread's without retaining the loop.
struct LoopIdentity: @unchecked Sendable {
    // Only compared, never dereferenced.
    private let queue: UnsafeMutableRawPointer

    init(_ queue: JobQueue) { self.queue = Unmanaged.passUnretained(queue).toOpaque() }

    /// True on the thread that runs the loop.
    @inline(__always)
    var isCurrent: Bool { ch2_current_loop() == queue }
}

/// The loop as a TaskExecutor. It is a separate class: if one class were both executors, the runtime would take an actor's call
/// on the same loop for a change of executors and enqueue it.
final class LoopTaskExecutor: TaskExecutor {
    private let thread: LoopThread

    init(_ thread: LoopThread) { self.thread = thread }

    func enqueue(_ job: consuming ExecutorJob) { thread.enqueue(UnownedJob(job), executor: .task) }

    func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }
}
