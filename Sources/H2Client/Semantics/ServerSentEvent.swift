/// An event of a `text/event-stream` (https://html.spec.whatwg.org/multipage/server-sent-events.html).
public struct ServerSentEvent: Sendable, Hashable {
    /// The type that the server gave; `message` if it gave none.
    public var type: String
    /// The data. Several `data` lines are joined by a newline.
    public var data: String
    /// The last ID that the server set, with this event or an earlier one; empty if none. A client sends it as
    /// `Last-Event-ID` when it connects again.
    public var id: String

    /// Creates an event, for tests.
    public init(type: String = "message", data: String, id: String = "") {
        self.type = type
        self.data = data
        self.id = id
    }
}
