import Synchronization

/// True once.
final class Once: Sendable {
    private let isDone = Atomic<Bool>(false)
    func first() -> Bool { !isDone.exchange(true, ordering: .relaxed) }
}

/// Lets whoever waits go on when it is opened.
final class Gate: Sendable {
    private let (stream, continuation) = AsyncStream<Void>.makeStream()
    func open() { continuation.finish() }
    func wait() async { for await _ in stream {} }
}
