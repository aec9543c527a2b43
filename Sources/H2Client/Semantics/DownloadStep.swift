import HTTPTypes

/// What to do with the response to a request of a download.
enum DownloadStep: Sendable, Hashable {
    /// The bytes follow the first `offset` ones of the part.
    case append(offset: Int)
    /// The bytes are the whole representation. `state`: what is needed to continue later; nil if that is not possible.
    case startOver(DownloadState?)
    /// The part cannot be continued with it: request the whole representation.
    case requestAll
    /// The response is of no use.
    case refuse(H2Error)

    /// The request for the rest of a part.
    struct Rest: Sendable, Hashable {
        /// Where the bytes that were asked for begin.
        let offset: Int
        let state: DownloadState

        /// - Parameter size: the number of bytes that are there.
        /// - Returns: nil if there is nothing to continue.
        init?(_ state: DownloadState, size: Int) {
            guard size > 0, state.total > 0, size <= state.total else { return nil }
            // Of a part that has everything the last byte is asked for again, so that the server says whether it still is valid.
            offset = min(size, state.total - 1)
            guard offset > 0 else { return nil }
            self.state = state
        }

        /// Asks for the rest (RFC 9110 sections 13.1.5 and 14.2).
        func apply(to request: inout HTTPRequest) {
            request.headerFields[.range] = "bytes=\(offset)-"
            request.headerFields[.ifRange] = state.validator.ifRange
        }
    }

    /// - Parameters:
    ///   - rest: what was asked for; nil if it was everything.
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

    private static func isEncoded(_ fields: HTTPFields) -> Bool {
        guard let coding = fields[.contentEncoding] else { return false }
        return !coding.isEmpty && coding.lowercased() != "identity"
    }

    private static func state(of fields: HTTPFields, request: String) -> DownloadState? {
        // Bytes of a coded representation may be stored decoded, so that their number is not the server's.
        guard !isEncoded(fields), fields[.acceptRanges]?.lowercased() != "none",
            let validator = Validator(
                entityTag: fields[.eTag], lastModified: fields[.lastModified], date: fields[.date]),
            let text = fields[.contentLength], !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let total = Int(text)
        else { return nil }
        return DownloadState(request: request, validator: validator, total: total)
    }

    /// Whether a partial response has the bytes that follow: RFC 9110 section 14.4 allows others than those asked for.
    private static func continues(_ rest: Rest, _ fields: HTTPFields) -> Bool {
        guard !isEncoded(fields), let text = fields[.contentRange], let stated = ContentRange(text),
            let range = stated.range, range.lowerBound == rest.offset, range.upperBound < rest.state.total,
            stated.total == rest.state.total
        else { return false }
        // RFC 9110 section 15.3.7.3: parts are put together only if they have the same strong validator.
        switch rest.state.validator {
        case .entityTag(let tag): return fields[.eTag].map { $0 == tag } ?? true
        case .lastModified(let date): return fields[.lastModified].map { $0 == date } ?? true
        }
    }

    private static func unexpected(_ response: HTTPResponse) -> H2Error {
        H2Error(
            .unexpectedResponse, initiator: .remote,
            message: "the server answered \(response.status.code) instead of the file",
            remedy: response.status.kind == .redirection
                ? "use the URL that it redirects to" : "check the URL and what it needs")
    }
}
