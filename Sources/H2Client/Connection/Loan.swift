import Synchronization

/// A loan of a connection, with its holder's requests. It ends when the connection was returned and the last of these requests
/// is over, whatever else is in progress on the connection.
///
/// Invariant behind `@unchecked Sendable`: everything except the atomic `underWay` is accessed on the connection's loop.
final class Loan: LiveObject, @unchecked Sendable {
    let connection: Connection
    /// Counted from the call, on any thread, until the end, on the loop.
    private let underWay = Atomic<Int>(0)
    /// Requests begun.
    private var served = 0
    private var isGivenBack = false
    /// Called once, on the loop, with the number of requests sent.
    private var completion: ((Int) -> Void)?

    init(_ connection: Connection) { self.connection = connection }

    /// Counts a request that its holder starts.
    func began(_ exchange: Exchange) {
        exchange.loan = self
        underWay.add(1, ordering: .relaxed)
    }

    /// Called on the loop.
    func ended(_ exchange: Exchange) {
        if exchange.id > 0 { served += 1 }
        underWay.subtract(1, ordering: .relaxed)
        endIfOver()
    }

    /// The holder sends nothing more. Called from any thread.
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
