import H2Platform
package import HTTPTypes

/// The bytes of a file that were received, and the pieces that are missing.
package struct ReceivedRanges: Sendable, Hashable {
    /// In order, neither adjacent nor empty.
    package private(set) var ranges: [Range<Int>] = []

    package init(_ ranges: [Range<Int>] = []) {
        for range in ranges { add(range) }
    }

    package mutating func add(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        let first = ranges.firstIndex { $0.upperBound >= range.lowerBound } ?? ranges.count
        let end = ranges[first...].firstIndex { $0.lowerBound > range.upperBound } ?? ranges.count
        guard first < end else { return ranges.insert(range, at: first) }
        let lower = min(range.lowerBound, ranges[first].lowerBound)
        let upper = max(range.upperBound, ranges[end - 1].upperBound)
        ranges.replaceSubrange(first..<end, with: [lower..<upper])
    }

    package var byteCount: Int { ranges.reduce(0) { $0 + $1.count } }

    /// The length of the beginning that is there.
    package var prefix: Int { ranges.first.map { $0.lowerBound == 0 ? $0.upperBound : 0 } ?? 0 }

    package func missing(of total: Int) -> [Range<Int>] {
        var missing: [Range<Int>] = []
        var end = 0
        for range in ranges {
            if range.lowerBound > end { missing.append(end..<range.lowerBound) }
            end = range.upperBound
        }
        if end < total { missing.append(end..<total) }
        return missing
    }

    /// Divides the missing bytes into pieces of about the same length.
    /// - Parameters:
    ///   - count: how many, if that does not make them shorter than `minimum`. Gaps may make them a few more.
    package func pieces(of total: Int, count: Int, minimum: Int) -> [Range<Int>] {
        let gaps = missing(of: total)
        let bytes = gaps.reduce(0) { $0 + $1.count }
        let length = max((bytes + count - 1) / max(count, 1), minimum, 1)
        return gaps.flatMap { gap in
            let parts = max((gap.count + length - 1) / length, 1)
            return (0..<parts).map { part in
                gap.lowerBound + gap.count * part / parts..<gap.lowerBound + gap.count * (part + 1) / parts
            }
        }
    }
}

