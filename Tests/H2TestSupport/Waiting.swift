import H2Platform
package import Testing

/// Waits on the calling thread for what another one brings about; false if it does not within a minute.
package func becomes(_ condition: () -> Bool) -> Bool {
    let deadline = ContinuousClock.now + .seconds(60)
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
