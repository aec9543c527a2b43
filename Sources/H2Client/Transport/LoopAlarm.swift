/// A timer that can be set and stopped from any thread.
///
/// Invariant behind `@unchecked Sendable`: mutable state is accessed only on the loop's thread.
package final class LoopAlarm: @unchecked Sendable {
    private enum State {
        case idle
        case set(LoopTimer)
        case over
    }

    private let loop: H2EventLoop
    private var state = State.idle

    /// Runs `action` on the loop once `nanoseconds` have passed, unless stopped first.
    package init(_ loop: H2EventLoop, after nanoseconds: UInt64, _ action: @escaping @Sendable () -> Void) {
        self.loop = loop
        loop.execute { self.start(nanoseconds, action) }
    }

    private func start(_ nanoseconds: UInt64, _ action: @escaping @Sendable () -> Void) {
        guard case .idle = state else { return }
        state = .set(
            loop.schedule(after: nanoseconds) {
                self.state = .over
                action()
            })
    }

    /// Does nothing if already stopped or fired.
    package func stop() {
        loop.execute {
            if case .set(let timer) = self.state { self.loop.cancel(timer) }
            self.state = .over
        }
    }
}
