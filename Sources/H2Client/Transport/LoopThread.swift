import CNghttp2
import H2Platform

/// The turns of an `H2EventLoop`, and the thread that runs them.
///
/// The thread is started by the first post, and holds this object rather than the loop, so that an unused loop is released,
/// which ends the thread. A loop that ends fails everything that waits for descriptors, and its thread exits once there is
/// nothing left to run or wait for. A later post starts a thread again for as long as needed: calls on a loop that was shut
/// down complete instead of hanging.
///
/// Invariant behind `@unchecked Sendable`: all mutable state here is accessed only by the thread that runs the loop, and one
/// thread hands over to the next under the queue's lock; other threads use only `queue`, `wake` and `startThread`.
final class LoopThread: @unchecked Sendable {
    let queue: JobQueue
    private let poller: any Poller
    private let clock: (() -> UInt64)?
    private let start: @Sendable (@escaping @Sendable () -> Void) -> CInt
    // Unchecked exclusivity: once the thread runs, only it uses these, and nothing here is passed inout to a job or a handler.

    // Unowned: a job of an executor exists only as long as the executor, which its actor or task keeps alive.
    @exclusivity(unchecked) private var executors: (serial: UnownedSerialExecutor, task: UnownedTaskExecutor)?
    @exclusivity(unchecked) private var runningJobs: [JobQueue.Job] = []
    @exclusivity(unchecked) private(set) var timers = TimerQueue()
    @exclusivity(unchecked) private var dirty: [any Flushable] = []
    @exclusivity(unchecked) private var flushing: [any Flushable] = []
    /// Objects flushed after those, in the same turn, since those write to them.
    @exclusivity(unchecked) private var carriers: [any Flushable] = []
    /// Monotonic nanoseconds, read once per turn.
    @exclusivity(unchecked) fileprivate(set) var now: UInt64
    /// Why no descriptor can be watched: the loop was shut down, or the system has no thread or descriptor left.
    @exclusivity(unchecked) private var failure: H2Error?
    /// Whether `failure` is a lack of descriptors, which may be over by now.
    @exclusivity(unchecked) private var mayReopen = false
    @exclusivity(unchecked) private var isStopping = false

    /// Read buffer shared by all connections of the loop: bytes are consumed before the next read.
    let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    /// - Parameter start: starts a thread and returns 0 or pthread_create's error. For tests.
    init(
        poller: any Poller, clock: (() -> UInt64)?,
        start: @escaping @Sendable (@escaping @Sendable () -> Void) -> CInt = startDetachedThread
    ) {
        // A simulated loop runs on the thread that calls `turn`.
        queue = JobQueue(clock == nil ? .none : .awake)
        self.poller = poller
        self.clock = clock
        self.start = start
        now = clock?() ?? H2EventLoop.monotonicNanoseconds()
    }

    deinit { readBuffer.deallocate() }

    /// Whether turns are run by calls of `turn` instead of a thread.
    var isSimulated: Bool { clock != nil }

    /// Sets the executors, before anything is posted.
    func open(serial: UnownedSerialExecutor, task: UnownedTaskExecutor) { executors = (serial, task) }

    // MARK: - From any thread

    func enqueue(_ job: UnownedJob, executor: JobQueue.ExecutorKind) {
        if queue.isCurrent { queue.jobs.append((job, executor)) } else { rouse(queue.post(job, executor: executor)) }
    }

    func execute(_ call: @escaping JobQueue.Call) {
        if queue.isCurrent { queue.calls.append(call) } else { rouse(queue.post(call)) }
    }

    func stop() { rouse(queue.stop()) }

    private func rouse(_ runner: JobQueue.Runner) {
        switch runner {
        case .awake: break
        case .asleep: poller.wake()
        case .none: startThread()
        }
    }

    /// The loop's time, read now rather than once per turn.
    var preciseNow: UInt64 { clock?() ?? H2EventLoop.monotonicNanoseconds() }

    private func startThread() {
        let status = start {
            ch2_name_this_thread("h2-loop")
            self.run(threadError: 0)
        }
        guard status != 0 else { return }
        // Posted work must complete. A thread of Swift's pool runs it, and since that thread must be given back, nothing can be
        // watched: everything that needs a descriptor fails at once with this error.
        Task.detached { self.run(threadError: status) }
    }

    // MARK: - On the loop's thread

    func markDirty(_ flushable: any Flushable) { dirty.append(flushable) }

    /// The same, but if others are being flushed, this is flushed after them in this turn.
    func markCarrierDirty(_ flushable: any Flushable) {
        if flushing.isEmpty { dirty.append(flushable) } else { carriers.append(flushable) }
    }

    func schedule(after nanoseconds: UInt64, _ action: @escaping () -> Void) -> LoopTimer {
        let timer = LoopTimer(deadline: now &+ min(nanoseconds, UInt64.max / 4), action: action)
        timers.insert(timer)
        return timer
    }

    func cancel(_ timer: LoopTimer) { timers.remove(timer) }

    /// Why no descriptor can be watched at present. If the system was out of descriptors, this tries again.
    func presentFailure() -> H2Error? {
        if mayReopen { openPoller() }
        return failure
    }

