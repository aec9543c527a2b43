import H2Client
import HTTPTypes

/// Bodies from -d and its kin, -F and --json, and what is added to the URL's query.
extension FetchSettings {
    static let json = "application/json"

    /// Checks that the options name one kind of body, or none.
    func checkBodyKinds(_ arguments: Arguments, hasData: Bool, hasFiles: Bool) throws {
        let hasForm = arguments.isGiven(.form) || arguments.isGiven(.formString)
        guard !hasData || !hasFiles else { throw Failure.usage("-d (a POST) and -T (a PUT) cannot be combined") }
        guard !hasForm || !hasFiles else { throw Failure.usage("-F (a POST) and -T (a PUT) cannot be combined") }
        guard !hasForm || !hasData else {
            throw Failure.usage("-F and -d are two kinds of body: write -F NAME=CONTENT for the data too")
        }
        guard hasForm || !arguments.isOn(.formEscape) else {
            throw Failure.usage("--form-escape is about the names of -F; leave it out, or give -F")
        }
        if arguments.isOn(.get) {
            guard !hasForm, !hasFiles else {
                throw Failure.usage(
                    "-G sends no body: leave out -F and -T, or -G; --url-query adds to the query of any request")
            }
            guard !arguments.isGiven(.jsonBody) else {
                throw Failure.usage("--json is a body, and -G sends none; use --data-urlencode for a query")
            }
        } else {
            guard !arguments.isOn(.head) || !(hasData || hasFiles || hasForm) else {
                throw Failure.usage("-I asks without a body: leave out -d, -F and -T, or -I; -G puts -d into the query")
            }
        }
        guard !hasForm || !arguments.isGiven(.trailer) else {
            throw Failure.usage("a form cannot have a --trailer; leave it out, or send the body with -d or -T")
        }
    }

    // MARK: - Data

    /// Joins the pieces with &, except before --json. Drops the line ends of files unless they are binary.
    static func joined(_ data: [Arguments.Occurrence]) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for piece in data {
            if !bytes.isEmpty, piece.key != .jsonBody { bytes.append(UInt8(ascii: "&")) }
            switch piece.key {
            case .dataRaw: bytes += piece.value
            case .dataUrlencode: bytes += try EncodedData(piece).bytes()
            default:
                guard let path = try piece.file else {
                    bytes += piece.value
                    continue
                }
                var content = try readWhole(path, remedy: "stream it with -T")
                if piece.key == .data || piece.key == .dataAscii {
                    content.removeAll { $0 == 0x0a || $0 == 0x0d || $0 == 0 }
                }
                bytes += content
            }
        }
        return bytes
    }

    /// Joins parts of a query with &, leaving empty ones out.
    static func joined(_ parts: [[UInt8]]) -> [UInt8] {
        Array(parts.filter { !$0.isEmpty }.joined(separator: "&".utf8))
    }

    // MARK: - Query

    /// The text that --url-query adds.
    static func query(_ arguments: Arguments) throws -> [UInt8] {
        joined(
            try arguments.all(.urlQuery).map { part in
                part.value.first == UInt8(ascii: "+") ? Array(part.value.dropFirst()) : try EncodedData(part).bytes()
            })
    }

    /// A URL's path and query with more of a query.
    static func path(_ path: String, withQuery query: [UInt8]) -> String {
        var path = path
        if !path.utf8.contains(UInt8(ascii: "?")) {
            path += "?"
        } else if path.utf8.last != UInt8(ascii: "?"), path.utf8.last != UInt8(ascii: "&") {
            path += "&"
        }
        return path + String(decoding: PercentEncoding.encodedQuery(query), as: UTF8.self)
    }

    // MARK: - Fields

    mutating func setReferer(_ arguments: Arguments) throws {
        guard let referer = arguments.last(.referer), !referer.value.isEmpty else { return }
        let text = try referer.text
        guard !text.hasSuffix(";auto") else {
            throw Failure.usage(
                "h2get does not set the referer of redirected requests: write -e URL without ;auto, for all of them")
        }
        let field = try FieldArgument(Array("referer:\(text)".utf8), source: "-e")
        fields[.referer] = field.value
    }

    // MARK: - Forms

    static func formParts(_ arguments: Arguments) throws -> [FormPart] {
        let occurrences = arguments.all(.form, .formString)
        for line in arguments.all(.header) where line.value.count < 80 {
            guard String(decoding: line.value, as: UTF8.self).lowercased().filter({ $0 != " " }) != "content-type:"
            else {
                throw Failure.usage("a form needs its content-type, which has the boundary: leave that -H out")
            }
        }
        var parts: [FormPart] = []
        for (index, occurrence) in occurrences.enumerated() {
            let source = FieldArgument.source(occurrence.spelling, index, of: occurrences.count) + occurrence.place
            if occurrence.key == .formString {
                parts.append(try FormArgument.text(occurrence.value, source: source))
            } else {
                parts += try FormArgument(occurrence.value, source: source).parts()
            }
        }
        return parts
    }

    /// A form's content-type.
    /// - Parameters:
    ///   - own: the form's own, which has the boundary.
    ///   - given: the media type from -H, which gets the boundary.
    static func formType(_ own: String?, given: String?) -> String? {
        guard let own, let given, let semicolon = own.utf8.firstIndex(of: UInt8(ascii: ";")) else { return own }
        return given + own[semicolon...]
    }
}

