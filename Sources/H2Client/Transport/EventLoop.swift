import CNghttp2

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A thread with epoll, timers and a job queue; the executor of the connections that live on it.
///
/// It has two doors. As a `SerialExecutor` it is the executor of the `HTTP2Connection` actors on it. Its `taskExecutor`
/// is what callers prefer, so that their tasks run on the same thread and reach a connection without a hop.
///
/// One turn: jobs, timers, one flush of each connection that has something to send, one wait for readiness.
///
/// Invariant behind `@unchecked Sendable`: everything that changes here is touched only by the thread that runs the loop,
/// which `preconditionInLoop` checks; other threads get no further than `JobQueue`.
public final class EventLoop: SerialExecutor, @unchecked Sendable {
    /// The process-wide loop, started at its first use and never stopped.
    public static let shared = EventLoop()

    /// The door that tasks can prefer: `withTaskExecutorPreference(loop.taskExecutor) { ... }`.
    public let taskExecutor: any TaskExecutor
    private let door: TaskDoor
    private let queue: JobQueue
    private let poller: any Poller
    private let clock: (() -> UInt64)?
    @exclusivity(unchecked) private var runningJobs: [JobQueue.Job] = []
    @exclusivity(unchecked) private var timers = TimerQueue()
    @exclusivity(unchecked) private var dirty: [any Flushable] = []
    @exclusivity(unchecked) private var flushing: [any Flushable] = []
    /// Monotonic nanoseconds, taken once a turn.
    @exclusivity(unchecked) package private(set) var now: UInt64

    /// Scratch for reads, shared by all connections of the loop: bytes are consumed before the next read.
    package let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    /// Starts a thread. It lives until `shutdown()`.
    public convenience init() {
        self.init(poller: makePoller(), clock: nil)
        startThread()
    }

    /// A loop without a thread, whose time is `clock`: somebody calls `turn()`. For simulation.
    package convenience init(simulatedClock clock: @escaping () -> UInt64) {
        self.init(poller: IdlePoller(), clock: clock)
    }

    private init(poller: any Poller, clock: (() -> UInt64)?) {
        queue = JobQueue(poller: poller)
        door = TaskDoor(queue: queue)
        taskExecutor = door
        self.poller = poller
        self.clock = clock
        self.now = clock?() ?? EventLoop.monotonicNanoseconds()
    }

    deinit { readBuffer.deallocate() }

    /// Ends the thread after the turn it is in. Connections on the loop must be closed first; tasks that still prefer
    /// the loop are never run again. Does nothing to `shared`.
    public func shutdown() {
        guard self !== EventLoop.shared else { return }
        queue.stop()
    }

    /// Loads, on the loop's thread, what the process's first TLS connection needs, so that a program can do something else
    /// meanwhile (parse its command line, say). Optional: the first connection does it otherwise, and takes 2 to 3 ms
    /// longer.
    public func prepareTLS() { execute { TLSContext.warmUp() } }

    // MARK: - Executor

    public func enqueue(_ job: consuming ExecutorJob) { queue.enqueue(UnownedJob(job), door: .serial) }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    public func checkIsolated() { preconditionInLoop() }

    public func isIsolatingCurrentContext() -> Bool? { isCurrent }

    /// Whether it has no thread: somebody calls `turn()`.
    var isSimulated: Bool { clock != nil }

    /// True on the thread that runs this loop.
    package var isCurrent: Bool {
        @inline(__always) get { queue.isCurrent }
    }

    /// For what asks `isCurrent` for every request.
    var identity: LoopIdentity { LoopIdentity(queue) }

    /// Traps off the loop's thread: what a loop owns has no other protection.
    package func preconditionInLoop() {
        precondition(isCurrent, "this runs on its EventLoop's thread only")
    }

    /// Runs a call on the loop's thread, in a later part of this turn or the next turn. From any thread.
    package func execute(_ call: @escaping @Sendable () -> Void) {
        queue.enqueue(call)
    }

    /// Runs `body` on the loop's thread: at once where that is the caller's, else by a hop there and back.
    nonisolated(nonsending) func run<R: Sendable>(_ body: @escaping @Sendable () -> R) async -> R {
        if isCurrent { return body() }
        let result = await withUnsafeContinuation { continuation in
            execute {
                let result = body()
                Handover.give(self)
                continuation.resume(returning: result)
            }
        }
        Handover.take(self)
        return result
    }

    // MARK: - On the loop's thread

    /// Flushes at the end of this turn.
    package func markDirty(_ flushable: any Flushable) { dirty.append(flushable) }

    /// Runs `action` on the loop's thread once `nanoseconds` have passed, unless cancelled.
    package func schedule(after nanoseconds: UInt64, _ action: @escaping () -> Void) -> LoopTimer {
        let timer = LoopTimer(deadline: now &+ min(nanoseconds, UInt64.max / 4), action: action)
        timers.insert(timer)
        return timer
    }

