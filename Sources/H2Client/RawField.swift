/// A header or trailer field as it was received. Values are bytes (RFC 9110 section 5.5): old servers send Latin-1, newer
/// ones UTF-8.
public struct RawField: Sendable, Hashable {
    /// The name. Over HTTP/1.1 its letters have the case that the server sent.
    public let name: [UInt8]
    /// The value, without surrounding whitespace. Each fold of a value over several lines is one space (RFC 9112 section 5.2).
    public let value: [UInt8]

    /// Creates a field.
    /// - Parameters:
    ///   - name: The name, a token (RFC 9110 section 5.6.2).
    ///   - value: The value, any bytes.
    public init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }
}

/// The first line of an HTTP/1.x response (RFC 9112 section 4), as it was received.
public struct StatusLine: Sendable, Hashable {
    /// The minor version: 0 for HTTP/1.0, 1 for HTTP/1.1.
    public let minorVersion: Int
    /// The status code, 100 to 999.
    public let status: Int
    /// The reason phrase, which may be empty. Bytes, as in field values.
    public let reasonPhrase: [UInt8]

    /// The line without its end, such as `HTTP/1.1 200 OK`.
    public var bytes: [UInt8] { Array("HTTP/1.\(minorVersion) \(status) ".utf8) + reasonPhrase }
}
