/// A thread with epoll, timers and a job queue; the executor of the connections that live on it.
public final class EventLoop: Sendable {
    /// The process-wide loop, started at its first use.
    public static let shared = EventLoop()
    public init() {}
    /// Stops the thread once its connections are closed.
    public func shutdown() {}
    /// The door that tasks can prefer.
    public var taskExecutor: any TaskExecutor { fatalError("stub") }
}
