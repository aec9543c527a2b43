/// A header or trailer field as it came. Values are octets (RFC 9110 section 5.5): old servers send Latin-1, newer ones UTF-8.
public struct RawField: Sendable, Hashable {
    /// The name, over HTTP/1.1 with its letters in the case that the server sent.
    public let name: [UInt8]
    /// The value, without the blanks around it. A value that was folded over several lines has a space for each fold
    /// (RFC 9112 section 5.2).
    public let value: [UInt8]

    /// - Parameters:
    ///   - name: a token.
    ///   - value: any octets.
    public init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }
}

/// The first line of an HTTP/1.x response (RFC 9112 section 4), as it came.
public struct StatusLine: Sendable, Hashable {
    /// The minor version: 0 for HTTP/1.0, 1 for HTTP/1.1.
    public let minorVersion: Int
    /// The status code, 100 to 999.
    public let status: Int
    /// The reason phrase, which may be empty. Octets, as in field values.
    public let reasonPhrase: [UInt8]

    /// The line without its end, such as `HTTP/1.1 200 OK`.
    public var bytes: [UInt8] { Array("HTTP/1.\(minorVersion) \(status) ".utf8) + reasonPhrase }
}
