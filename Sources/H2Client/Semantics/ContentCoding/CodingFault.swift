/// Why a body cannot be decoded.
struct CodingFault: Error, Equatable {
    enum Kind: Error, Equatable {
        /// The bytes are not valid in the coding; the text is its library's.
        case corrupt(String)
        /// The body ended before the coding's own end.
        case truncated
        /// There are more bytes after the end of the coding.
        case trailingBytes
        /// It needs a window of more than 8 MiB (RFC 9659 section 3).
        case windowTooLarge
        case outOfMemory
        /// The package was built without this trait.
        case unavailable(trait: String)
        case tooManyCodings
        /// More than `maximumSize`.
        case tooLarge(limit: Int)
        /// More than `maximumRatio`.
        case ratioTooHigh(limit: Int)
    }

    let coding: ContentCoding?
    let kind: Kind

    /// A description of the fault.
    var message: String {
        let name = coding.map { "the body's \($0.rawValue) coding" } ?? "the body"
        return switch kind {
        case .corrupt(let detail): "\(name) is damaged: \(detail)"
        case .truncated: "\(name) ends too early: the body is not complete"
        case .trailingBytes: "\(name) is followed by bytes that do not belong to it"
        case .windowTooLarge: "\(name) needs a window of more than 8 MiB, which RFC 9659 does not allow"
        case .outOfMemory: "there is no memory left for \(name)"
        case .unavailable: "this build does not have the \(coding?.rawValue ?? "") coding"
        case .tooManyCodings: "the body has more than \(AppliedCodings.limit) content codings"
        case .tooLarge(let limit): "\(name) decodes to more than \(limit) bytes"
        case .ratioTooHigh(let limit): "\(name) decodes to more than \(limit) times its size"
        }
    }

    /// Advice for the user.
    var remedy: String {
        switch kind {
        case .corrupt, .truncated, .trailingBytes, .windowTooLarge, .tooManyCodings:
            "the fault is the server's, or that of something before it; RequestOptions.decodesContent = false gets the body as it is sent"
        case .outOfMemory: "the system is out of memory"
        case .unavailable(let trait): "build H2Client with the package trait \(trait)"
        case .tooLarge: "if that is legitimate, raise HTTPClient.ContentDecoding.maximumSize"
        case .ratioTooHigh:
            "it may be made to exhaust its readers; if it is legitimate, raise HTTPClient.ContentDecoding.maximumRatio"
        }
    }
}
