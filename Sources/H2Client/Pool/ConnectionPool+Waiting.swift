// Requests that wait for a connection or stream, or before a retry.

/// A time limit as a point in time.
struct Deadline {
    /// Monotonic nanoseconds.
    let at: UInt64
    let phase: H2Error.Phase
    /// Measured from the call.
    let limit: Duration

    /// The earliest of the limits on waiting, on the whole request, and on retrying.
    /// - Parameters:
    ///   - waited: nanoseconds that earlier attempts waited.
    ///   - retrying: the limit on retrying, if this is a retry.
    static func earliest(
        of options: RequestOptions, calledAt: UInt64, now: UInt64, waited: UInt64 = 0, retrying: Duration? = nil
    ) -> Deadline? {
        var earliest: Deadline?
        func add(_ start: UInt64, _ limit: Duration?, _ phase: H2Error.Phase, used: UInt64 = 0) {
            guard let limit else { return }
            let nanoseconds = limit.clampedNanoseconds
            let at = start.saturatingSum(nanoseconds - min(used, nanoseconds))
            if earliest.map({ at < $0.at }) ?? true { earliest = Deadline(at: at, phase: phase, limit: limit) }
        }
        add(calledAt, options.timeout, .wholeRequest)
        add(calledAt, retrying, .retrying)
        add(now, options.queueTimeout, .queued, used: waited)
        return earliest
    }
}

extension ConnectionPool {
    /// A ticket for a request that the state has told to wait. Called under the lock.
    func issueTicket(_ waiter: WaiterKey, _ origin: OriginKey, since now: UInt64) -> Ticket {
        let ticket = Ticket(waiter, origin, since: now)
        watchUnread()
        while waiting.count <= waiter.slot { waiting.append(nil) }
        waiting[waiter.slot] = ticket
        return ticket
    }

    /// Waits until the request gets a connection. Cancelling removes it from the queue.
    /// - Throws: `H2Error`: the reason why there is none; `timeout`; `CancellationError`.
    nonisolated(nonsending) func wait(with ticket: Ticket, until deadline: Deadline?) async throws -> Connection {
        let alarm = deadline.map { deadline in
            LoopAlarm(clock, after: deadline.at > now ? deadline.at - now : 0) {
                self.timedOut(ticket, deadline)
            }
        }
        defer { alarm?.stop() }
        let outcome = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in suspend(ticket, continuation) }
        } onCancel: {
            clock.execute { self.giveUp(ticket, CancellationError()) }
        }
        Handover.take(ticket)
        return try outcome.get()
    }

    /// Resumes the ticket's task once there is an outcome, which may be there already.
    func suspend(_ ticket: Ticket, _ continuation: UnsafeContinuation<Outcome, Never>) {
        locked {
            if case .decided(let outcome) = ticket.progress {
                ticket.progress = .over
                due.add(.ticket(ticket, continuation, outcome))
            } else {
                ticket.progress = .suspended(continuation)
            }
        }
    }

    /// Fails a waiting request; an earlier outcome stands. Called on the clock's loop: a cancelling thread must not take the
    /// lock.
    func giveUp(_ ticket: Ticket, _ error: any Error) {
        change { state in
            guard ticket.decide(.failure(error), into: &due) else { return }
            waiting[ticket.waiter.slot] = nil
            _ = state.giveUp(ticket.waiter)
        }
    }

    /// Waits before a retry.
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
/// Invariant behind `@unchecked Sendable`: touched only on the clock's loop.
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
