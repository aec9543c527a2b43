// Connections lent as a whole.

extension ConnectionPool {
    /// Waits for an exclusive connection.
    /// - Throws: the reason why there is none; `timeout` if the client's default options limit the wait; `CancellationError`.
    nonisolated(nonsending) func lend(_ origin: Origin) async throws -> (Loan, OriginKey) {
        try Task.checkCancellation()
        let calledAt = now
        let lease = try locked { () throws(H2Error) in
            try self.lease(self.entry(for: origin), .exclusive, calledAt)
        }
        switch lease {
        case .use(let free, let entry, _): return (Loan(free), entry.key)
        case .wait(let ticket, let entry):
            let deadline = Deadline.earliest(of: configuration.requestOptions, calledAt: calledAt, now: calledAt)
            return (Loan(try await wait(with: ticket, until: deadline)), entry.key)
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

/// A loan that is given back when the last reference to this is released.
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
