import H2Platform
package import HTTPTypes

/// A download whose bytes a later one can continue: which bytes to request, and what becomes of each response.
///
/// The caller sends the requests. Used by one call at a time, each after the previous one has returned.
package struct ContinuedDownload: Sendable {
    /// Called with each chunk before it is written, which waits until it returns.
    package typealias Gate = @Sendable ([UInt8]) async throws -> Void

    /// The next step after the head of a response.
    package enum Step: Sendable, Equatable {
        /// Write the body.
        case write
        /// Send another request, which will be for all bytes.
        case requestAll
        /// Nothing: the file is complete already, and was not changed.
        case keep
    }

    /// Identifies the request in the state.
    let identity: String
    let part: LoopBound<ResumablePart>
    /// The state of the part's bytes; nil if they cannot be used.
    private(set) var state: DownloadState?
    /// The bytes that a download in pieces has received, of the part's.
    private(set) var splitRanges: [Range<Int>]?
    /// The file that already has the target's name, while its bytes may be continued.
    private var existing: DownloadStep.ExistingFile?
    /// Whether the part has the bytes of that file.
    private var hasAdopted = false
    /// The number of bytes from before.
    package private(set) var resumedByteCount = 0
    /// Whether the part was written to.
    private var hasWritten = false

    /// Opens the part of the target, or creates an empty one.
    /// - Parameters:
    ///   - source: what is downloaded. Bytes of another source are not continued.
    ///   - resumes: whether bytes that an earlier download left are used.
    ///   - continuesFile: whether a file that has the target's name is a beginning, as another program leaves it.
    ///   - splits: whether `split()` will continue a download in pieces. Otherwise only its beginning is kept.
    /// - Throws: The failure of `host`; the errors of `target`.
    package nonisolated(nonsending) init(
        of source: String, resumes: Bool, continuesFile: Bool = false, splits: Bool = false, host: any DownloadHost,
        to target: @escaping @Sendable () throws -> DownloadTarget
    ) async throws {
        let digest = BodyDigest()
        digest.add(Array(source.utf8))
        // The source may contain secrets.
        let identity = String(decoding: TokenBytes.hex(digest.finish() ?? []), as: UTF8.self)
        let (part, state, ranges, existing) = try await BlockingThreads.shared.result {
            () throws -> (LoopBound<ResumablePart>, DownloadState?, [Range<Int>]?, DownloadStep.ExistingFile?) in
            let part = try ResumablePart(try target(), host: host)
            let info = resumes && part.size > 0 ? part.info : nil
            var state = info.flatMap { DownloadState($0) }
            if state?.request != identity { state = nil }
            var ranges: [Range<Int>]?
            if let received = state?.received {
                state?.received = nil
                if splits {
                    // After a power failure there may be fewer.
                    let size = part.size
                    ranges = received.ranges.map { $0.clamped(to: 0..<size) }.filter { !$0.isEmpty }
                } else {
                    try part.keep(received.prefix)
                    part.replaceInfo(state.map { Array($0.text.utf8) } ?? [])
                }
            }
            let existing = continuesFile && state == nil ? part.existingFile : nil
            return (
                LoopBound(part), state, ranges,
                existing.map { DownloadStep.ExistingFile(size: $0.size, changedAt: $0.changedAt) }
            )
        }
        (self.identity, self.part, self.state, self.existing) = (identity, part, state, existing)
        splitRanges = ranges
    }

    /// The rest of a download in pieces.
    init(_ identity: String, _ part: LoopBound<ResumablePart>, _ state: DownloadState?) {
        (self.identity, self.part, self.state) = (identity, part, state)
    }

    /// Whether a file of the target's name is continued, and not a part.
    package var continuesFile: Bool { existing != nil }

    nonisolated(nonsending) func onPart<R: Sendable>(
        _ work: @escaping @Sendable (ResumablePart) throws -> R
    ) async throws -> R {
        let part = part
        return try await BlockingThreads.shared.result { try work(part.value) }
    }

    /// The descriptor of the part.
    package var descriptor: CInt { part.value.descriptor }

    /// The path of the part, for messages.
    package var partPath: String { part.value.partPath }

    /// The number of bytes in the part.
    package nonisolated(nonsending) func size() async throws -> Int { try await onPart { $0.size } }

    // MARK: - Requests and responses

    /// Requests the bytes that are missing.
    package nonisolated(nonsending) func apply(to request: inout HTTPRequest) async throws {
        let size = try await size()
        if let rest = state.flatMap({ DownloadStep.Rest($0, size: size) }) {
            rest.apply(to: &request)
        } else if let existing {
            request.headerFields[.range] = "bytes=\(existing.size)-"
        }
    }

    /// Prepares the part for the body of a response to a request of `apply(to:)`.
    /// - Throws: `H2Error` (`unexpectedResponse`); the failure of the host.
    package nonisolated(nonsending) mutating func take(_ head: HTTPResponse) async throws -> Step {
        let step: DownloadStep
        if let existing {
            step = DownloadStep(head, to: existing, request: identity)
        } else {
            let size = try await size()
            step = DownloadStep(head, to: state.flatMap { DownloadStep.Rest($0, size: size) }, request: identity)
        }
        switch step {
        case .refuse(let error): throw error
        case .keep: return .keep
        case .requestAll:
            // The next request is for the whole representation, so this happens only once in a row.
            (state, existing) = (nil, nil)
            return .requestAll
        case .append(let offset):
            try await onPart { try $0.keep(offset) }
            if !hasWritten { resumedByteCount = offset }
        case .adopt(let newState):
            let info = newState.map { Array($0.text.utf8) }
            resumedByteCount = try await onPart { part in
                // First, because bytes without it cannot be continued.
                part.setInfo(info)
                do { return try part.adoptTarget() } catch {
                    part.setInfo(nil)
                    throw error
                }
            }
            (state, existing, hasAdopted) = (newState, nil, true)
        case .startOver(let newState):
            (state, existing) = (nil, nil)
            resumedByteCount = 0
            let info = newState.map { Array($0.text.utf8) }
            try await onPart { part in
                try part.keep(0)
                part.setInfo(info)
            }
            state = newState
        }
        hasWritten = true
        return .write
    }

    /// Writes the body of a response.
    /// - Parameters:
    ///   - requiresDigest: whether the bytes must have a digest that the server states.
    ///   - limit: the length that the file must not exceed.
    ///   - gate: holds each chunk back, if anything.
    /// - Returns: whether the file is complete. If not, the rest has to be requested.
    /// - Throws: `H2Error` (`digestMismatch`, `bodyTooLarge`, `unexpectedResponse`, `localIO`); the errors of reading the
    ///   body.
    package nonisolated(nonsending) mutating func write(
        _ response: StreamedResponse, requiresDigest: Bool, limit: Int? = nil, gate: Gate? = nil
    ) async throws -> (isWhole: Bool, byteCount: Int) {
        let head = response.head
        let count = try await writeBody(of: response, requiresDigest: requiresDigest, limit: limit, gate: gate)
        let length = try await size()
        if head.status == .partialContent, let state {
            guard count > 0, length <= state.total else {
                self.state = nil
                throw H2Error(
                    .unexpectedResponse, initiator: .remote,
                    message: "the server sent \(count) bytes that do not fit into the \(state.total) of the file",
                    remedy: "try again: it will be downloaded from its beginning")
            }
            // RFC 9110 section 15.3.7: a server may send less than was requested.
            if length < state.total { return (false, count) }
        }
        if requiresDigest { try await verifyWhole(head, response) }
        return (true, count)
    }

    private nonisolated(nonsending) mutating func writeBody(
        of response: StreamedResponse, requiresDigest: Bool, limit: Int?, gate: Gate?
    ) async throws -> Int {
        let descriptor = descriptor
        var room: Int?
        if let limit { room = max(limit - (response.status == .ok ? 0 : try await size()), 0) }
        do {
            if requiresDigest {
                return try await response.verifiedBody(requiresDigest: response.status == .ok)
                    .write(to: descriptor, limit: room, gate: gate)
            }
            guard room != nil || gate != nil else { return try await response.body.write(to: descriptor) }
            return try await response.body.write(to: descriptor, limit: room, gate: gate)
        } catch let error as H2Error where error.code == .digestMismatch || error.code == .bodyTooLarge {
            state = nil
            throw error
        }
    }

    /// Verifies a file that was assembled from several responses.
    private nonisolated(nonsending) mutating func verifyWhole(
        _ head: HTTPResponse, _ response: StreamedResponse
    ) async throws {
        guard head.status == .partialContent else { return }
        let trailers = await response.trailerFields()
        do { try await verifyRepresentation(head, trailers) } catch {
            state = nil
            throw error
        }
    }

    /// Verifies a complete file with the digest that a response states of the whole.
    /// - Throws: `H2Error` (`digestMismatch`).
    package nonisolated(nonsending) func verifyRepresentation(
        _ head: HTTPResponse, _ trailers: HTTPFields?
    ) async throws {
        var whole = head
        whole.status = .ok
        whole.headerFields[.contentDigest] = nil
        let check = LoopBound(DigestCheck(whole, isRequired: true))
        try await onPart { part in
            let check = check.value
            try part.forEachPiece { check.add($0) }
            var fields = trailers ?? [:]
            fields[.contentDigest] = nil
            try check.finish(trailers: fields)
        }
    }

    // MARK: - The end

    /// Hands the complete part over as a download, which has to be finished. `removeState()` must follow then.
    package nonisolated(nonsending) func completed() async throws -> LoopBound<Download> {
        try await onPart { LoopBound($0.completed()) }
    }

    /// Removes what described the bytes, and the part unless it was handed over.
    package nonisolated(nonsending) func discard() async { try? await onPart { $0.discard() } }

    /// Ends a download that failed. Bytes that cannot be continued are removed, except those of a file that another
    /// program left: it gets them back, with those that were added.
    /// - Returns: the path and the number of bytes that are kept; nil if none are.
    @discardableResult
    package nonisolated(nonsending) func abandon() async -> (path: String, byteCount: Int)? {
        let (isUseless, hasAdopted, isUntouched) = (state == nil, hasAdopted, !hasWritten)
        return try? await onPart { part in
            guard !part.isAdopted else { return nil }
            let size = part.size
            // It is as it was found, whoever left it.
            if isUntouched, size > 0 { return isUseless ? nil : (part.partPath, size) }
            if isUseless, hasAdopted { return (part.giveBack() ? part.target.path : part.partPath, size) }
            guard !isUseless, size > 0 else {
                part.discard()
                return nil
            }
            return (part.partPath, size)
        }
    }
}
