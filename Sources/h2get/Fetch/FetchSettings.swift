import H2Client
import H2Measure
import H2Platform
import HTTPTypes

/// The options' meaning, checked as a whole before anything is sent.
struct FetchSettings: Sendable {
    /// A request's body, as far as the command line determines it.
    enum Body: Sendable, Equatable {
        case none
        case bytes([UInt8])
        case file(String)
        /// -T: one path for all URLs, or one per URL.
        case uploads([String])
    }

    var urls: [String] = []
    /// The list to read after `urls`, if any.
    var inputFile: String?
    /// --path-as-is.
    var keepsPath = false
    var method = HTTPRequest.Method.get
    var fields = HTTPFields()
    /// From -H 'Host: ...'.
    var authority: String?
    var body = Body.none
    var trailers: HTTPFields?
    var options = RequestOptions()
    var maxTime: Duration?
    var connectTimeout: Duration?
    /// --stall-timeout, for bodies that h2get reads itself.
    var stallTimeout: Duration?
    var parallelMaximum = 100
    var versions = HTTPClient.Versions.automatic
    var pool = HTTPClient.Pool()
    var retry = HTTPClient.RetryPolicy()
    /// --retry, if given.
    var retries: Int?
    var loadLimits = HTTPClient.LoadLimits()
    /// From --informational-max and --informational-per-second.
    var informationalMaximum: Int?
    var informationalPerSecond: Int?
    /// From --keepalive-time.
    var keepAliveTime: Duration?
    var failsOnStatus = false
    var includesHead = false
    var placement = Placement()
    var connectRules = ConnectRules()
    var tls = ConnectionConfiguration.TLS()
    var isSilent = false
    var showsErrors = true
    var verbosity = 0
    var wantsSummary = false

    init() {}

    init(_ command: GetCommand) throws {
        urls = command.urls
        inputFile = command.output.inputFile
        guard !urls.isEmpty || inputFile != nil else {
            throw Failure.usage("no URL given; 'h2get --help' lists the options")
        }
        let request = command.request
        keepsPath = request.pathAsIs
        guard command.output.parallelMaximum > 0 else { throw Failure.usage("--parallel-max must be at least 1") }
        parallelMaximum = min(command.output.parallelMaximum, 100_000)
        try setBody(request)
        try setMethod(request)
        try setFields(request)
        try RawArguments.check((request.data + request.binaryData).map(\.text) + request.fields)
        try setTrailers(request)
        options.priority = try request.priority.map(HTTPPriority.init(option:))
        if request.expectContinue { options.expectContinue = .seconds(1) }
        try setTimes(command.times)
        try setVersions(command.connection)
        try setConnection(command.connection, command.tls)
        try setRetry(request)
        placement = try Placement(command.output, urlCount: inputFile == nil ? urls.count : nil)
        failsOnStatus = command.output.fail
        includesHead = command.output.include || method == .head
        isSilent = command.messages.silent
        showsErrors = !isSilent || command.messages.showError
        verbosity = command.messages.verbosity
        wantsSummary = command.messages.summary
        try checkStandardInput(request)
    }

    // MARK: - Request

    private mutating func setBody(_ request: RequestArguments) throws {
        let data = (request.data + request.binaryData).sorted { $0.position < $1.position }
        guard data.isEmpty || request.uploads.isEmpty else {
            throw Failure.usage("-d (a POST) and -T (a PUT) cannot be combined")
        }
        guard !request.head || (data.isEmpty && request.uploads.isEmpty) else {
            throw Failure.usage("-I asks without a body: leave out -d and -T, or -I")
        }
        if !request.uploads.isEmpty {
            guard request.uploads.count == 1 || (inputFile == nil && request.uploads.count == urls.count) else {
                throw Failure.usage("give one -T for all URLs, or as many as there are URLs")
            }
            body = .uploads(request.uploads)
        } else if data.count == 1, data[0].isBinary, data[0].text.first == "@" {
            body = try Self.wholeFile(String(data[0].text.dropFirst()))
        } else if !data.isEmpty {
            body = .bytes(try Self.joined(data))
        }
    }

    /// Each request reads a regular file anew while it is sent. Anything else can be read only once, and is kept in memory,
    /// so that each URL and each retry gets all of it, as with curl. No event loop runs yet, and a signal ends the reading.
    private static func wholeFile(_ path: String) throws -> Body {
        if path != "-", case .regular = try FileKind.readable(path) { return .file(path) }
        return .bytes(try readWhole(path, remedy: "stream it with -T"))
    }

