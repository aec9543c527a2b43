import Synchronization

/// One who holds a connection for a time, and the requests that are theirs: the loan ends when it was given back and the last
/// of those is over, whatever else is under way on the connection.
///
/// Invariant behind `@unchecked Sendable`: all but `underWay`, which is atomic, is touched on the connection's loop.
final class Loan: @unchecked Sendable {
    let connection: Connection
    /// Counted from the call, which is on any thread, until the end, which is on the loop.
    private let underWay = Atomic<Int>(0)
    /// Requests that began.
    private var served = 0
    private var isGivenBack = false
    /// Called once, on the loop, with the number of requests that were sent.
    private var completion: ((Int) -> Void)?

    init(_ connection: Connection) { self.connection = connection }

    /// Counts a request that begins as one of its holder's.
    func began(_ exchange: Exchange) {
        exchange.loan = self
        underWay.add(1, ordering: .relaxed)
    }

    /// On the loop.
    func ended(_ exchange: Exchange) {
        if exchange.id > 0 { served += 1 }
        underWay.subtract(1, ordering: .relaxed)
        endIfOver()
    }

    /// Nothing more will be sent by its holder. From any thread.
    func giveBack(_ completion: @escaping @Sendable (_ served: Int) -> Void) {
        connection.loop.execute {
            self.isGivenBack = true
            self.completion = completion
            self.endIfOver()
        }
    }

    private func endIfOver() {
        guard isGivenBack, let completion, underWay.load(ordering: .relaxed) == 0 else { return }
        self.completion = nil
        completion(served)
    }
}
