// Connections lent as a whole.

extension ConnectionPool {
    /// Waits for an exclusive connection.
    /// - Parameter proxy: the proxy that the connection leads to, which forwards requests to many origins. nil: it is
    ///   the origin's own connection, so that requests on it need not name an origin.
    /// - Throws: the reason why there is none; `timeout` if the client's default options limit the wait; `CancellationError`.
    nonisolated(nonsending) func lend(
        _ origin: Origin, forwardedBy proxy: HTTPClient.Proxy? = nil
    ) async throws -> (Loan, OriginKey) {
        try Task.checkCancellation()
        let calledAt = now
        let lease = try locked { () throws(H2Error) in
            try self.lease(self.entry(for: origin, maybeForwardedBy: proxy), .exclusive, calledAt)
        }
        let (loan, key): (Loan, OriginKey)
        switch lease {
        case .use(let free, let entry, _): (loan, key) = (Loan(free), entry.key)
        case .wait(let ticket, let entry):
            let deadline = Deadline.earliest(of: configuration.requestOptions, calledAt: calledAt, now: calledAt)
            (loan, key) = (Loan(try await wait(with: ticket, until: deadline)), entry.key)
        }
        guard loan.connection.isShakingHands else { return (loan, key) }
        // A borrower gets only a connection whose server has been verified.
        do {
            try await loan.connection.untilEstablished()
            return (loan, key)
        } catch {
            giveBack(loan, of: key)
            throw error
        }
    }

    /// Returns a loan. Exchanges still in progress on it continue; an HTTP/1.1 connection serves others once they are done.
    func giveBack(_ loan: Loan, of origin: OriginKey) {
        let connection = loan.connection
        loan.giveBack { [self] served in
            let lease = Lease(connection: connection.key, origin: origin)
            change { $0.releasedExclusive(lease, served: served, mayReuse: !connection.isDraining) }
            if connection.isDraining { letGoIfForgotten(connection) }
        }
    }
}

/// A loan that ends when the last reference to this is released.
final class LentConnection: Sendable {
    private let pool: ConnectionPool
    private let loan: Loan
    private let key: OriginKey

    init(pool: ConnectionPool, loan: Loan, key: OriginKey) {
        self.pool = pool
        self.loan = loan
        self.key = key
    }

    deinit { pool.giveBack(loan, of: key) }
}
