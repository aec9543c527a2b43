import H2Client

/// Pipes and devices, which take one body at a time in the order of the URLs, like stdout.
///
/// A transfer waits until it is next before it is sent, so that it holds no connection meanwhile. An output of several URLs is
/// opened once and stays open until the run ends, so that its reader does not take the end of one body for the end of all.
/// Any other is closed after its body, because its reader may wait for that end before it reads anything else.
///
/// Confined to one actor.
final class SharedOutputs {
    private let permits = OrderedSemaphore<FileIdentity> { _ in 1 }
    private var outputs: [FileIdentity: BodyOutput] = [:]

    deinit { for output in outputs.values { output.close() } }

    /// Returns when this URL's body is next. `leave` must follow.
    /// - Throws: `CancellationError`, as soon as the task is cancelled; it then has no permit.
    nonisolated(nonsending) func enter(_ identity: FileIdentity, index: Int) async throws {
        try await permits.acquire(identity, order: index)
    }

    /// - Parameter staysOpen: whether another body may follow.
    func leave(_ identity: FileIdentity, staysOpen: Bool) {
        if !staysOpen { outputs.removeValue(forKey: identity)?.close() }
        permits.release(identity)
    }

    /// The opened output, for the transfer whose body is next.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    nonisolated(nonsending) func output(_ identity: FileIdentity, path: String) async throws -> BodyOutput {
        if let output = outputs[identity] { return output }
        let output = try await BodyOutput.opening(path)
        outputs[identity] = output
        return output
    }
}
