// Connections that are lent as a whole.

extension ConnectionPool {
    /// A connection that somebody holds, until `giveBack`.
    struct Loan {
        let driver: ConnectionDriver
        let origin: OriginKey
        /// How many requests it had been given by then.
        let requestsBefore: Int
    }

    /// Waits for a connection of one's own.
    /// - Throws: why there is none; `timeout`, where the client's default options limit the wait; `CancellationError`.
    nonisolated(nonsending) func lend(_ origin: Origin) async throws -> Loan {
        try Task.checkCancellation()
        let calledAt = now
        let lease = try locked { () throws(H2Error) in
            try self.lease(self.entry(for: origin), .exclusive, calledAt)
        }
        let driver: ConnectionDriver
        let entry: OriginEntry
        switch lease {
        case .use(let free, let found, _): (driver, entry) = (free, found)
        case .wait(let ticket, let waitedFor):
            entry = waitedFor
            let deadline = Deadline.earliest(of: configuration.requestOptions, calledAt: calledAt, now: calledAt)
            driver = try await wait(with: ticket, until: deadline)
        }
        let before = await driver.loop.run { driver.requests }
        return Loan(driver: driver, origin: entry.key, requestsBefore: before)
    }

    /// What is still under way on it goes on; an HTTP/1.1 connection serves others once that is done.
    func giveBack(_ loan: Loan) {
        let driver = loan.driver
        driver.loop.execute {
            driver.whenQuiet {
                let lease = H2Client.Lease(connection: ConnectionKey(packed: driver.ownerKey), origin: loan.origin)
                let served = driver.requests - loan.requestsBefore
                self.change {
                    $0.releasedExclusive(
                        lease, served: served, mayReuse: !driver.isDraining, now: $1, into: &$2)
                }
            }
        }
    }
}
