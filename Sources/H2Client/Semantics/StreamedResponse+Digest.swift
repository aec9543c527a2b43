import HTTPTypes

extension StreamedResponse {
    /// The body, verified against the digests that the server states in `content-digest` and `repr-digest` (RFC 9530), in its
    /// header or trailer fields.
    ///
    /// ```swift
    /// let response = try await client.send(.get, "https://example.com/firmware")
    /// let firmware = try await response.verifiedBody().collect(upTo: 64 << 20)
    /// ```
    ///
    /// `sha-256` and `sha-512` are verified; if a field has both, the longer one is. `repr-digest` is the digest of the
    /// whole representation: it is verified with 200 and 203, and says nothing about a partial response (206). A
    /// malformed field is ignored (RFC 9651 section 4.2).
    ///
    /// Digests cover the bytes that the server sent. If the client decodes the body, the encoded bytes are verified,
    /// and the chunks are the decoded ones.
    ///
    /// Use it instead of ``body``, before anything has been read from ``body``.
    /// - Parameter requiresDigest: Whether reading fails if the server states no digest that can be verified. Default
    ///   true: a caller who asks for verification should not get unverified bytes.
    public func verifiedBody(requiresDigest: Bool = true) -> VerifiedBody {
        VerifiedBody(response: self, requiresDigest: requiresDigest)
    }

    /// The check of the body's digests. If the body is decoded, the decoding adds the bytes that it reads.
    fileprivate func digestCheck(isRequired: Bool) throws -> DigestCheck {
        let check = DigestCheck(head, isRequired: isRequired)
        try body.guardian?.decoding?.observe(with: check)
        return check
    }

    fileprivate var isDecoded: Bool { body.guardian?.decoding != nil }

    /// The chunks of a body that is verified at its end. See ``StreamedResponse/verifiedBody(requiresDigest:)``.
    public struct VerifiedBody: AsyncSequence, Sendable {
        /// A chunk of the body.
        public typealias Element = HTTPResponseBody.Chunk

        let response: StreamedResponse
        let requiresDigest: Bool

        /// Creates an iterator over the chunks.
        public func makeAsyncIterator() -> Iterator {
            Iterator(response, requiresDigest: requiresDigest)
        }

        /// Iterates over the chunks of a body.
        public struct Iterator: AsyncIteratorProtocol {
            private var chunks: HTTPResponseBody.Iterator
            private let response: StreamedResponse
            private let requiresDigest: Bool
            /// nil before the first chunk and after the last one.
            private var check: DigestCheck?
            private var hasEnded = false

            fileprivate init(_ response: StreamedResponse, requiresDigest: Bool) {
                chunks = response.body.makeAsyncIterator()
                self.response = response
                self.requiresDigest = requiresDigest
            }

            /// The next chunk; nil at the end, if the digests are right. Chunks returned before that are not verified
            /// yet.
            /// - Throws: `H2Error` (`digestMismatch`) at the end; the errors of reading the body.
            public mutating func next() async throws -> HTTPResponseBody.Chunk? {
                try await next(isolation: #isolation)
            }

            /// The next chunk, keeping the isolation of `actor`. nil at the end.
            public mutating func next(
                isolation actor: isolated (any Actor)?
            ) async throws(any Error) -> HTTPResponseBody.Chunk? {
                guard !hasEnded else { return nil }
                let check = try self.check ?? response.digestCheck(isRequired: requiresDigest)
                self.check = check
                if let chunk = try await chunks.next(isolation: actor) {
                    if !response.isDecoded { check.add(chunk.bytes) }
                    return chunk
                }
                self.check = nil
                hasEnded = true
                try check.finish(trailers: await response.trailerFields())
                return nil
            }
        }

        /// Reads the whole body, and returns it if its digests are right.
        /// - Throws: `H2Error` (`digestMismatch`; `bodyTooLarge` if the body is longer than `limit` bytes); the errors of reading
        ///   the body.
        public nonisolated(nonsending) func collect(upTo limit: Int) async throws -> [UInt8] {
            let check = try response.digestCheck(isRequired: requiresDigest)
            let bytes = try await response.body.collect(upTo: limit)
            if !response.isDecoded { check.add(bytes) }
            try check.finish(trailers: await response.trailerFields())
            return bytes
        }
    }
}