    package func cancel(_ timer: LoopTimer) { timers.remove(timer) }

    package func register(_ descriptor: CInt, writable: Bool = false, handler: any ReadinessHandler) {
        poller.register(descriptor, writable: writable, handler: handler)
    }

    package func update(_ descriptor: CInt, readable: Bool = true, writable: Bool) {
        poller.update(descriptor, readable: readable, writable: writable)
    }

    package func deregister(_ descriptor: CInt) { poller.deregister(descriptor) }

    /// Reads the clock in the middle of a turn, for who measures what a long turn does.
    @inline(__always)
    package func readClock() { now = preciseNow }

    // MARK: - Turns

    private func startThread() {
        // The thread holds the loop until it is shut down.
        let status = startDetachedThread { [self] in
            ch2_name_this_thread("h2-loop")
            run()
        }
        precondition(status == 0, "cannot start an event loop's thread, error \(status)")
    }

    private func run() {
        while turn(mayWait: true) {}
        // What timers hold may hold the loop.
        timers = TimerQueue()
    }

    /// One turn without waiting, on the calling thread, which becomes the loop's for its length. For simulation.
    package func turn() { _ = turn(mayWait: false) }

    /// True while the loop has something to do at once. For simulation.
    package var hasWork: Bool {
        !queue.isEmpty || !dirty.isEmpty || queue.hasPosted
    }

    /// The next timer's time, if any. For simulation.
    package var nextTimer: UInt64? { timers.earliestDeadline }

    /// Timers that are set. For simulation.
    package var timerCount: Int { timers.count }

    private func turn(mayWait: Bool) -> Bool {
        let outer = queue.enter()
        defer { ch2_set_current_loop(outer) }

        // A simulated loop's clock has moved since its last turn; a real one's was read after the wait.
        if let clock { now = clock() }
        let mayGoOn = queue.takeInbox()
        // Jobs beget jobs: run a few generations before turning to the wires, but not for ever.
        var generations = 0
        while !queue.isEmpty, generations < 16 {
            runJobs()
            generations += 1
        }
        while let action = timers.popDue(now: now) { action() }
        flush()

        var timeout: UInt64? = 0
        if mayWait && mayGoOn && queue.isEmpty && dirty.isEmpty && queue.mayFallAsleep() {
            timeout = timers.earliestDeadline.map { $0 > now ? $0 - now : 0 }
        }
        poller.wait(nanoseconds: timeout)
        // The wait may have been long, and a timer that a handler sets counts from its own now.
        now = preciseNow
        poller.tellHandlers()
        return mayGoOn
    }

    private func runJobs() {
        if !queue.calls.isEmpty {
            let batch = queue.calls
            queue.calls = []
            for call in batch { call() }
        }
        swap(&queue.jobs, &runningJobs)
        let serial = asUnownedSerialExecutor()
        let task = door.asUnownedTaskExecutor()
        for index in runningJobs.indices {
            let (job, door) = runningJobs[index]
            switch door {
            case .serial: job.runSynchronously(on: serial)
            case .task: job.runSynchronously(on: task)
            }
        }
        runningJobs.removeAll(keepingCapacity: true)
    }

    private func flush() {
        guard !dirty.isEmpty else { return }
        swap(&dirty, &flushing)
        for flushable in flushing { flushable.flush() }
        flushing.removeAll(keepingCapacity: true)
    }

    // MARK: - Time

    package static func monotonicNanoseconds() -> UInt64 { ch2_monotonic_nanoseconds() }

    /// The time as this loop counts it, read now rather than once a turn; from any thread.
    package var preciseNow: UInt64 { clock?() ?? EventLoop.monotonicNanoseconds() }
}

/// What has something to send at the end of a turn.
package protocol Flushable: AnyObject {
    func flush()
}

/// Waits for nothing: a simulated loop's wires are not descriptors.
private final class IdlePoller: Poller {
    func register(_ descriptor: CInt, writable: Bool, handler: any ReadinessHandler) {}
    func update(_ descriptor: CInt, readable: Bool, writable: Bool) {}
    func deregister(_ descriptor: CInt) {}
    func wait(nanoseconds: UInt64?) {}
    func tellHandlers() {}
    func wake() {}
}

extension Duration {
    /// Nanoseconds, clamped to 0... and to what a timer can take.
    package var clampedNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? UInt64.max / 4 : min(product &+ UInt64(attoseconds / 1_000_000_000), UInt64.max / 4)
    }

    package init(nanoseconds: UInt64) { self = .nanoseconds(Int64(clamping: nanoseconds)) }
}
