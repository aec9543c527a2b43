/// A connection that a client lends, of either version of HTTP.
public struct HTTPConnection: RequestSender {
    /// The connection itself, for this library.
    public let handle: ConnectionHandle

    init(_ loan: Loan) { handle = ConnectionHandle(connection: loan.connection, loan: loan) }
}
