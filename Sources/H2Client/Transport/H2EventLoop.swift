import CNghttp2

/// A thread with epoll, timers and a job queue: the executor of the connections on it.
///
/// ```swift
/// let loop = H2EventLoop()
/// try await HTTP2Connection.withConnection(to: Origin("https://example.com"), on: loop) { connection in
///     try await withTaskExecutorPreference(loop.taskExecutor) {
///         // This task runs on the loop's thread, so its calls do not change threads.
///         let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/")
///         try await connection.send(request).body.discard()
///     }
/// }
/// loop.shutdown()
/// ```
///
/// As a `SerialExecutor` it is the executor of the connection actors on it. Callers prefer its ``taskExecutor``, so that their
/// tasks run on the same thread and reach a connection without changing threads.
///
/// One turn of the loop runs jobs and timers, flushes each connection that has data to send, and waits for readiness.
///
/// The thread starts when the loop is first used. It ends after ``shutdown()``, or when the loop is dropped. Connections,
/// clients with the loop in their configuration, and actors that use it as their executor keep a loop alive.
public final class H2EventLoop: SerialExecutor, LiveObject {
    /// The loop that the whole process shares. It starts at its first use and never stops.
    public static let shared = H2EventLoop()

    /// The executor that tasks can prefer: `withTaskExecutorPreference(loop.taskExecutor) { ... }`.
    public let taskExecutor: any TaskExecutor
    /// A client replaces it with its own loop.
    static let placeholder = H2EventLoop()
    private let thread: LoopThread
    private let queue: JobQueue

    /// Creates a loop whose thread starts at its first use.
    public convenience init() { self.init(LoopThread(poller: makePoller(), clock: nil)) }

    /// A loop without a thread, whose time is `clock` and whose turns are run by `turn()`. For simulation.
    package convenience init(simulatedClock clock: @escaping () -> UInt64) {
        self.init(LoopThread(poller: IdlePoller(), clock: clock))
    }

    init(_ thread: LoopThread) {
        self.thread = thread
        queue = thread.queue
        let executor = LoopTaskExecutor(thread)
        taskExecutor = executor
        thread.open(serial: UnownedSerialExecutor(ordinary: self), task: executor.asUnownedTaskExecutor())
    }

    deinit { thread.stop() }

    /// Ends the loop.
    ///
    /// Its connections end, and their requests fail. Requests and connections started on the loop after that fail with
    /// `clientShutDown`. Tasks that prefer the loop go on, and so do timers that are set; the thread ends when none are left.
    /// Can be called from anywhere, and more than once. Has no effect on ``shared``.
    public func shutdown() {
        guard self !== H2EventLoop.shared else { return }
        thread.stop()
    }

    /// Initialises TLS on the loop's thread, so that a program can do something else meanwhile, such as parsing its command
    /// line. Optional: otherwise the process's first TLS connection does it, and takes 1 to 2 ms longer.
    public func prepareTLS() { execute { ch2_warm_up_tls() } }

    // MARK: - Executor

    /// Runs a job on the loop's thread.
    public func enqueue(_ job: consuming ExecutorJob) { thread.enqueue(UnownedJob(job), executor: .serial) }

    /// A reference to this executor for Swift's runtime.
    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    /// Stops the program unless it is called on the loop's thread.
    public func checkIsolated() { preconditionInLoop() }

    /// Whether it is called on the loop's thread.
    public func isIsolatingCurrentContext() -> Bool? { isCurrent }

    /// Whether it has no thread and turns are run by `turn()`.
    var isSimulated: Bool { thread.isSimulated }

    /// True on the thread that runs this loop.
    package var isCurrent: Bool {
        @inline(__always) get { queue.isCurrent }
    }

    /// For code that checks `isCurrent` for every request.
    var identity: LoopIdentity { LoopIdentity(queue) }

    /// Traps off the loop's thread: a loop's state has no other protection.
    package func preconditionInLoop() {
        precondition(isCurrent, "this runs on its H2EventLoop's thread only")
    }

    /// Runs a call on the loop's thread, later in this turn or in the next one. Can be called from any thread.
    package func execute(_ call: @escaping @Sendable () -> Void) { thread.execute(call) }

    /// Runs `body` on the loop's thread: directly if that is the current thread, otherwise with a hop there and back.
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

    /// Monotonic nanoseconds, read once per turn.
    package var now: UInt64 {
        @inline(__always) get { thread.now }
    }

