extension HTTPClient {
    /// One thing that happened in a client.
    public struct Event: Sendable {
        /// What a request is known by in events; counts up from 1 in each client.
        public typealias RequestNumber = Int

        /// What happened.
        public enum Kind: Sendable {
            /// A connection is being opened, and why.
            case connecting(Origin, reason: OpenReason)
            /// It failed.
            case connectFailed(Origin, any Error)
            /// It is there.
            case connectionOpened(ConnectionInfo, HTTPVersion, reason: OpenReason)
            /// An origin shares another's connection from now on (RFC 9113 section 9.1.1).
            case connectionShared(ConnectionID, Origin)
            /// It takes no new requests, and finishes those that it has.
            case connectionDraining(ConnectionID, reason: String)
            /// It is gone.
            case connectionClosed(ConnectionID, reason: String, requests: Int)
            /// A request waits for a connection or stream.
            case requestQueued(RequestNumber, Origin)
            /// It was given to a connection, which `isReused` where it had been given one before.
            case requestSent(RequestNumber, ConnectionID, isReused: Bool)
            /// It is to be sent again, after a wait that begins now, because of an error or a status.
            case requestRetried(RequestNumber, error: H2Error?, status: Int?, wait: Duration)
            /// One attempt is over: with a status, when the response was whole or given up; or without any response.
            case requestFinished(RequestNumber, Result<Int, any Error>)
        }

        /// Monotonic: nanoseconds since some moment in the past, the same for all events of a process.
        public var nanoseconds: UInt64
        /// What happened.
        public var kind: Kind
    }

    /// Why a connection was opened.
    public enum OpenReason: String, Sendable, Hashable {
        /// The origin had none.
        case first = "the origin had none"
        /// Those that there are were taken.
        case allTaken = "all others were taken"
        /// One that is being opened is slow, and may never come to be.
        case besideSlow = "the one that is being opened is slow"
        /// The last one takes no requests any more.
        case replacement = "the last one takes no requests any more"
        /// `withConnection` asked for one.
        case lent = "it was asked for as a whole"
        /// The server wants HTTP/1.1.
        case http1Required = "the server wants HTTP/1.1"
        /// The server does not want to be reached by another origin's connection (421).
        case ownAfterMisdirection = "the server does not take this origin on a shared one"
    }
}
