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
    /// `sha-256` and `sha-512` are verified, the longer one if a field has both. `repr-digest` is the digest of the whole
    /// representation: it is verified with 200 and 203, and says nothing about a partial response (206). A malformed field is
    /// ignored (RFC 9651 section 4.2).
    ///
    /// Digests are of the bytes as they were sent. Reading a body whose content codings the client removes therefore fails: set
    /// ``RequestOptions/decodesContent`` to false for such requests.
    ///
    /// Use it instead of ``body``, and before anything has been read of that.
    /// - Parameter requiresDigest: Whether reading fails if the server states no digest that can be verified. Default true: whoever
    ///   asks for verification should not get bytes that were not verified.
    public func verifiedBody(requiresDigest: Bool = true) -> VerifiedBody {
        VerifiedBody(response: self, requiresDigest: requiresDigest)
    }

    /// - Throws: `H2Error` (`invalidRequest`).
    fileprivate func requireUndecodedBody() throws(H2Error) {
        guard !decodedCodings.isEmpty else { return }
        throw H2Error(
            .invalidRequest, initiator: .user,
            message: "the digest of a body is that of its encoded bytes, which the client decodes",
            remedy: "set RequestOptions.decodesContent to false")
    }

    /// The chunks of a body that is verified at its end. See ``StreamedResponse/verifiedBody(requiresDigest:)``.
    public struct VerifiedBody: AsyncSequence, Sendable {
        /// A chunk of the body.
        public typealias Element = HTTPResponseBody.Chunk

        let response: StreamedResponse
        let requiresDigest: Bool

        /// Creates an iterator over the chunks.
        public func makeAsyncIterator() -> Iterator {
            Iterator(
                chunks: response.body.makeAsyncIterator(), response: response,
                check: DigestCheck(response.head, isRequired: requiresDigest))
        }

        /// Iterates over the chunks of a body.
        public struct Iterator: AsyncIteratorProtocol {
            private var chunks: HTTPResponseBody.Iterator
            private let response: StreamedResponse
            private var check: DigestCheck?

            init(chunks: HTTPResponseBody.Iterator, response: StreamedResponse, check: DigestCheck) {
                self.chunks = chunks
                self.response = response
                self.check = check
            }

            /// The next chunk; nil at the end, if the digests are right. The chunks before that are not verified yet.
            /// - Throws: `H2Error` (`digestMismatch`) at the end; the errors of reading the body.
            public mutating func next() async throws -> HTTPResponseBody.Chunk? {
                try await next(isolation: #isolation)
            }

            /// The next chunk, keeping the isolation of `actor`. nil at the end.
            public mutating func next(
                isolation actor: isolated (any Actor)?
            ) async throws(any Error) -> HTTPResponseBody.Chunk? {
                try response.requireUndecodedBody()
                if let chunk = try await chunks.next(isolation: actor) {
                    check?.add(chunk.bytes)
                    return chunk
                }
                guard let check else { return nil }
                self.check = nil
                try check.finish(trailers: await response.trailerFields())
                return nil
            }
        }

        /// Reads the whole body, and returns it if its digests are right.
        /// - Throws: `H2Error` (`digestMismatch`; `bodyTooLarge` if the body is longer than `limit` bytes); the errors of reading
        ///   the body.
        public nonisolated(nonsending) func collect(upTo limit: Int) async throws -> [UInt8] {
            try response.requireUndecodedBody()
            var check = DigestCheck(response.head, isRequired: requiresDigest)
            let bytes = try await response.body.collect(upTo: limit)
            check.add(bytes)
            try check.finish(trailers: await response.trailerFields())
            return bytes
        }
    }
}
