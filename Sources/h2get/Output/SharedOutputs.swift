/// Pipes and devices: one body at a time, in the order of the URLs, as on stdout.
///
/// A transfer waits for its turn before it is sent, so that it holds no connection meanwhile. A place that several URLs are
/// written to is opened once and stays open until the run is over: its reader must not take the end of one body for the end
/// of all. Any other is closed after its body, whose reader may wait for that end before it reads anything else.
///
/// Belongs to one actor.
final class SharedOutputs {
    private let turns = Places<FileIdentity> { _ in 1 }
    private var outputs: [FileIdentity: BodyOutput] = [:]

    deinit { for output in outputs.values { output.close() } }

    /// Returns when it is this URL's turn. `leave` must follow.
    /// - Throws: `CancellationError`, at once when the task is cancelled; it has no turn then.
    nonisolated(nonsending) func enter(_ identity: FileIdentity, index: Int) async throws {
        try await turns.enter(identity, turn: index)
    }

    /// - Parameter staysOpen: whether another body may follow.
    func leave(_ identity: FileIdentity, staysOpen: Bool) {
        if !staysOpen { outputs.removeValue(forKey: identity)?.close() }
        turns.leave(identity)
    }

    /// The place, opened. For whoever has the turn.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    nonisolated(nonsending) func output(_ identity: FileIdentity, path: String) async throws -> BodyOutput {
        if let output = outputs[identity] { return output }
        let output = try await BodyOutput.opening(path)
        outputs[identity] = output
        return output
    }
}