    /// Read buffer shared by all connections of the loop: bytes are consumed before the next read.
    package var readBuffer: UnsafeMutableRawBufferPointer { thread.readBuffer }

    /// Why nothing can be connected on this loop: it was shut down, or the system has no thread or descriptor left.
    package var failure: H2Error? { thread.presentFailure() }

    /// Has `flushable` flushed at the end of this turn.
    package func markDirty(_ flushable: any Flushable) { thread.markDirty(flushable) }
    /// The same for objects that others write to when flushed: they are flushed after the others, in the same turn.
    func markCarrierDirty(_ flushable: any Flushable) { thread.markCarrierDirty(flushable) }

    /// Runs `action` on the loop's thread once `nanoseconds` have passed, unless cancelled.
    package func schedule(after nanoseconds: UInt64, _ action: @escaping () -> Void) -> LoopTimer {
        thread.schedule(after: nanoseconds, action)
    }

    package func cancel(_ timer: LoopTimer) { thread.cancel(timer) }

    /// Notifies `handler` of input and, if requested, of room to write. If that is impossible (the loop was shut down, the
    /// system is out of watches), the handler's `unwatched` is called later.
    package func register(_ descriptor: CInt, writable: Bool = false, handler: any ReadinessHandler) {
        thread.register(descriptor, writable: writable, handler: handler)
    }

    package func update(_ descriptor: CInt, readable: Bool = true, writable: Bool) {
        thread.update(descriptor, readable: readable, writable: writable)
    }

    package func deregister(_ descriptor: CInt) { thread.deregister(descriptor) }

    /// Reads the clock in the middle of a turn, to measure what a long turn does.
    @inline(__always)
    package func readClock() { thread.readClock() }

    /// How much later than requested the system may end this thread's waits, to coalesce them; the system's default is 50,000
    /// ns. Does nothing if the system has no such setting.
    package func setTimerSlack(nanoseconds: UInt64) {
        preconditionInLoop()
        ch2_set_timer_slack(nanoseconds)
    }

    // MARK: - Turns

    /// Runs one turn without waiting, on the calling thread, which is the loop's thread for that time. For simulation.
    package func turn() { thread.turn(mayWait: false) }

    /// True while the loop has something to do now. For simulation.
    package var hasWork: Bool { thread.hasWork }

    /// The deadline of the next timer, if any. For simulation.
    package var nextTimer: UInt64? { thread.timers.earliestDeadline }

    /// Number of active timers. For simulation.
    package var timerCount: Int { thread.timers.count }

    // MARK: - Time

    package static func monotonicNanoseconds() -> UInt64 { ch2_monotonic_nanoseconds() }

    /// The loop's time, read now rather than once per turn. Can be called from any thread.
    package var preciseNow: UInt64 { thread.preciseNow }
}

extension [H2EventLoop] {
    /// A value for ``HTTPClient/Configuration/eventLoops``: each client with that configuration makes `count` loops of its own,
    /// and ends them when it is shut down or dropped. Fewer than 1 is an invalid configuration.
    public static func own(count: Int = 1) -> [H2EventLoop] {
        [H2EventLoop](repeating: .placeholder, count: Swift.max(count, 0))
    }
}

/// An object with output to send at the end of a turn.
package protocol Flushable: AnyObject {
    func flush()
}

/// Never waits: a simulated loop's wires are not descriptors.
private final class IdlePoller: Poller {
    var isEmpty: Bool { true }
    func open() -> CInt { 0 }
    func register(_ descriptor: CInt, writable: Bool, handler: any ReadinessHandler) -> CInt { 0 }
    func update(
        _ descriptor: CInt, readable: Bool, writable: Bool
    ) -> (handler: any ReadinessHandler, error: CInt)? { nil }
    func deregister(_ descriptor: CInt) {}
    func removeAll() -> [any ReadinessHandler] { [] }
    func wait(nanoseconds: UInt64?) -> CInt { 0 }
    func abandon() {}
    func tellHandlers() {}
    func wake() {}
}

extension Duration {
    /// Nanoseconds, clamped to the range from 0 to the maximum of a timer.
    package var clampedNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? UInt64.max / 4 : min(product &+ UInt64(attoseconds / 1_000_000_000), UInt64.max / 4)
    }

    package init(nanoseconds: UInt64) { self = .nanoseconds(Int64(clamping: nanoseconds)) }
}
