import H2Platform
package import Testing

/// Waits on the calling thread for what another one brings about; false if it does not within `limit`.
package func becomes(within limit: Duration = .seconds(60), _ condition: () -> Bool) -> Bool {
    let deadline = ContinuousClock.now + limit
    while !condition() {
        guard ContinuousClock.now < deadline else { return false }
        usleep(500)
    }
    return true
}

/// The same, with an issue if it does not.
package func waitUntil(sourceLocation: SourceLocation = #_sourceLocation, _ condition: () -> Bool) {
    if !becomes(condition) { Issue.record("it never came about", sourceLocation: sourceLocation) }
}

/// Lets real time pass where that is what a test is about: a peer that is slow, or that pauses for longer than a limit
/// allows. Never to wait for something, which `waitUntil` and `eventually` do. Blocks the thread.
package func letTimePass(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    var rest = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
    var left = timespec()
    while nanosleep(&rest, &left) != 0, errno == EINTR { rest = left }
}

/// The same, without blocking a thread.
package func letTimePass(_ duration: Duration) async throws { try await Task.sleep(for: duration) }

/// Waits until a condition holds, looking every 2 ms.
/// - Throws: `ProcessFailure` if it does not within `limit`.
package func eventually(
    _ what: String, within limit: Duration = .seconds(60), _ condition: nonisolated(nonsending) () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw ProcessFailure("\(what): not within \(limit)") }
        try await Task.sleep(for: .milliseconds(2))
    }
}
