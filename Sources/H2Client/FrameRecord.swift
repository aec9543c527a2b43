/// One frame as it passed, for logs: with the running windows, which no other client shows.
public struct FrameRecord: Sendable {
    /// As seen from this side.
    public enum Direction: String, Sendable { case sent, received }

    /// Whether it was sent or received.
    public var direction: Direction
    /// The connection that it passed on.
    public var connectionID: ConnectionID
    /// RFC 9113's name, such as `HEADERS`, or `UNKNOWN(0x..)`.
    public var type: String
    /// Names of the flags that are set.
    public var flags: [String]
    /// 0 where it is about the whole connection.
    public var streamID: Int32
    /// Payload bytes.
    public var length: Int
    /// The frame's own facts: settings, error code and debug text, window increment, ...
    public var detail: String
    /// What the peer may still send us, on the stream (nil on stream 0) and on the connection.
    public var receiveWindow: (stream: Int?, connection: Int)
    /// What we may still send.
    public var sendWindow: (stream: Int?, connection: Int)
    /// Since the connection was established.
    public var time: Duration
}
