/// The owner of a connection, told about its state changes on the connection's loop.
protocol ConnectionOwner: AnyObject, Sendable {
    /// A request that was counted against the connection is over, and its slot is free.
    func released(_ connection: Connection, _ exchange: Exchange)
    /// The peer changed its stream limit.
    func streamLimitChanged(_ connection: Connection, to limit: Int)
    /// The peer may be gone: a PING was sent, and until the peer responds new requests are better sent elsewhere.
    func doubted(_ connection: Connection)
    /// The peer has responded.
    func trusted(_ connection: Connection)
    /// It takes no new requests, and finishes the current ones. `answers`: how many of all requests sent on it the server
    /// answers, if it said so.
    func draining(_ connection: Connection, why: H2Error, answers: Int?)
    /// The peer has accepted no bytes for `Connection.stallNotice` while some wait to be sent, or accepts them again.
    func stalled(_ connection: Connection, _ isStalled: Bool)
    /// An HTTP/1.1 server announced how many more requests it takes on the connection and how long it keeps it idle.
    func limitsAnnounced(_ connection: Connection, requests: Int?, idle: Duration?)
    /// The server announced which origins it serves here.
    func originsChanged(_ connection: Connection)
    /// It is gone, and its requests have been told.
    func closed(_ connection: Connection, why: H2Error)
}
