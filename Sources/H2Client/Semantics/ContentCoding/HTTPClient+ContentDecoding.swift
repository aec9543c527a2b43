import HTTPTypes

extension HTTPClient {
    /// Whether a client decodes bodies, and how much they may become.
    ///
    /// A client offers the codings of ``ContentCoding/available`` in each request, as the `accept-encoding` field, and decodes
    /// what the server sends while it is read (RFC 9110 sections 8.4 and 12.5.3). Header fields stay as received;
    /// ``StreamedResponse/decodedCodings`` says what was removed, and ``ResponseMetrics/bodyBytesReceived`` counts the encoded
    /// bytes.
    ///
    /// Nothing is offered, and nothing decoded, if the request has an `accept-encoding` of its own, since its caller then knows
    /// how to decode, or a `range` field, since the range is one of encoded bytes (RFC 9110 section 14.2); and on connections
    /// that the caller opens or borrows. A body with a coding that is not known is not decoded at all.
    ///
    /// ```swift
    /// var configuration = HTTPClient.Configuration()
    /// configuration.contentDecoding.maximumSize = 100 << 20
    /// ```
    public struct ContentDecoding: Sendable, Hashable {
        /// Whether to offer codings and decode bodies. ``RequestOptions/decodesContent`` decides for a single request. Default
        /// true.
        public var isEnabled: Bool
        /// The maximum length of a decoded body in bytes; beyond it, reading fails with `contentCodingFailed`. Default: no limit,
        /// since a body is decoded as it is read, 64 KiB at a time, and ``HTTPResponseBody/collect(upTo:)`` has a limit of its
        /// own.
        public var maximumSize: Int
        /// How many times longer than the encoded bytes the decoded ones may be; beyond it, reading fails with
        /// `contentCodingFailed`. 1 or more. Default 200: text and JSON hardly ever exceed 50, while bombs made to exhaust
        /// their readers have 1,000 and more.
        public var maximumRatio: Int
        /// The number of decoded bytes up to which any ratio is allowed: short bodies that repeat themselves are common and
        /// harmless. Default 4 MiB.
        public var ratioFloor: Int

        /// Creates settings; what is left out has its default.
        public init(
            isEnabled: Bool = true, maximumSize: Int = Int.max, maximumRatio: Int = 200, ratioFloor: Int = 4 << 20
        ) {
            self.isEnabled = isEnabled
            self.maximumSize = maximumSize
            self.maximumRatio = maximumRatio
            self.ratioFloor = ratioFloor
        }

        /// No codings are offered, and bodies stay as they are sent.
        public static var off: ContentDecoding { ContentDecoding(isEnabled: false) }

        /// Within limits that are safe for arithmetic.
        var limits: ContentDecoder.Limits {
            ContentDecoder.Limits(
                size: max(maximumSize, 0), ratio: max(maximumRatio, 1), ratioFloor: max(ratioFloor, 0))
        }
    }

    /// Whether a request with these options offers codings.
    @inline(__always)
    func offersCodings(_ options: RequestOptions) -> Bool {
        #if Zlib || Brotli || Zstd
            return options.areDefaults
                ? configuration.contentDecoding.isEnabled
                : options.decodesContent ?? configuration.contentDecoding.isEnabled
        #else
            return false
        #endif
    }

    /// The response with a body that is decoded as it is read, if it has to be.
    @inline(__always)
    func decoding(_ response: StreamedResponse) -> StreamedResponse {
        response.exchange.hasCodedBody ? response.decoded(configuration.contentDecoding.limits) : response
    }
}

extension Exchange {
    /// Whether codings were offered and the server applied some.
    @inline(__always)
    var hasCodedBody: Bool { head.hasContentEncoding && codings.offers }
}

extension StreamedResponse {
    /// The content codings that reading ``body`` removes, in the order the server applied them; empty if the body is read as it is
    /// sent (see ``HTTPClient/ContentDecoding``). If it is not empty, `content-length`, `etag`, digests and ranges are about
    /// encoded bytes, which the caller does not see.
    public var decodedCodings: [ContentCoding] { body.guardian?.decoding?.codings ?? [] }

    /// The same response, whose body is decoded.
    @inline(never)
    func decoded(_ limits: ContentDecoder.Limits) -> StreamedResponse {
        let exchange = exchange
        // Responses without content state what another would have (RFC 9110 sections 8.6 and 15.4.5), and a part of encoded
        // bytes cannot be decoded alone (section 15.3.7).
        guard status != .partialContent, status != .noContent, status != .notModified,
            !(exchange.isWhole && exchange.body.isEmpty)
        else { return self }
        let applied = AppliedCodings(exchange.head.values(of: "content-encoding"))
        if case .known([]) = applied { return self }
        if case .unknown = applied { return self }
        let guardian = body.guardian ?? BodyGuardian(exchange: exchange)
        guardian.decoding = BodyDecoding(applied, limits, of: exchange)
        return StreamedResponse(status: status, body: HTTPResponseBody(exchange: exchange, guardian: guardian))
    }
}
