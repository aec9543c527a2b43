/// The owner of a connection, told about its state changes on the connection's loop.
protocol ConnectionOwner: AnyObject, Sendable {
    /// One request that was counted against the connection is over, and its place is free.
    func released(_ connection: Connection, _ exchange: Exchange)
    /// The peer allows another number of streams at once.
    func streamLimitChanged(_ connection: Connection, to limit: Int)
    /// Its peer may be gone: it was asked, and until it says anything new requests have better chances elsewhere.
    func doubted(_ connection: Connection)
    /// The peer has said something.
    func trusted(_ connection: Connection)
    /// It takes no new requests, and finishes those that it has: `answers` of all that were sent on it, where the server
    /// said so.
    func draining(_ connection: Connection, why: H2Error, answers: Int?)
    /// The peer has taken no byte for `Connection.stallNotice` while some wait to be sent; or it takes them again.
    func stalled(_ connection: Connection, _ isStalled: Bool)
    /// An HTTP/1.1 server said how many more requests it takes on the connection, and how long it keeps it idle.
    func limitsAnnounced(_ connection: Connection, requests: Int?, idle: Duration?)
    /// The server said for which origins it answers here.
    func originsChanged(_ connection: Connection)
    /// It is gone. What was on it has been told.
    func closed(_ connection: Connection, why: H2Error)
}