    private func openPoller() {
        let status = poller.open()
        mayReopen = status != 0
        failure = status == 0 ? nil : Self.exhausted("make an event loop's descriptors", status)
    }

    func register(_ descriptor: CInt, writable: Bool, handler: any ReadinessHandler) {
        if let failure = presentFailure() { return tell(handler, failure) }
        let status = poller.register(descriptor, writable: writable, handler: handler)
        if status != 0 { tell(handler, Self.cannotWatch(status)) }
    }

    func update(_ descriptor: CInt, readable: Bool, writable: Bool) {
        guard let (handler, status) = poller.update(descriptor, readable: readable, writable: writable) else { return }
        tell(handler, Self.cannotWatch(status))
    }

    func deregister(_ descriptor: CInt) { poller.deregister(descriptor) }

    /// Notifies the handler later, since it is in the middle of something.
    private func tell(_ handler: any ReadinessHandler, _ error: H2Error) {
        let handler = LoopBound(handler)
        queue.calls.append { handler.value.unwatched(error) }
    }

    func readClock() { now = preciseNow }

    // MARK: - Turns

    /// The main function of the thread.
    private func run(threadError: CInt) {
        isStopping = false
        if threadError != 0 {
            mayReopen = false
            failure = Self.exhausted("start an event loop's thread", threadError)
        } else {
            openPoller()
        }
        now = preciseNow
        repeat { turn(mayWait: true) } while !mayRetire
    }

    /// Whether this thread is no longer needed.
    private var mayRetire: Bool { failure != nil && isIdle && queue.retire() }

    private var isIdle: Bool { queue.isEmpty && dirty.isEmpty && timers.count == 0 && poller.isEmpty }

    /// True while the loop has something to do now.
    var hasWork: Bool { !queue.isEmpty || !dirty.isEmpty || queue.hasPosted }

    func turn(mayWait: Bool) {
        let outer = queue.enter()
        defer { ch2_set_current_loop(outer) }

        // A simulated loop's clock may have advanced since its last turn; a real one's was read after the wait.
        if let clock { now = clock() }
        if queue.takeInbox() && !isStopping { end() }
        // Jobs may add jobs: run a few generations before turning to the wires, but not endlessly.
        var generations = 0
        while !queue.isEmpty, generations < 16 {
            runJobs()
            generations += 1
        }
        while let action = timers.popDue(now: now) { action() }
        flush()

        var timeout: UInt64? = 0
        if mayWait && queue.isEmpty && dirty.isEmpty && !(failure != nil && isIdle)
            && queue.mayFallAsleep(isStopping: isStopping)
        {
            timeout = timers.earliestDeadline.map { $0 > now ? $0 - now : 0 }
        }
        if case let status = poller.wait(nanoseconds: timeout), status != 0 { cannotWait(status) }
        // The wait may have been long, and timers set by handlers count from the loop's now.
        now = preciseNow
        poller.tellHandlers()
    }

    /// The loop was shut down or released: tells everything that waits for a descriptor.
    private func end() {
        isStopping = true
        mayReopen = false
        let error = H2Error(
            .clientShutDown, initiator: .user, message: "the event loop was shut down",
            remedy: "use a loop that runs", isRetryable: true)
        if failure == nil { failure = error }
        for handler in poller.removeAll() { tell(handler, error) }
    }

    /// The kernel cannot wait, or not for these descriptors: someone may have closed them. Retrying would be a busy loop that
    /// ignores its connections, so those end here. New ones are opened when needed.
    private func cannotWait(_ code: CInt) {
        let error = Self.exhausted("wait for sockets", code)
        if failure == nil {
            failure = error
            mayReopen = true
        }
        for handler in poller.removeAll() { tell(handler, error) }
        poller.abandon()
    }

    private func runJobs() {
        if !queue.calls.isEmpty {
            let batch = queue.calls
            queue.calls = []
            for call in batch { call() }
        }
        guard !queue.jobs.isEmpty, let executors else { return }
        swap(&queue.jobs, &runningJobs)
        for index in runningJobs.indices {
            let (job, executor) = runningJobs[index]
            switch executor {
            case .serial: job.runSynchronously(on: executors.serial)
            case .task: job.runSynchronously(on: executors.task)
            }
        }
        runningJobs.removeAll(keepingCapacity: true)
    }

    private func flush() {
        guard !dirty.isEmpty else { return }
        swap(&dirty, &flushing)
        for flushable in flushing { flushable.flush() }
        if !carriers.isEmpty { flushCarriers() }
        flushing.removeAll(keepingCapacity: true)
    }

    @inline(never)
    private func flushCarriers() {
        // One may be added again: what it carries is written to meanwhile.
        var next = 0
        while next < carriers.count {
            carriers[next].flush()
            next += 1
        }
        carriers.removeAll(keepingCapacity: true)
    }

    // MARK: - Messages

    private static func cannotWatch(_ code: CInt) -> H2Error { exhausted("watch a socket", code) }

    static func exhausted(_ what: String, _ code: CInt) -> H2Error {
        H2Error(
            .localIO, cause: .errno(code), message: "cannot \(what): \(describeErrno(code))",
            remedy: exhaustionRemedy(code), isRetryable: true)
    }
}
