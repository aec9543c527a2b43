/// The current token of a closure that fetches them, shared by all requests with the same ``HTTPAuthentication``.
///
/// At most one call of the closure is in progress, on behalf of all waiting requests. It is not a child task of any of
/// them, so a cancelled request does not end it for the others. It is cancelled when no request waits any more.
///
/// Invariant behind `@unchecked Sendable`: mutable state is accessed only under `lock`, a leaf.
final class BearerTokens: @unchecked Sendable {
    typealias Fetch = @Sendable () async throws -> HTTPAuthentication.Token

    /// A token and its sequence number, counted from 1.
    struct Issue: Sendable {
        let token: HTTPAuthentication.Token
        let number: Int
    }

    private struct Refresh {
        let number: Int
        var waiters: [TimedWait<Issue>]
        var task: Task<Void, Never>?
    }

    private enum Step {
        case use(Issue)
        case wait(refresh: Int, isFirst: Bool)
    }

    /// The instances whose closure this task runs in. Requests from that closure cannot wait for the token that it
    /// fetches.
    @TaskLocal private static var fetching: [ObjectIdentifier] = []

    private let fetch: Fetch
    private let lock = PthreadLock()
    private var current: Issue?
    private var refresh: Refresh?
    private var lastRefresh = 0
    private var lastIssue = 0

    init(_ fetch: @escaping Fetch) { self.fetch = fetch }

    /// Whether the current task runs in the closure.
    var isFetchingHere: Bool { Self.fetching.contains(ObjectIdentifier(self)) }

    /// The number of requests that wait for a token.
    var waiterCount: Int { lock.withLock { refresh?.waiters.count ?? 0 } }

    /// A token that has not expired and has not been refused by a server.
    /// - Throws: the errors of the closure; `H2Error` (`timeout`), `CancellationError`.
    nonisolated(nonsending) func token(_ limits: WaitLimits) async throws -> Issue {
        let wait = TimedWait<Issue>(limits.loop)
        let step: Step = lock.withLock {
            if let current, !current.token.isExpired { return .use(current) }
            if refresh != nil {
                refresh?.waiters.append(wait)
                return .wait(refresh: lastRefresh, isFirst: false)
            }
            lastRefresh += 1
            refresh = Refresh(number: lastRefresh, waiters: [wait])
            return .wait(refresh: lastRefresh, isFirst: true)
        }
        switch step {
        case .use(let issue): return issue
        case .wait(let number, let isFirst):
            if isFirst { start(number) }
            do {
                return try await wait.wait(within: limits.timeout, calledAt: limits.calledAt)
            } catch {
                leave(wait, number)
                throw error
            }
        }
    }

    /// Notes that a server refused the token. A newer token stays.
    func refuse(number: Int) {
        lock.withLock {
            if current?.number == number { current = nil }
        }
    }

    /// Starts the closure in its own task, outside the lock: an executor may run it immediately.
    ///
    /// Invariant: `refresh` owns the task. It is cancelled when the last waiter leaves.
    private func start(_ number: Int) {
        let task = Task {
            let result: Result<HTTPAuthentication.Token, any Error>
            do {
                let fetching = Self.fetching + [ObjectIdentifier(self)]
                let token = try await Self.$fetching.withValue(fetching) { try await fetch() }
                try token.validate()
                result = .success(token)
            } catch {
                result = .failure(error)
            }
            finish(number, result)
        }
        // The task may have ended already; cancelling it then does nothing.
        let isAbandoned = lock.withLock {
            guard refresh?.number == number else { return true }
            refresh?.task = task
            return false
        }
        if isAbandoned { task.cancel() }
    }

    private func finish(_ number: Int, _ result: Result<HTTPAuthentication.Token, any Error>) {
        let (waiters, outcome): ([TimedWait<Issue>], Result<Issue, any Error>) = lock.withLock {
            guard refresh?.number == number else { return ([], .failure(CancellationError())) }
            let waiters = refresh?.waiters ?? []
            refresh = nil
            let outcome = result.map { token in
                lastIssue += 1
                return Issue(token: token, number: lastIssue)
            }
            if case .success(let issue) = outcome { current = issue }
            return (waiters, outcome)
        }
        for waiter in waiters { waiter.finish(outcome) }
    }

    /// Removes a waiter that was cancelled or ran out of time.
    private func leave(_ wait: TimedWait<Issue>, _ number: Int) {
        let task: Task<Void, Never>? = lock.withLock {
            guard refresh?.number == number else { return nil }
            refresh?.waiters.removeAll { $0 === wait }
            guard refresh?.waiters.isEmpty == true else { return nil }
            defer { refresh = nil }
            return refresh?.task
        }
        task?.cancel()
    }
}
