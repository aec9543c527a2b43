import H2Client
import H2Platform
public import Testing

/// Runs each test of a suite on threads of its own.
///
/// Swift's pool has as many threads as the machine has cores. A test that blocks or computes for seconds holds one of them,
/// and two such tests hold up every other test of a machine with two cores: those with time limits then fail. Suites of such
/// tests have this trait, and so have suites that must not be held up by any other.
public struct OwnThreads: SuiteTrait, TestTrait, TestScoping {
    public let isRecursive = true

    public func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        if testCase == nil { return try await function() }
        try await withTaskExecutorPreference(ThreadPerJob()) { try await function() }
    }
}

extension Trait where Self == OwnThreads {
    public static var ownThreads: OwnThreads { OwnThreads() }
}

/// Runs each job on a new thread.
private final class ThreadPerJob: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let status = startDetachedThread { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        precondition(status == 0, "cannot start a thread: \(status)")
    }
}
