import HTTPTypes

extension HTTPClient {
    /// Whether a client decodes bodies, and the limits on their decoded size.
    ///
    /// A client offers the codings of ``ContentCoding/available`` in the `accept-encoding` field of each request, and
    /// decodes the response's body as it is read (RFC 9110 sections 8.4 and 12.5.3). Header fields stay as received;
    /// ``StreamedResponse/decodedCodings`` lists the codings that were removed, and
    /// ``ResponseMetrics/bodyBytesReceived`` counts the encoded bytes.
    ///
    /// Nothing is offered or decoded if the request has its own `accept-encoding` field, since its caller then knows
    /// how to decode, or a `range` field, since a range counts encoded bytes (RFC 9110 section 14.2). The same holds on
    /// connections that the caller opens or borrows. A body with an unknown coding is not decoded at all.
    ///
    /// ```swift
    /// var configuration = HTTPClient.Configuration()
    /// configuration.contentDecoding.maximumSize = 100 << 20
    /// ```
    public struct ContentDecoding: Sendable, Hashable {
        /// Whether to offer codings and decode bodies. ``RequestOptions/decodesContent`` overrides it for a single
        /// request. Default true.
        public var isEnabled: Bool
        /// The maximum length of a decoded body in bytes; beyond it, reading fails with `contentCodingFailed`. Default:
        /// no limit, since a body is decoded as it is read, 64 KiB at a time, and ``HTTPResponseBody/collect(upTo:)``
        /// has its own limit.
        public var maximumSize: Int
        /// The maximum ratio of decoded to encoded bytes; beyond it, reading fails with `contentCodingFailed`. 1 or
        /// more. Default 200: text and JSON hardly ever exceed 50, while bombs made to exhaust their readers reach
        /// 1,000 and more.
        public var maximumRatio: Int
        /// The number of decoded bytes up to which any ratio is allowed: short repetitive bodies are common and
        /// harmless. Default 4 MiB.
        public var ratioFloor: Int

        /// Creates settings; those that are left out have their defaults.
        public init(
            isEnabled: Bool = true, maximumSize: Int = Int.max, maximumRatio: Int = 200, ratioFloor: Int = 4 << 20
        ) {
            self.isEnabled = isEnabled
            self.maximumSize = maximumSize
            self.maximumRatio = maximumRatio
            self.ratioFloor = ratioFloor
        }

        /// No codings are offered, and bodies are returned as they are sent.
        public static var off: ContentDecoding { ContentDecoding(isEnabled: false) }

        /// The limits, clamped to values that are safe for arithmetic.
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

    /// The response, with a body that is decoded as it is read if necessary.
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
    /// The content codings that reading ``body`` removes, in the order in which the server applied them; empty if the
    /// body is read as it is sent (see ``HTTPClient/ContentDecoding``). If it is not empty, `content-length`, `etag`,
    /// digests and ranges describe the encoded bytes, which the caller does not see.
    public var decodedCodings: [ContentCoding] { body.guardian?.decoding?.codings ?? [] }

    /// The same response with a decoded body.
    @inline(never)
    func decoded(_ limits: ContentDecoder.Limits) -> StreamedResponse {
        let exchange = exchange
        // Responses without content describe another response (RFC 9110 sections 8.6 and 15.4.5), and a part of the
        // encoded bytes cannot be decoded by itself (section 15.3.7).
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
