/// A frame that was sent or received, with the flow-control windows after it. For logs; see ``Configuration/onFrame``.
public struct FrameRecord: Sendable {
    /// The direction of a frame, seen from this side.
    public enum Direction: String, Sendable {
        /// Sent by this side.
        case sent
        /// Received from the peer.
        case received
    }

    /// Whether the frame was sent or received.
    public var direction: Direction
    /// The connection that carried it.
    public var connectionID: ConnectionID
    /// The frame type's name in RFC 9113, such as `HEADERS`, or `UNKNOWN(0x..)`.
    public var type: String
    /// The names of the flags that are set.
    public var flags: [String]
    /// The stream; 0 for the whole connection.
    public var streamID: Int32
    /// The payload's length in bytes.
    public var length: Int
    /// Details that depend on the type: settings, error code and debug text, window increment, ...
    public var detail: String
    /// How many bytes the peer may still send, on the stream (nil for stream 0) and on the connection.
    public var receiveWindow: (stream: Int?, connection: Int)
    /// How many bytes this side may still send, on the stream (nil for stream 0) and on the connection.
    public var sendWindow: (stream: Int?, connection: Int)
    /// The time since the connection was established.
    public var time: Duration
}