extension Fetch {
    /// The body of -F. Files are opened anew for each request.
    func form(_ parts: [FormPart], _ meter: BodyMeter?) async throws -> HTTPRequestBody {
        var form = MultipartForm()
        form.usesBackslashes = settings.escapesFormNames
        for part in parts {
            let body: HTTPRequestBody
            switch part.content {
            case .bytes(let bytes): body = MessageBody.bytes(bytes).content(nil, meter)
            case .file(let path): body = try await upload(path).content(nil, meter)
            }
            form.append(.init(part.name, body, fileName: part.fileName, contentType: part.contentType))
        }
        return .multipart(form)
    }
}

/// The value of --data-urlencode: `CONTENT`, `=CONTENT`, `NAME=CONTENT`, `@FILE` or `NAME@FILE`.
struct EncodedData {
    private enum Content {
        case bytes(ArraySlice<UInt8>)
        case file(String)
    }

    private let name: ArraySlice<UInt8>
    private let content: Content

    /// - Throws: `Failure` (`usage`) if the path is not UTF-8.
    init(_ occurrence: Arguments.Occurrence) throws {
        let value = occurrence.value
        if let equals = value.firstIndex(of: UInt8(ascii: "=")) {
            (name, content) = (value[..<equals], .bytes(value[(equals + 1)...]))
        } else if let at = value.firstIndex(of: UInt8(ascii: "@")) {
            guard let path = String(validating: value[(at + 1)...], as: UTF8.self) else {
                throw Arguments.notUTF8("the file name of \(occurrence.spelling)\(occurrence.place)")
            }
            (name, content) = (value[..<at], .file(path))
        } else {
            (name, content) = ([], .bytes(value[...]))
        }
    }

    /// The path of the file that it reads, if it does.
    var file: String? { if case .file(let path) = content { path } else { nil } }

    /// The encoded bytes, with + for a space as in HTML forms.
    /// - Throws: `Failure` (`readFailed`).
    func bytes() throws -> [UInt8] {
        let plain: ArraySlice<UInt8>
        switch content {
        case .bytes(let bytes): plain = bytes
        case .file(let path): plain = try readWhole(path, remedy: "stream it with -T")[...]
        }
        let pieces = plain.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        let encoded = Array(pieces.map { PercentEncoding.encoded($0) }.joined(separator: "+".utf8))
        return name.isEmpty ? encoded : name + "=".utf8 + encoded
    }
}

extension Arguments.Occurrence {
    /// The paths that the value of an option about requests reads.
    /// - Throws: `Failure` (`usage`) if the value is invalid.
    var requestFiles: [String] {
        get throws {
            switch key {
            case .dataAscii, .jsonBody: try file.map { [$0] } ?? []
            case .dataUrlencode: try EncodedData(self).file.map { [$0] } ?? []
            case .urlQuery where value.first != UInt8(ascii: "+"): try EncodedData(self).file.map { [$0] } ?? []
            case .form: try FormArgument(value, source: spelling).files
            default: []
            }
        }
    }
}
