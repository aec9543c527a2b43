/// A connection that an ``HTTPClient`` lends, of either version of HTTP. See ``HTTPClient/withConnection(to:_:)``.
public struct HTTPConnection: RequestSender {
    /// The connection itself, for use by this library only.
    public let handle: ConnectionHandle

    init(_ loan: Loan) { handle = ConnectionHandle(connection: loan.connection, loan: loan) }
}
