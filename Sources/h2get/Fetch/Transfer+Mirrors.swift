import H2Client
import H2Measure

/// The mirrors of a file.
extension Transfer {
    /// Whether no further mirror is left.
    var isLastMirror: Bool { mirror == entry.mirrors.count }

    /// Forgets what the mirror before has left.
    fileprivate mutating func begin(_ mirror: Int, _ url: String) {
        (self.mirror, self.url) = (mirror, url)
        guard mirror > 0 else { return }
        (phase, bodyBytes, leftover, emptiedPath, claimed, response) = (.request, 0, "", nil, nil, nil)
        (keepsExisting, head, failedDials, sentAt) = (false, [], 0, nil)
        if hops != nil { hops = Hops() }
    }
}

extension Fetch {
    /// Runs a transfer, with the next mirror if one fails.
    func runAnyMirror(_ transfer: inout Transfer) async throws {
        for (index, url) in ([transfer.entry.url] + transfer.entry.mirrors).enumerated() {
            transfer.begin(index, url)
            do {
                return try await run(&transfer)
            } catch  where !transfer.isLastMirror && mayHelp(error, transfer) {
                guard console.showsErrors else { continue }
                var failure = describe(error, transfer)
                failure.message += "; trying the next mirror"
                console.say(printable("h2get: \(withoutSecrets(url)): \(failure.message)"))
            }
        }
    }

    /// Whether another mirror may do better: it does not if the fault is here, or if a part of the body was written where it
    /// cannot be taken back.
    private func mayHelp(_ error: any Error, _ transfer: Transfer) -> Bool {
        if error is CancellationError || Task.isCancelled || isWriteFailure(error) { return false }
        guard !transfer.standardOutputIsBroken, !transfer.isDeposited else { return false }
        if let failure = error as? Failure, failure.status == .usage { return false }
        switch transfer.destination {
        case .file, .remoteName: return true
        case .standardOutput, .discard: return transfer.phase == .request || error is Failure
        }
    }
}
