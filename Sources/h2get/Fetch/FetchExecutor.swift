import H2Client

/// The connections' event loop as the executor of `Fetch`, for tasks that prefer the loop's task executor.
///
/// The runtime changes executors at each await if the current pair of serial and task executor differs from that of the task.
/// `H2EventLoop` runs jobs of actors without naming a task executor, so a task that prefers one would be enqueued again at every
/// await, two dozen times for each transfer. Here jobs run with both.
final class FetchExecutor: SerialExecutor {
    static let shared = FetchExecutor()

    private let loop = H2EventLoop.shared

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let (serial, task) = (asUnownedSerialExecutor(), loop.taskExecutor.asUnownedTaskExecutor())
        loop.execute { job.runSynchronously(isolatedTo: serial, taskExecutor: task) }
    }

    func checkIsolated() { loop.checkIsolated() }

    func isIsolatingCurrentContext() -> Bool? { loop.isIsolatingCurrentContext() }
}
