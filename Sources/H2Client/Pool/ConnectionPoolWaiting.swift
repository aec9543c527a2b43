// Requests that wait: for a connection or stream, or before they are sent again.

/// By when something must have happened.
struct Deadline {
    /// Monotonic nanoseconds.
    let at: UInt64
    let phase: H2Error.Phase
    /// From the call.
    let limit: Duration
}

extension ConnectionPool {
    /// Waits until the request is given a connection. Cancelling gives up its place.
    /// - Throws: `H2Error`: why there is none; `timeout`; `CancellationError`.
    nonisolated(nonsending) func wait(for waiter: WaiterKey, until deadline: Deadline?) async throws -> ConnectionDriver
    {
        let alarm = deadline.map { deadline in
            LoopAlarm(clock, after: deadline.at > now ? deadline.at - now : 0) {
                self.giveUp(waiter, H2Error.timeout(deadline.phase, deadline.limit, stream: 0))
            }
        }
        defer { alarm?.stop() }
        let outcome = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in suspend(waiter, continuation) }
        } onCancel: {
            giveUp(waiter, CancellationError())
        }
        return try outcome.get()
    }

    private func suspend(_ waiter: WaiterKey, _ continuation: UnsafeContinuation<Outcome, Never>) {
        lock.withLock {
            switch waiting[waiter.slot] {
            case .undecided: waiting[waiter.slot] = .suspended(waiter, continuation)
            case .decided(let outcome):
                waiting[waiter.slot] = .none
                continuation.resume(returning: outcome)
            case .none, .suspended: preconditionFailure("one task waits for a place")
            }
        }
    }

    /// Where it was decided already, that stands.
    private func giveUp(_ waiter: WaiterKey, _ error: any Error) {
        change { state, now, actions in
            switch waiting[waiter.slot] {
            // The slot may be another's by now.
            case .undecided(let tenant) where tenant == waiter: waiting[waiter.slot] = .decided(.failure(error))
            case .suspended(let tenant, let continuation) where tenant == waiter:
                waiting[waiter.slot] = .none
                continuation.resume(returning: .failure(error))
            default: return
            }
            _ = state.giveUp(waiter, now: now, into: &actions)
        }
    }

    /// Waits before a request is sent again.
    /// - Throws: `CancellationError`.
    nonisolated(nonsending) func pause(_ time: Duration) async throws {
        guard time > .zero else { return }
        let clock = clock
        let pause = Pause()
        let alarm = LoopAlarm(clock, after: time.clampedNanoseconds) { pause.end() }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in clock.execute { pause.begin(continuation) } }
        } onCancel: {
            clock.execute { pause.end() }
        }
        alarm.stop()
        try Task.checkCancellation()
    }
}

/// One wait, which may end before it begins.
///
/// Invariant behind `@unchecked Sendable`: touched on the clock's loop alone.
private final class Pause: @unchecked Sendable {
    private enum State {
        case idle
        case waiting(UnsafeContinuation<Void, Never>)
        case over
    }

    private var state = State.idle

    func begin(_ continuation: UnsafeContinuation<Void, Never>) {
        if case .over = state { return continuation.resume() }
        state = .waiting(continuation)
    }

    func end() {
        if case .waiting(let continuation) = state { continuation.resume() }
        state = .over
    }
}
