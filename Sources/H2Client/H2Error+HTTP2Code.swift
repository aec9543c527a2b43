extension H2Error {
    /// An HTTP/2 error code (RFC 9113 section 7), as used in RST_STREAM and GOAWAY.
    public struct HTTP2Code: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
        /// The number that is sent.
        public let rawValue: UInt32

        /// Creates an error code from its number.
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// No failure: a graceful close, or a response that does not need the rest of the request.
        public static let noError = HTTP2Code(rawValue: 0x0)
        /// The peer violated the protocol in a way that no other code describes.
        public static let protocolError = HTTP2Code(rawValue: 0x1)
        /// The peer had an internal failure.
        public static let internalError = HTTP2Code(rawValue: 0x2)
        /// More data was sent than a flow-control window allowed.
        public static let flowControlError = HTTP2Code(rawValue: 0x3)
        /// SETTINGS was not acknowledged in time.
        public static let settingsTimeout = HTTP2Code(rawValue: 0x4)
        /// A frame arrived for a stream that was half-closed or closed.
        public static let streamClosed = HTTP2Code(rawValue: 0x5)
        /// A frame had an invalid length.
        public static let frameSizeError = HTTP2Code(rawValue: 0x6)
        /// The stream was refused before any processing, so a retry is safe.
        public static let refusedStream = HTTP2Code(rawValue: 0x7)
        /// The stream is no longer needed.
        public static let cancel = HTTP2Code(rawValue: 0x8)
        /// The connection's header compression state is broken.
        public static let compressionError = HTTP2Code(rawValue: 0x9)
        /// The connection behind a CONNECT request failed.
        public static let connectError = HTTP2Code(rawValue: 0xa)
        /// The peer considers the load excessive. A retry would make it worse.
        public static let enhanceYourCalm = HTTP2Code(rawValue: 0xb)
        /// The version or cipher suite of TLS is weaker than HTTP/2 requires.
        public static let inadequateSecurity = HTTP2Code(rawValue: 0xc)
        /// The server requires HTTP/1.1 for this request.
        public static let http11Required = HTTP2Code(rawValue: 0xd)

        private static let names = [
            "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
            "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
        ]

        /// The RFC's name, such as `REFUSED_STREAM`; `UNKNOWN` for a code that the RFC does not define.
        public var name: String { rawValue < UInt32(Self.names.count) ? Self.names[Int(rawValue)] : "UNKNOWN" }

        /// The number and name, such as `0x7 REFUSED_STREAM`.
        public var description: String { "0x\(String(rawValue, radix: 16)) \(name)" }
    }
}
