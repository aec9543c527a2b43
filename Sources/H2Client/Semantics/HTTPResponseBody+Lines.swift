extension HTTPResponseBody {
    /// The default limit on the length of a line: 1 MiB.
    public static let defaultLineLimit = 1 << 20

    /// The body as lines of text, read as they arrive, each of at most ``defaultLineLimit`` bytes.
    ///
    /// ```swift
    /// let response = try await client.send(.get, "https://example.com/log")
    /// for try await line in response.body.lines { print(line) }
    /// ```
    public var lines: Lines { lines() }

    /// The body as lines of text, read as they arrive.
    ///
    /// A line ends with CR, LF or CRLF, which are not part of it, or with the body. There is no empty line after the
    /// last line end. The text is UTF-8: other bytes become U+FFFD, and a byte-order mark at the beginning is left out.
    /// - Parameter limit: The length of the longest line in bytes. Longer lines are an error, so that a server cannot
    ///   exhaust the memory.
    public func lines(upTo limit: Int = HTTPResponseBody.defaultLineLimit) -> Lines { Lines(body: self, limit: limit) }

    /// The lines of a body. See ``HTTPResponseBody/lines(upTo:)``.
    public struct Lines: AsyncSequence, Sendable {
        /// A line of text without its end.
        public typealias Element = String

        let body: HTTPResponseBody
        let limit: Int

        /// Creates an iterator over the lines.
        public func makeAsyncIterator() -> Iterator {
            Iterator(chunks: body.makeAsyncIterator(), splitter: LineSplitter(limit: limit))
        }

        /// Iterates over the lines of a body.
        public struct Iterator: AsyncIteratorProtocol {
            private var chunks: HTTPResponseBody.Iterator
            private var splitter: LineSplitter
            private var hasEnded = false

            init(chunks: HTTPResponseBody.Iterator, splitter: LineSplitter) {
                self.chunks = chunks
                self.splitter = splitter
            }

            /// The next line; nil at the end.
            /// - Throws: `H2Error` (`limitExceeded`) if a line is too long; the errors of reading the body.
            public mutating func next() async throws -> String? { try await next(isolation: #isolation) }

            /// The next line, keeping the isolation of `actor`. nil at the end.
            public mutating func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> String? {
                while !hasEnded {
                    do throws(LineSplitter.TooLong) {
                        if let line = try splitter.next() { return String(decoding: line, as: UTF8.self) }
                    } catch {
                        hasEnded = true
                        throw H2Error(
                            .limitExceeded, message: "a line of the body is longer than \(splitter.limit) bytes",
                            remedy: "allow longer lines, or read chunks")
                    }
                    if let chunk = try await chunks.next(isolation: actor) {
                        splitter.add(chunk.bytes)
                    } else {
                        hasEnded = true
                        return splitter.last().map { String(decoding: $0, as: UTF8.self) }
                    }
                }
                return nil
            }
        }
    }
}
