extension HTTPClient {
    /// Something that happened in a client. See ``HTTPClient/events(bufferingNewest:)``.
    public struct Event: Sendable {
        /// Identifies a request in events. Counts up from 1 in each client.
        public typealias RequestNumber = Int

        /// The kinds of events, with their details.
        public enum Kind: Sendable {
            /// The client started to open a connection, and why.
            case connecting(Origin, reason: OpenReason)
            /// A connection could not be established.
            case connectFailed(Origin, any Error)
            /// A connection was established.
            case connectionOpened(ConnectionInfo, HTTPVersion, reason: OpenReason)
            /// From now on an origin shares another origin's connection (RFC 9113 section 9.1.1).
            case connectionShared(ConnectionID, Origin)
            /// A connection takes no new requests and finishes those in progress.
            case connectionDraining(ConnectionID, reason: String)
            /// A connection was closed.
            case connectionClosed(ConnectionID, reason: String, requests: Int)
            /// A request waits for a connection or stream.
            case requestQueued(RequestNumber, Origin)
            /// A request was given to a connection. `isReused`: that connection had been given a request before.
            case requestSent(RequestNumber, ConnectionID, isReused: Bool)
            /// A request will be retried because of an error or a status. The wait begins now.
            case requestRetried(RequestNumber, error: H2Error?, status: Int?, wait: Duration)
            /// An attempt ended: with a status once the response is complete or given up, or with an error if there was no
            /// response.
            case requestFinished(RequestNumber, Result<Int, any Error>)
        }

        /// Monotonic time in nanoseconds, comparable with other events of the process.
        public var nanoseconds: UInt64
        /// What happened.
        public var kind: Kind
    }

    /// Why a connection was opened.
    public enum OpenReason: String, Sendable, Hashable {
        /// The origin had no connection.
        case first = "the origin had none"
        /// All existing connections were in use.
        case allTaken = "all others were taken"
        /// Another connection is slow to open and may never be established.
        case besideSlow = "the one that is being opened is slow"
        /// The previous connection takes no new requests.
        case replacement = "the last one takes no requests any more"
        /// `withConnection` asked for a connection.
        case lent = "it was asked for as a whole"
        /// The server requires HTTP/1.1.
        case http1Required = "the server wants HTTP/1.1"
        /// The server refused to serve this origin on another origin's connection (421).
        case ownAfterMisdirection = "the server does not take this origin on a shared one"
    }
}
