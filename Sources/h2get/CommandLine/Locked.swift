import H2Client

/// A value that one thread at a time uses, as with `Synchronization.Mutex`, but under a lock that ThreadSanitizer knows.
///
/// Invariant behind `@unchecked Sendable`: `value` is used under `lock`.
final class Locked<Value: Sendable>: @unchecked Sendable {
    private let lock = PthreadLock()
    private var value: Value

    init(_ value: Value) { self.value = value }

    func withLock<R, E: Error>(_ body: (inout Value) throws(E) -> R) throws(E) -> R {
        try lock.withLock { () throws(E) in try body(&value) }
    }
}
