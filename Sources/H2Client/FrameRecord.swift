/// A frame that was sent or received, with the flow-control windows after it. For logs; see ``ConnectionConfiguration/onFrame``.
public struct FrameRecord: Sendable, Hashable {
    /// The direction of a frame, seen from this side.
    @nonexhaustive
    public enum Direction: String, Sendable {
        /// Sent by this side.
        case sent
        /// Received from the peer.
        case received
    }

    /// The flow-control windows of one direction (RFC 9113 section 5.2).
    public struct Window: Sendable, Hashable {
        /// The stream's window in bytes; nil for stream 0.
        public var stream: Int?
        /// The connection's window in bytes.
        public var connection: Int

        /// Creates windows, for tests.
        public init(stream: Int?, connection: Int) {
            self.stream = stream
            self.connection = connection
        }
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
    /// How many bytes the peer may still send.
    public var receiveWindow: Window
    /// How many bytes this side may still send.
    public var sendWindow: Window
    /// The time since the connection was established.
    public var time: Duration

    /// Creates a record, for tests.
    public init(
        direction: Direction, connectionID: ConnectionID = ConnectionID(number: 1), type: String,
        flags: [String] = [], streamID: Int32 = 0, length: Int = 0, detail: String = "",
        receiveWindow: Window = Window(stream: nil, connection: 65_535),
        sendWindow: Window = Window(stream: nil, connection: 65_535), time: Duration = .zero
    ) {
        self.direction = direction
        self.connectionID = connectionID
        self.type = type
        self.flags = flags
        self.streamID = streamID
        self.length = length
        self.detail = detail
        self.receiveWindow = receiveWindow
        self.sendWindow = sendWindow
        self.time = time
    }
}