/// A download whose pieces are requested side by side and written to their places in one part.
///
/// Invariant behind `@unchecked Sendable`: `state` is accessed with `lock` held. Of the part, several threads use the
/// descriptor, by pwrite; its other calls follow one another, see `isSaving`.
package final class SplitDownload: @unchecked Sendable {
    /// Why the pieces cannot be put together: the server's file has changed, or it sends other bytes than were requested.
    package struct Misfit: Error {
        package init() {}
    }

    private struct State {
        var received = ReceivedRanges()
        /// The number of bytes of this run.
        var count = 0
        var unsaved = 0
        /// Whether a thread writes the state down.
        var isSaving = false
    }

    private let identity: String
    private let part: LoopBound<ResumablePart>
    /// Identifies the server's file.
    private let file: DownloadState
    private let lock = PthreadLock()
    private var state = State()
    /// The state is written down each time this number of bytes has come.
    private static let interval = 8 << 20
    /// The state is shorter than this.
    private static let room = 64 << 10

    fileprivate init(
        _ identity: String, _ part: LoopBound<ResumablePart>, _ file: DownloadState, _ received: ReceivedRanges
    ) {
        (self.identity, self.part, self.file) = (identity, part, file)
        state.received = received
    }

    /// The length of the file.
    package var total: Int { file.total }

    /// The number of bytes that were received in this run.
    package var byteCount: Int { lock.withLock { state.count } }

    package var isWhole: Bool { lock.withLock { state.received.missing(of: file.total).isEmpty } }

    /// The pieces that are missing, except one that was requested before.
    package func pieces(count: Int, minimum: Int, without begun: Range<Int>) -> [Range<Int>] {
        var received = lock.withLock { state.received }
        received.add(begun)
        return received.pieces(of: file.total, count: count, minimum: minimum)
    }

    /// Requests a piece, or the whole file if it has changed (RFC 9110 section 13.1.5).
    package func apply(_ piece: Range<Int>, to request: inout HTTPRequest) {
        request.headerFields[.range] = "bytes=\(piece.lowerBound)-\(piece.upperBound - 1)"
        request.headerFields[.ifRange] = file.validator.ifRange
        // They were about the whole.
        for name in [HTTPField.Name.ifModifiedSince, .ifUnmodifiedSince, .ifNoneMatch] {
            request.headerFields[name] = nil
        }
    }

    /// The bytes that a response to a request for a piece has: the piece or its beginning.
    /// - Throws: `Misfit`; `H2Error` (`unexpectedResponse`) for another status.
    package func range(of response: HTTPResponse, in piece: Range<Int>) throws -> Range<Int> {
        switch response.status.code {
        case 206: break
        case 200, 412, 416: throw Misfit()
        default: throw DownloadStep.unexpected(response)
        }
        let rest = DownloadStep.Rest(offset: piece.lowerBound, state: file)
        guard DownloadStep.continues(rest, response.headerFields),
            let range = response.headerFields[.contentRange].flatMap({ ContentRange($0) })?.range,
            range.upperBound < piece.upperBound
        else { throw Misfit() }
        return Range(range)
    }

    /// Writes bytes to their place.
    /// - Throws: The failure of the host.
    package nonisolated(nonsending) func write(_ bytes: [UInt8], at offset: Int) async throws {
        try await BlockingThreads.shared.result { [self] in
            try part.value.write(bytes, at: offset)
            let isDue = lock.withLock {
                state.received.add(offset..<offset + bytes.count)
                state.count += bytes.count
                state.unsaved += bytes.count
                guard state.unsaved >= Self.interval, !state.isSaving else { return false }
                (state.unsaved, state.isSaving) = (0, true)
                return true
            }
            guard isDue else { return }
            save()
            lock.withLock { state.isSaving = false }
        }
    }

    /// Writes the state down. Blocks.
    @discardableResult
    private func save() -> Bool {
        var file = file
        file.received = lock.withLock { state.received }
        return part.value.replaceInfo(Array(file.text.utf8))
    }

    /// Gives up the last bytes, so that a full disk has room for the state.
    private func makeRoom() {
        let end = lock.withLock { () -> Int in
            let last = state.received.ranges.last ?? 0..<0
            let end = max(last.upperBound - Self.room, last.lowerBound)
            state.received = ReceivedRanges(state.received.ranges.dropLast() + [last.lowerBound..<end])
            return end
        }
        part.value.shorten(to: end)
    }

    /// Ends the requests, so that the part can be finished, or downloaded as a whole. Nothing may be written any more.
    /// - Parameter isKept: whether its bytes are right.
    package nonisolated(nonsending) func end(isKept: Bool) async throws -> ContinuedDownload {
        try await BlockingThreads.shared.result { [self] in
            var file = file
            file.received = nil
            guard isKept else {
                try part.value.keep(0)
                part.value.setInfo(nil)
                return ContinuedDownload(identity, part, nil)
            }
            return ContinuedDownload(identity, part, isWhole ? file : nil)
        }
    }

    /// Ends a download that failed, and keeps what was received.
    /// - Returns: the path and the number of bytes that are kept; nil if none are.
    package nonisolated(nonsending) func abandon() async -> (path: String, byteCount: Int)? {
        await BlockingThreads.shared.result { [self] in
            guard !part.value.isAdopted else { return nil }
            let count = lock.withLock { state.received.byteCount }
            guard count > 0 else {
                part.value.discard()
                return nil
            }
            if save() { return (part.value.partPath, count) }
            makeRoom()
            guard save() else {
                part.value.discard()
                return nil
            }
            return (part.value.partPath, lock.withLock { state.received.byteCount })
        }
    }

    /// Removes all of it.
    package nonisolated(nonsending) func discard() async {
        await BlockingThreads.shared.result { [self] in part.value.discard() }
    }
}

extension ContinuedDownload {
    /// The first bytes of a download in pieces, which show whether the server has ranges.
    package static func firstPiece(_ length: Int, of request: inout HTTPRequest) {
        request.headerFields[.range] = "bytes=0-\(length - 1)"
    }

    /// The download in pieces that an earlier one has begun; nil if there is none.
    package nonisolated(nonsending) func split() async throws -> SplitDownload? {
        guard let state else { return nil }
        let size = try await size()
        let received = ReceivedRanges(splitRanges ?? [0..<min(size, state.total)])
        return SplitDownload(identity, part, state, received)
    }

    /// A download in pieces that begins with this response; nil if the server's pieces cannot be put together, because it
    /// has no ranges, or no strong validator.
    package nonisolated(nonsending) func split(
        from head: HTTPResponse, first length: Int
    ) async throws -> SplitDownload? {
        let fields = head.headerFields
        let range = fields[.contentRange].flatMap { ContentRange($0) }
        guard head.status == .partialContent, !DownloadStep.isEncoded(fields), let bytes = range?.range,
            let total = range?.total, bytes.lowerBound == 0, bytes.upperBound < length,
            let validator = Validator(
                entityTag: fields[.eTag], lastModified: fields[.lastModified], date: fields[.date])
        else { return nil }
        try await onPart { part in
            try part.keep(0)
            part.setInfo(nil)
        }
        let state = DownloadState(request: identity, validator: validator, total: total)
        return SplitDownload(identity, part, state, ReceivedRanges())
    }
}
