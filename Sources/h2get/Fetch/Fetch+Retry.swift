import H2Client
import H2Measure

/// --retry-all-errors: transfers that are begun again, whatever made them fail.
extension Fetch {
    /// Runs a transfer, and again after each failure that allows it.
    func runUntilItWorks(_ transfer: inout Transfer) async throws {
        while true {
            do { return try await runAnyMirror(&transfer) } catch {
                guard let pause = pauseBeforeRetry(error, transfer) else { throw error }
                transfer.attempts += 1
                retryNotes.tell(
                    (error as? H2Error)?.message ?? (error as? Failure)?.message ?? "\(error)", wait: pause,
                    attempt: transfer.attempts, retries: settings.retries)
                (transfer.phase, transfer.bodyBytes, transfer.leftover, transfer.head) = (.request, 0, "", [])
                try await Task.sleep(for: pause)
            }
        }
    }

    /// The wait before the transfer is begun again; nil if its failure is final.
    func pauseBeforeRetry(_ error: any Error, _ transfer: Transfer) -> Duration? {
        guard settings.retriesAllErrors, let retries = settings.retries, transfer.attempts < retries else { return nil }
        // Bytes that were written cannot be taken back.
        guard !transfer.hasBegunOutput, !transfer.wasBodyRead else { return nil }
        switch error {
        // Those were retried as often as they may be, or are no better next time.
        case let error as H2Error where error.isFailureToConnect || !error.isWorthAnotherTry: return nil
        case let failure as Failure where ![.statusRefused, .timeout].contains(failure.status): return nil
        case is CancellationError: return nil
        case is H2Error, is Failure: break
        default: return nil
        }
        let pause = min(settings.retry.backoff * (1 << min(transfer.attempts, 20)), settings.retry.maximumBackoff)
        let begins = ContinuousClock.now - transfer.start + pause
        if let limit = settings.retry.maximumTime, begins > limit { return nil }
        if let limit = settings.maxTime, begins >= limit { return nil }
        return pause
    }
}

extension H2Error {
    /// Whether the failure may be the network's or the server's.
    fileprivate var isWorthAnotherTry: Bool {
        switch code {
        case .invalidURL, .invalidRequest, .invalidConfiguration, .localIO, .clientShutDown, .addressRefused: false
        // The client has tried again as often as it may.
        case .notProcessed: false
        default: true
        }
    }
}