    /// Joins the pieces with &, as curl's -d does, and drops the line ends of files unless they are binary.
    private static func joined(_ data: [OrderedData]) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for (index, piece) in data.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: "&")) }
            guard piece.text.first == "@" else {
                bytes += RawArguments.bytes(of: piece.text)
                continue
            }
            var content = try readWhole(String(piece.text.dropFirst()), remedy: "stream it with -T")
            if !piece.isBinary { content.removeAll { $0 == 0x0a || $0 == 0x0d || $0 == 0 } }
            bytes += content
        }
        return bytes
    }

    private mutating func setMethod(_ request: RequestArguments) throws {
        if let name = request.method {
            guard let given = HTTPRequest.Method(name) else {
                throw Failure.usage("'\(shown(name))' is not a valid method (-X)")
            }
            guard given != .connect else { throw Failure.usage("CONNECT opens a tunnel, which h2get does not use") }
            method = given
        } else if request.head {
            method = .head
        } else {
            switch body {
            case .none: method = .get
            case .uploads: method = .put
            case .bytes, .file: method = .post
            }
        }
    }

    private mutating func setFields(_ request: RequestArguments) throws {
        fields[.userAgent] = request.userAgent ?? "h2get/\(version)"
        if fields[.userAgent] == "" { fields[.userAgent] = nil }
        fields[.accept] = "*/*"
        switch body {
        case .bytes, .file: fields[.contentType] = "application/x-www-form-urlencoded"
        case .none, .uploads: break
        }
        authority = try Self.apply(request.fields, to: &fields)
    }

    /// Applies -H to the defaults in `fields`.
    /// - Returns: the authority that -H 'Host: ...' names, if any does.
    static func apply(_ arguments: [String], to fields: inout HTTPFields) throws -> String? {
        var authority: String?
        // The first -H of a name replaces the default, further ones add: `-H 'Accept: a' -H 'Accept: b'` sends both.
        var seen: Set<HTTPField.Name> = []
        for (line, source) in try fieldLines(arguments) {
            let field = try FieldArgument(line, source: source)
            if field.name.lowercased() == "host" {
                guard field.bytes == field.value.map({ Array($0.utf8) }) else {
                    throw Failure.usage("\(source): the value of Host is not UTF-8")
                }
                authority = field.value
                continue
            }
            guard let name = HTTPField.Name(field.name) else {
                throw Failure.usage(FieldArgument.badName(source))
            }
            guard !FieldArgument.isConnectionSpecific(field.name) else {
                throw Failure.usage(
                    "\(field.name) is the connection's own (RFC 9110 section 7.6.1, RFC 9113 section 8.2.2): "
                        + "leave that -H out")
            }
            if seen.insert(name).inserted { fields[values: name] = [] }
            if let value = field.bytes {
                fields.append(HTTPField(name: name, value: value))
            }
        }
        return authority
    }

    /// The lines of -H, each with its position in words.
    private static func fieldLines(_ arguments: [String]) throws -> [(line: [UInt8], source: String)] {
        var lines: [(line: [UInt8], source: String)] = []
        for (index, argument) in arguments.enumerated() {
            guard argument.utf8.first == UInt8(ascii: "@") else {
                let source = FieldArgument.source("-H", index, of: arguments.count)
                lines.append((RawArguments.bytes(of: argument), source))
                continue
            }
            let path = String(argument.dropFirst())
            let name = path == "-" ? "stdin" : printable(path)
            let content = try readText(path)
            for (number, line) in content.split(whereSeparator: { $0 == 0x0a || $0 == 0x0d }).enumerated() {
                lines.append((Array(line), "field \(number + 1) of \(name) (-H)"))
            }
        }
        return lines
    }

    private mutating func setTrailers(_ request: RequestArguments) throws {
        guard !request.trailers.isEmpty else { return }
        guard !request.head else { throw Failure.usage("-I asks without a body, so no --trailer can follow one") }
        var trailers = HTTPFields()
        for (index, line) in request.trailers.enumerated() {
            let source = FieldArgument.source("--trailer", index, of: request.trailers.count)
            let field = try FieldArgument(Array(line.utf8), source: source)
            guard let name = HTTPField.Name(field.name) else { throw Failure.usage(FieldArgument.badName(source)) }
            guard let value = field.value else {
                throw Failure.usage("\(source): a trailer field needs a value; write 'Name: value'")
            }
            trailers.append(HTTPField(name: name, value: value))
        }
        self.trailers = trailers
    }

    /// Checks that at most one option reads stdin, and that it is needed only once.
    private func checkStandardInput(_ request: RequestArguments) throws {
        var readers: [String] = []
        func isInput(_ argument: String) -> Bool {
            argument.first == "@" && StandardDescriptors.isInput(String(argument.dropFirst()))
        }
        if let inputFile, StandardDescriptors.isInput(inputFile) { readers.append("--input-file -") }
        readers += request.uploads.filter(StandardDescriptors.isInput).map { _ in "-T -" }
        readers += (request.data + request.binaryData).filter { isInput($0.text) }.map { _ in "-d @-" }
        readers += request.fields.filter(isInput).map { _ in "-H @-" }
        guard readers.count <= 1 else {
            throw Failure.usage("\(readers[0]) and \(readers[1]) both read stdin; keep one")
        }
        var isReadOnce = false
        // A missing file is reported when it is fetched.
        if case .uploads(let files) = body, files.count == 1 {
            isReadOnce = files[0] == "-" || FileKind(path: files[0]) == .other
        }
        guard !isReadOnce || (urls.count == 1 && inputFile == nil) else {
            throw Failure.usage(
                "a body from stdin or a pipe can be sent once only with -T; give one URL, a regular file, or "
                    + "--data-binary @FILE, which keeps it in memory")
        }
    }

    /// The number of bodies that go to stdout, or an upper bound if there is a list to read.
    var standardOutputCount: Int { placement.standardOutputCount(ofFirst: inputFile == nil ? urls.count : Int.max) }

    /// Whether several bodies go to stdout, which are then written in the order of the URLs.
    var writesInOrder: Bool { standardOutputCount > 1 }
}

