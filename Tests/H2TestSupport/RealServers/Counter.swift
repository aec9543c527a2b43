import H2Platform

/// A number that many threads count up or add to.
///
/// A pthread lock and not Synchronization's, about which ThreadSanitizer is wrong on Linux.
public final class Counter: @unchecked Sendable {
    // Right because `number` is touched under `lock` only.
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var number: Int

    public init(_ number: Int = 0) {
        self.number = number
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    public var value: Int { increment(by: 0) }

    /// Adds and returns the sum.
    @discardableResult
    public func increment(by amount: Int = 1) -> Int {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        number += amount
        return number
    }
}
