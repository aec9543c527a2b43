/// A client that reuses connections.
public final class HTTPClient: Sendable {
}
