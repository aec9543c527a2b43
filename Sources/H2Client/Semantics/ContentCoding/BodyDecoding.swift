import Synchronization

/// The decoding of one response's body, shared by all copies of the body.
///
/// It runs in the reader's task, and takes more encoded bytes from the exchange when it has decoded the previous ones.
///
/// Invariant behind `@unchecked Sendable`: `state` and `check` are accessed by the reader that holds `isHeld`.
final class BodyDecoding: @unchecked Sendable {
    /// The codings that reading removes, in the order they were applied.
    let codings: [ContentCoding]

    private enum State {
        /// Nothing has been read.
        case untouched(AppliedCodings, ContentDecoder.Limits)
        case decoding(ContentDecoder)
        case ended
        /// A single call has taken the whole body.
        case taken
        case failed(any Error)
    }

    private let exchange: Exchange
    private let isHeld = Atomic<Bool>(false)
    private var state: State
    /// Gets the encoded bytes if the reader verifies the body.
    private var check: DigestCheck?

    /// The maximum number of bytes returned by one read.
    private static let pieceSize = 64 << 10
    /// The maximum number of bytes decoded for one write: handing it to a thread costs more than a read.
    private static let writeSize = 256 << 10
    /// The number of pieces after which a reader on the event loop lets others run.
    private static let piecesPerTurn = 4

    init(_ applied: AppliedCodings, _ limits: ContentDecoder.Limits, of exchange: Exchange) {
        if case .known(let known) = applied { codings = known } else { codings = [] }
        self.exchange = exchange
        state = .untouched(applied, limits)
    }

    // MARK: - Reading

    /// Adds the encoded bytes to `check` while the body is read.
    /// - Throws: `H2Error` (`secondReader`) if something has been read already.
    func observe(with check: DigestCheck) throws {
        try hold()
        defer { letGo() }
        guard case .untouched = state, self.check == nil else { throw H2Error.secondReader(exchange) }
        self.check = check
    }

    /// The next decoded bytes, never empty; nil at the end.
    nonisolated(nonsending) func read() async throws -> [UInt8]? {
        try hold()
        defer { letGo() }
        return try await next(upTo: Self.pieceSize)
    }

    nonisolated(nonsending) func collect(upTo limit: Int) async throws -> [UInt8] {
        try hold()
        defer { letGo() }
        try checkNotTaken()
        var result: [UInt8] = []
        var pieces = 0
        // One byte more than allowed shows that the body is too long.
        while let piece = try await next(upTo: min(Self.pieceSize, max(limit - result.count, 0) + 1)) {
            guard result.count + piece.count <= limit else { throw failed(exchange.bodyTooLarge(limit)) }
            if result.isEmpty { result = piece } else { result += piece }
            pieces += 1
            await letOthersRun(after: pieces)
        }
        state = .taken
        return result
    }

    /// Decodes the rest and discards it. Returns the number of bytes.
    nonisolated(nonsending) func drain() async throws -> Int {
        try hold()
        defer { letGo() }
        var (count, pieces) = (0, 0)
        while let piece = try await next(upTo: Self.pieceSize) {
            count += piece.count
            pieces += 1
            await letOthersRun(after: pieces)
        }
        return count
    }

    /// Writes the rest piece by piece. Returns the number of bytes.
    nonisolated(nonsending) func write(with writer: DescriptorWriter) async throws -> Int {
        try hold()
        defer { letGo() }
        try checkNotTaken()
        var count = 0
        while let piece = try await next(upTo: Self.writeSize) {
            do {
                try await exchange.writeOut(piece, [], with: writer)
            } catch {
                state = .failed(error)
                throw error
            }
            count += piece.count
        }
        state = .taken
        return count
    }

    // MARK: - One reader at a time

    private func hold() throws {
        guard isHeld.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else {
            throw H2Error.secondReader(exchange)
        }
    }

    private func letGo() { isHeld.store(false, ordering: .releasing) }

    private func checkNotTaken() throws {
        if case .taken = state { throw H2Error.secondReader(exchange, isOver: true) }
    }

    /// Decoding keeps a core busy. A task that prefers the event loop must not keep the loop's connections waiting.
    private nonisolated(nonsending) func letOthersRun(after pieces: Int) async {
        if pieces % Self.piecesPerTurn == 0, exchange.connection.loopIdentity.isCurrent { await Task.yield() }
    }

    // MARK: - Decoding

    private nonisolated(nonsending) func next(upTo count: Int) async throws -> [UInt8]? {
        let decoder: ContentDecoder
        switch state {
        case .untouched(let applied, let limits): decoder = try begin(applied, limits)
        case .decoding(let present): decoder = present
        case .ended, .taken: return nil
        case .failed(let error): throw error
        }
        if Task.isCancelled { throw failed(CancellationError()) }
        while true {
            let piece = try decoded(by: decoder, upTo: count)
            if !piece.isEmpty {
                exchange.decodedPieces.add(1, ordering: .relaxed)
                return piece
            }
            if decoder.isFinished {
                state = .ended
                return nil
            }
            let encoded: [UInt8]?
            do {
                encoded = try await exchange.readBody()
            } catch {
                // The stream's failure or the cancellation. Another reader's `secondReader` cannot occur: this is the only one.
                state = .failed(error)
                throw error
            }
            if let encoded {
                check?.add(encoded)
                decoder.feed(encoded)
            } else {
                decoder.endInput()
            }
        }
    }

    private func begin(_ applied: AppliedCodings, _ limits: ContentDecoder.Limits) throws -> ContentDecoder {
        do throws(CodingFault) {
            guard case .known(let codings) = applied else {
                throw CodingFault(coding: nil, kind: .tooManyCodings)
            }
            let decoder = try ContentDecoder(codings, limits)
            state = .decoding(decoder)
            return decoder
        } catch {
            throw failed(H2Error.contentCoding(error, of: exchange))
        }
    }

    private func decoded(by decoder: ContentDecoder, upTo count: Int) throws -> [UInt8] {
        do throws(CodingFault) {
            return try decoder.decode(upTo: count)
        } catch {
            throw failed(H2Error.contentCoding(error, of: exchange))
        }
    }

    /// Ends the body for its readers, and resets the stream if it is open.
    private func failed(_ error: any Error) -> any Error {
        state = .failed(error)
        if !exchange.isWhole {
            let exchange = exchange
            exchange.connection.loop.execute { exchange.failReading(error) }
        }
        return error
    }
}

extension H2Error {
    fileprivate static func contentCoding(_ fault: CodingFault, of stream: StreamState) -> H2Error {
        H2Error(
            .contentCodingFailed, scope: .stream(stream.id), message: "\(stream.title): \(fault.message)",
            remedy: fault.remedy)
    }
}
