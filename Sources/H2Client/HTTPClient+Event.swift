public import HTTPTypes

extension HTTPClient {
    /// Identifies a request of a client, over all of its attempts.
    public struct RequestID: Sendable, Hashable, CustomStringConvertible {
        /// The number of the request, counted from 1 in each client.
        public let number: Int

        /// Creates an identifier, for tests.
        public init(number: Int) { self.number = number }

        /// The number in decimal digits.
        public var description: String { String(number) }
    }

    /// Something that happened in a client. See ``HTTPClient/events(bufferingNewest:)``.
    public struct Event: Sendable {
        /// The kinds of events, with details that the event's other properties do not have.
        @nonexhaustive
        public enum Kind: Sendable {
            /// The client started to open a connection to ``Event/origin``, and why.
            case connecting(OpenReason)
            /// A connection to ``Event/origin`` could not be established.
            case connectFailed(any Error)
            /// An attempt to connect to ``Event/origin`` was cancelled, because the connection is no longer needed.
            case connectCancelled
            /// A connection was established, and why it was opened. With early data, requests may already have been
            /// sent on it.
            case connectionOpened(ConnectionInfo, HTTPProtocolVersion, OpenReason)
            /// From now on ``Event/origin`` shares the connection, which was opened for another origin (RFC 9113 section 9.1.1).
            case connectionShared
            /// A connection takes no new requests and finishes those in progress.
            case connectionDraining(reason: String)
            /// A connection was closed, after this number of requests.
            case connectionClosed(reason: String, requests: Int)
            /// A tunnel to ``Event/origin`` was opened on the connection, a connection to an HTTP/2 proxy that carries
            /// many tunnels. `isReused`: the connection has carried a tunnel before. The connection to the origin,
            /// inside the tunnel, has its own events.
            case tunnelOpened(isReused: Bool)
            /// A request to ``Event/origin`` waits for a connection or stream.
            case requestQueued
            /// A request was given to a connection. `isReused`: that connection had been given a request before.
            case requestSent(isReused: Bool)
            /// A request will be retried because of an error or a status. The wait begins now.
            case requestRetried(FailedAttempt)
            /// Another copy of a request is about to be sent on ``Event/connectionID``, because there is no answer this
            /// long after the first copy was given to its connection. `requestSent` and `attemptFinished` follow for
            /// the copy as well.
            case requestHedged(after: Duration)
            /// A redirect is followed.
            case requestRedirected(Redirect)
            /// An attempt ended: with a status once the response is complete or given up, or with an error if there was no
            /// response.
            case attemptFinished(Result<HTTPResponse.Status, any Error>)
        }

        /// The kind of event.
        public var kind: Kind
        /// The origin, if it is known. For connections to a proxy that forward requests or carry tunnels, it is the
        /// proxy: an `http` origin if it forwards, else an `https` one. For a request it is the request's origin.
        public var origin: Origin?
        /// The connection, if there is one.
        public var connectionID: ConnectionID?
        /// The request, if the event is about one. The same as ``StreamedResponse/requestID``.
        public var requestID: RequestID?
        /// Monotonic time in nanoseconds, comparable with other events of the process.
        public var nanoseconds: UInt64

        /// Creates an event, for tests.
        public init(
            _ kind: Kind, origin: Origin? = nil, connectionID: ConnectionID? = nil, requestID: RequestID? = nil,
            nanoseconds: UInt64 = 0
        ) {
            self.kind = kind
            self.origin = origin
            self.connectionID = connectionID
            self.requestID = requestID
            self.nanoseconds = nanoseconds
        }
    }

    /// Why a connection was opened.
    @nonexhaustive
    public enum OpenReason: String, Sendable, Hashable {
        /// The origin had no connection.
        case first
        /// All existing connections were in use.
        case allInUse
        /// Another connection is slow to open and may never be established.
        case slowConnect
        /// The previous connection takes no new requests.
        case replacement
        /// `withConnection` or `preconnect` asked for a connection.
        case lent
        /// The server requires HTTP/1.1.
        case http1Required
        /// Another copy of a slow request needs a different connection (``HedgingPolicy``).
        case hedged
        /// The server refused to serve this origin on another origin's connection (421).
        case misdirected

        /// The reason in words.
        package var sentence: String {
            switch self {
            case .first: "the origin had none"
            case .allInUse: "all others were taken"
            case .slowConnect: "the one that is being opened is slow"
            case .replacement: "the last one takes no requests any more"
            case .lent: "it was asked for as a whole"
            case .http1Required: "the server wants HTTP/1.1"
            case .hedged: "a request is slow on another one"
            case .misdirected: "the server does not take this origin on a shared one"
            }
        }
    }
}