/// One -H or --trailer line. Its value is bytes of any encoding (RFC 9110 section 5.5).
struct FieldArgument: Equatable {
    let name: String
    /// nil for `Name:`, which removes a default.
    let bytes: [UInt8]?

    var value: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    /// Names the -H or --trailer in errors, which do not repeat its content: it may be a password or a token.
    static func source(_ option: String, _ index: Int, of count: Int) -> String {
        count == 1 ? option : "\(option) number \(index + 1)"
    }

    static func badName(_ source: String) -> String {
        "\(source): the name has a character that no name may have; write 'Name: value'"
    }

    /// - Parameter source: its position, for errors.
    /// - Throws: `Failure` (`usage`).
    init(_ line: [UInt8], source: String) throws {
        func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
            var text = text
            while let first = text.first, first == 0x20 || first == 0x09 { text.removeFirst() }
            while let last = text.last, last == 0x20 || last == 0x09 { text.removeLast() }
            return text
        }
        if let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex {
            name = String(decoding: trimmed(line[..<colon]), as: UTF8.self)
            let rest = trimmed(line[(colon + 1)...])
            bytes = rest.isEmpty ? nil : Array(rest)
            guard rest.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7f) }) else {
                throw Failure.usage("\(source): a control character in the value")
            }
        } else if line.last == UInt8(ascii: ";"), line.count > 1 {
            name = String(decoding: trimmed(line.dropLast()), as: UTF8.self)
            bytes = []
        } else {
            throw Failure.usage("\(source): there is no ':' behind a name; write 'Name: value'")
        }
    }

    /// Whether HTTP/2 forbids the field (RFC 9113 section 8.2.2).
    static func isConnectionSpecific(_ name: String) -> Bool {
        ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"].contains(name.lowercased())
    }
}

extension HTTPPriority {
    /// Parses `u=N`, `i`, or both separated by a comma, as in the field.
    init(option text: String) throws {
        self.init()
        for part in text.split(separator: ",") {
            let item = part.filter { $0 != " " }
            if item == "i" || item == "i=?1" {
                isIncremental = true
            } else if item.hasPrefix("u="), item.count == 3, let urgency = Int(item.dropFirst(2)), urgency <= 7 {
                self.urgency = urgency
            } else {
                throw Failure.usage(
                    "'\(shown(text))' is not a valid priority; write u=0 (first) to u=7 (last), and i for incremental")
            }
        }
    }
}
