import HTTPTypes

/// The next step after a response to a download request.
enum DownloadStep: Sendable, Hashable {
    /// The bytes follow the first `offset` bytes of the part.
    case append(offset: Int)
    /// The bytes are the whole representation. `state`: the information needed to continue later; nil if that is not
    /// possible.
    case startOver(DownloadState?)
    /// The part cannot be continued with this response: request the whole representation.
    case requestAll
    /// The bytes follow those of the file that already has the name. `state`: as for `startOver`.
    case adopt(DownloadState?)
    /// The file that already has the name is complete.
    case keep
    /// The response cannot be used.
    case refuse(H2Error)

    /// The request for the rest of a part.
    struct Rest: Sendable, Hashable {
        /// The offset of the first requested byte.
        let offset: Int
        let state: DownloadState

        init(offset: Int, state: DownloadState) { (self.offset, self.state) = (offset, state) }

        /// - Parameter size: the number of bytes in the part.
        /// - Returns: nil if there is nothing to continue.
        init?(_ state: DownloadState, size: Int) {
            guard size > 0, state.total > 0, size <= state.total else { return nil }
            // If the part is complete, its last byte is requested again, so that the server says whether the part is
            // still valid.
            offset = min(size, state.total - 1)
            guard offset > 0 else { return nil }
            self.state = state
        }

        /// Requests the rest (RFC 9110 sections 13.1.5 and 14.2).
        func apply(to request: inout HTTPRequest) {
            request.headerFields[.range] = "bytes=\(offset)-"
            request.headerFields[.ifRange] = state.validator.ifRange
        }
    }

    /// A file without a validator, which another program may have left incomplete.
    struct ExistingFile: Sendable, Hashable {
        let size: Int
        /// When it was last changed, in seconds since 1970.
        let changedAt: Int

        /// Whether the server's file has changed since, so that the bytes here are no part of it.
        func isOutdated(by fields: HTTPFields) -> Bool {
            fields[.lastModified].flatMap { HTTPDate.seconds($0, now: 0) }.map { $0 > changedAt } ?? false
        }
    }

    /// - Parameters:
    ///   - rest: the requested rest; nil if everything was requested.
    ///   - request: identifies the request in a new state.
    init(_ response: HTTPResponse, to rest: Rest?, request: String) {
        let fields = response.headerFields
        switch response.status.code {
        case 200:
            self = .startOver(Self.state(of: fields, request: request))
        case 206:
            if let rest {
                self = Self.continues(rest, fields) ? .append(offset: rest.offset) : .requestAll
            } else {
                self = .refuse(Self.unexpected(response))
            }
        case 416 where rest != nil:
            self = .requestAll
        default: self = .refuse(Self.unexpected(response))
        }
    }

    /// The step after a response to a request for what follows a file.
    init(_ response: HTTPResponse, to file: ExistingFile, request: String) {
        let fields = response.headerFields
        let range = fields[.contentRange].flatMap { ContentRange($0) }
        let mayContinue = !Self.isEncoded(fields) && !file.isOutdated(by: fields)
        switch response.status.code {
        case 206:
            guard mayContinue, let bytes = range?.range, bytes.lowerBound == file.size, let total = range?.total else {
                self = .requestAll
                return
            }
            let validator = Validator(
                entityTag: fields[.eTag], lastModified: fields[.lastModified], date: fields[.date])
            self = .adopt(validator.map { DownloadState(request: request, validator: $0, total: total) })
        case 416:
            self = mayContinue && range?.total == file.size ? .keep : .requestAll
        case 200:
            // The server has no ranges. As in curl, a file of the same length is complete.
            let isComplete = mayContinue && fields[.contentLength].flatMap { Int($0) } == file.size
            self = isComplete ? .keep : .startOver(Self.state(of: fields, request: request))
        default: self = .refuse(Self.unexpected(response))
        }
    }

    static func isEncoded(_ fields: HTTPFields) -> Bool {
        guard let coding = fields[.contentEncoding] else { return false }
        return !coding.isEmpty && coding.lowercased() != "identity"
    }

    private static func state(of fields: HTTPFields, request: String) -> DownloadState? {
        // The bytes of an encoded representation may be stored decoded, so their number is not the server's.
        guard !isEncoded(fields), fields[.acceptRanges]?.lowercased() != "none",
            let validator = Validator(
                entityTag: fields[.eTag], lastModified: fields[.lastModified], date: fields[.date]),
            let text = fields[.contentLength], !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let total = Int(text)
        else { return nil }
        return DownloadState(request: request, validator: validator, total: total)
    }

    /// Whether a partial response continues the part: RFC 9110 section 14.4 allows bytes other than those requested.
    static func continues(_ rest: Rest, _ fields: HTTPFields) -> Bool {
        guard !isEncoded(fields), let text = fields[.contentRange], let stated = ContentRange(text),
            let range = stated.range, range.lowerBound == rest.offset, range.upperBound < rest.state.total,
            stated.total == rest.state.total
        else { return false }
        // RFC 9110 section 15.3.7.3: parts may be combined only if they have the same strong validator.
        switch rest.state.validator {
        case .entityTag(let tag): return fields[.eTag].map { $0 == tag } ?? true
        case .lastModified(let date): return fields[.lastModified].map { $0 == date } ?? true
        }
    }

    static func unexpected(_ response: HTTPResponse) -> H2Error {
        H2Error(
            .unexpectedResponse, initiator: .remote,
            message: "the server answered \(response.status.code) instead of the file",
            remedy: response.status.kind == .redirection
                ? "use the URL that it redirects to" : "check the URL and what it needs")
    }
}
