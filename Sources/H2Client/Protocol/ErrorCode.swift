/// An HTTP/2 error code (RFC 9113 section 7), as RST_STREAM and GOAWAY carry it.
public struct ErrorCode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The number on the wire.
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Not a failure: a graceful close, or an answer that needs no more of the request.
    public static let noError = ErrorCode(rawValue: 0x0)
    /// The peer broke the protocol in a way that no other code names.
    public static let protocolError = ErrorCode(rawValue: 0x1)
    /// The peer failed within itself.
    public static let internalError = ErrorCode(rawValue: 0x2)
    /// More was sent than a window allowed.
    public static let flowControlError = ErrorCode(rawValue: 0x3)
    /// SETTINGS were not acknowledged in time.
    public static let settingsTimeout = ErrorCode(rawValue: 0x4)
    /// A frame came for a stream that was half-closed or closed.
    public static let streamClosed = ErrorCode(rawValue: 0x5)
    /// A frame had a length that it must not have.
    public static let frameSizeError = ErrorCode(rawValue: 0x6)
    /// The stream was refused before any processing, so the request may be sent again.
    public static let refusedStream = ErrorCode(rawValue: 0x7)
    /// The stream is not wanted any more.
    public static let cancel = ErrorCode(rawValue: 0x8)
    /// The header compression state of a connection is broken.
    public static let compressionError = ErrorCode(rawValue: 0x9)
    /// The connection behind a CONNECT request failed.
    public static let connectError = ErrorCode(rawValue: 0xa)
    /// The peer thinks that it is asked for too much: sending the request again would make it worse.
    public static let enhanceYourCalm = ErrorCode(rawValue: 0xb)
    /// The TLS version or cipher is weaker than HTTP/2 asks for.
    public static let inadequateSecurity = ErrorCode(rawValue: 0xc)
    /// The server wants HTTP/1.1 for this request.
    public static let http11Required = ErrorCode(rawValue: 0xd)

    private static let names = [
        "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
        "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
    ]

    /// The RFC's name, such as `REFUSED_STREAM`; `UNKNOWN` for a code that the RFC does not define.
    public var name: String { rawValue < UInt32(Self.names.count) ? Self.names[Int(rawValue)] : "UNKNOWN" }

    /// Such as `0x7 REFUSED_STREAM`.
    public var description: String { "0x\(String(rawValue, radix: 16)) \(name)" }
}
