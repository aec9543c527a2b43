import H2Client
import H2Measure
import HTTPTypes

/// Downloads in several ranges at once (--range-split).
extension Fetch {
    /// The length of the first request, which shows whether the server has ranges, and the least length of the others.
    private static let shortestPiece = 1 << 20

    /// Downloads a file in pieces.
    /// - Returns: nil once that is done. If the server's pieces cannot be put together, the download as a whole, with the
    ///   response that has it if there is one.
    func split(
        _ download: ContinuedDownload, _ request: HTTPRequest, _ origin: Origin, _ transfer: inout Transfer
    ) async throws -> (download: ContinuedDownload, response: StreamedResponse?)? {
        if let split = try await download.split() {
            transfer.phase = .response
            return try await run(split, first: nil, request, origin, &transfer).map { ($0, nil) }
        }
        let response: StreamedResponse
        do {
            var first = request
            ContinuedDownload.firstPiece(Self.shortestPiece, of: &first)
            response = try await receive(first, .none, origin, &transfer).response
        } catch {
            await download.abandon()
            throw error
        }
        // Its body is not a piece of the file.
        guard !isUnwanted(response) else { return (download, response) }
        if let split = try await download.split(from: response.head, first: Self.shortestPiece) {
            return try await run(split, first: response, request, origin, &transfer).map { ($0, nil) }
        }
        switch response.status {
        case .partialContent, .rangeNotSatisfiable:
            // Without a strong validator, or of an empty file.
            try await response.body.discard()
            return (download, nil)
        default: return (download, response)
        }
    }

    /// - Returns: the download as a whole if the pieces cannot be put together.
    private func run(
        _ split: SplitDownload, first: StreamedResponse?, _ request: HTTPRequest, _ origin: Origin,
        _ transfer: inout Transfer
    ) async throws -> ContinuedDownload? {
        do {
            if let limit = settings.longestBody, split.total > limit { throw BodyOutput.isTooLong(limit) }
            let response = try await fetchPieces(of: split, first: first, request, origin, transfer)
            transfer.bodyBytes = split.byteCount
            var download = try await split.end(isKept: true)
            if settings.verifiesDigests { try await download.verifyRepresentation(response.head, nil) }
            if facts.wantsReports { transfer.response = response }
            try await finish(&download, response, &transfer)
            await verbose.finished(response, transfer)
            try await saveEntityTag(of: response)
            return nil
        } catch is SplitDownload.Misfit {
            let reason = "its ranges cannot be put together, so it is fetched as a whole"
            if console.showsErrors { console.say(printable("h2get: \(withoutSecrets(transfer.url)): \(reason)")) }
            return try await split.end(isKept: false)
        } catch {
            transfer.bodyBytes = split.byteCount
            if isUseless(error), transfer.isLastMirror || isWrong(error) {
                await split.discard()
            } else if let left = await split.abandon() {
                transfer.leftover = "\(byteCount(left.byteCount)) of it are in \(left.path)"
            }
            throw error
        }
    }

    /// Fetches the missing pieces, as many at once as --range-split says.
    /// - Returns: the last response.
    /// - Throws: the first error, after all pieces have ended.
    private func fetchPieces(
        of split: SplitDownload, first: StreamedResponse?, _ request: HTTPRequest, _ origin: Origin,
        _ transfer: Transfer
    ) async throws -> StreamedResponse {
        let most = settings.rangeSplit
        // All pieces together keep to --limit-rate.
        let gate = transfer.meter?.gate
        transfer.meter?.measure(true)
        defer { transfer.meter?.measure(false) }
        let begun = first == nil ? 0..<0 : 0..<min(Self.shortestPiece, split.total)
        var pieces = split.pieces(count: most, minimum: Self.shortestPiece, without: begun)[...]
        // The last byte of a complete part shows whether the server still has that file.
        if pieces.isEmpty, first == nil { pieces = [split.total - 1..<split.total] }
        running[transfer.index]?.expects(pieces.reduce(begun.count) { $0 + $1.count })
        return try await withThrowingTaskGroup(of: StreamedResponse.self) { group in
            if let first {
                group.addTask { try await self.fetch(begun, of: split, from: first, request, origin, transfer, gate) }
            }
            var running = first == nil ? 0 : 1
            func addNext() {
                guard let piece = pieces.popFirst() else { return }
                running += 1
                group.addTask { try await self.fetch(piece, of: split, from: nil, request, origin, transfer, gate) }
            }
            while running < most, !pieces.isEmpty { addNext() }
            var last = first
            while let response = try await group.next() {
                last = response
                addNext()
            }
            // There is one piece at least.
            return last!
        }
    }

    /// Fetches a piece, and continues it if its connection breaks.
    /// - Parameter first: the response that has it, if it was requested before.
    /// - Returns: the last response.
    /// - Throws: `SplitDownload.Misfit`; `Failure`, `H2Error`, `CancellationError`.
    private func fetch(
        _ piece: Range<Int>, of split: SplitDownload, from first: StreamedResponse?, _ request: HTTPRequest,
        _ origin: Origin, _ transfer: Transfer, _ gate: ContinuedDownload.Gate?
    ) async throws -> StreamedResponse {
        var transfer = transfer
        var offset = piece.lowerBound
        var failures = DownloadFailures()
        var given = first
        while true {
            let before = offset
            do {
                let response: StreamedResponse
                if let first = given {
                    response = first
                } else {
                    var request = request
                    split.apply(offset..<piece.upperBound, to: &request)
                    transfer.phase = .request
                    response = try await receive(request, .none, origin, &transfer).response
                    // `receive` ends it, and other pieces are under way.
                    transfer.meter?.measure(true)
                }
                given = nil
                let range = try split.range(of: response.head, in: offset..<piece.upperBound)
                for try await chunk in response.body {
                    guard chunk.count <= range.upperBound - offset else { throw SplitDownload.Misfit() }
                    try await gate?(chunk.bytes)
                    try await split.write(chunk.bytes, at: offset)
                    offset += chunk.count
                }
                if offset == piece.upperBound { return response }
                // RFC 9110 section 15.3.7: a server may send less than was requested, but not nothing.
                guard offset > before else { throw SplitDownload.Misfit() }
            } catch let error as H2Error where transfer.phase == .response && DownloadFailures.mayPass(error) {
                failures.add(received: offset - before)
                let most = settings.retries ?? Self.continuations
                guard failures.count <= most, let pause = pause(before: failures.count, since: transfer.start) else {
                    throw error
                }
                retryNotes.tell(error.message, wait: pause)
                try await Task.sleep(for: pause)
            }
        }
    }
}
