import H2Platform

/// Lets a synchronous main wait for a task.
///
/// Invariant behind `@unchecked Sendable`: the semaphore is made before it is shared, and orders the write of `status`
/// before its read.
final class DispatchlessSemaphore: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private var status: CInt = 0

    init() { sem_init(semaphore, 0, 0) }

    func signal(_ status: CInt) {
        self.status = status
        sem_post(semaphore)
    }

    func wait() -> CInt {
        while sem_wait(semaphore) != 0 {}
        return status
    }
}
