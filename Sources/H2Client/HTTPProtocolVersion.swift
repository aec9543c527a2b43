/// A version of HTTP that this library supports.
@nonexhaustive
public enum HTTPProtocolVersion: String, Sendable, Hashable {
    /// HTTP/1.1 (RFC 9112). Responses of HTTP/1.0 servers count as this version.
    case http1 = "HTTP/1.1"
    /// HTTP/2 (RFC 9113).
    case http2 = "HTTP/2"

    // The synthesised one would compare raw values, which are strings.
    public static func == (one: HTTPProtocolVersion, other: HTTPProtocolVersion) -> Bool {
        switch (one, other) {
        case (.http1, .http1), (.http2, .http2): true
        case (.http1, .http2), (.http2, .http1): false
        }
    }
}
