/// A version of HTTP that is spoken here.
public enum HTTPVersion: String, Sendable, Hashable {
    case http1 = "HTTP/1.1"
    case http2 = "HTTP/2"

    // The compiler's own would compare raw values, which are strings.
    public static func == (one: HTTPVersion, other: HTTPVersion) -> Bool {
        switch (one, other) {
        case (.http1, .http1), (.http2, .http2): true
        case (.http1, .http2), (.http2, .http1): false
        }
    }
}
