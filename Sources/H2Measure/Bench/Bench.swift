/// Runs one measurement.
package struct Bench: Sendable {
    /// What can be shown while it runs.
    package struct Progress: Sendable {
        /// Seconds since the measured part began; negative in the warm-up.
        package var elapsed = 0.0
        package var done = 0
        package var failed = 0
        package var inFlight = 0
        package var connections = 0
        /// Responses a second, over the last second.
        package var rate = 0.0
        /// Of the last interval, nanoseconds.
        package var p50: UInt64 = 0
        package var p99: UInt64 = 0

        package init() {}
    }

    package let plan: BenchPlan
    /// Called about five times a second, on a thread of its own kind; must not block for long.
    package var onProgress: (@Sendable (Progress) -> Void)?

    package init(_ plan: BenchPlan) { self.plan = plan }

    /// Runs it to its end. Cancelling ends it early with what was measured (`BenchResult.End.interrupted`).
    /// - Throws: `H2Error` where not one connection could be established, a request is invalid, or the request log cannot
    ///   be written.
    package func run() async throws -> BenchResult {
        fatalError("to come")
    }
}
