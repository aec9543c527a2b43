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
        /// -F and --form-string.
        case form([FormPart])
        /// -T: one path for all URLs, or one per URL.
        case uploads([String])
    }

    var urls = GivenURLs()
    /// The list to read after `urls`, if any.
    var inputFile: String?
    /// Whether the list was given with --url, which means -O for its URLs.
    var namesListedFiles = false
    var schemes = URLSchemes()
    /// --request-target.
    var requestTarget: String?
    /// --path-as-is.
    var keepsPath = false
    var method = HTTPRequest.Method.get
    var fields = HTTPFields()
    /// From -H 'Host: ...'.
    var authority: String?
    var body = Body.none
    /// --form-escape.
    var escapesFormNames = false
    /// From -G and --url-query, to be added to each URL.
    var query: [UInt8] = []
    var trailers: HTTPFields?
    var options = RequestOptions()
    var maxTime: Duration?
    /// --max-total-time.
    var maxTotalTime: Duration?
    var connectTimeout: Duration?
    /// --stall-timeout, for bodies that h2get reads itself.
    var stallTimeout: Duration?
    /// --limit-rate, in bytes per second.
    var rateLimit: Int?
    /// -Y and -y.
    var slowest: BodyMeter.Floor?
    var parallelMaximum = 100
    var versions = HTTPClient.Versions.automatic
    /// -0.
    var sendsHTTP10 = false
    var pool = HTTPClient.Pool()
    var retry = HTTPClient.RetryPolicy()
    /// --retry, if given.
    var retries: Int?
    /// --retry-all-errors.
    var retriesAllErrors = false
    var loadLimits = HTTPClient.LoadLimits()
    /// From --informational-max and --informational-per-second.
    var informationalMaximum: Int?
    var informationalPerSecond: Int?
    /// From --keepalive-time.
    var keepAliveTime: Duration?
    var failsOnStatus = false
    var includesHead = false
    /// -w.
    var writeOut: WriteOut?
    /// --json-lines.
    var jsonLines: LineFile.Target?
    /// -D.
    var headDump: HeadDump.Target?
    var failsWithBody = false
    var failsEarly = false
    var files = FileRules()
    /// --max-filesize, in bytes.
    var longestBody: Int?
    /// -z: what is not on this side of the time is not wanted.
    var timeCondition: TimeCondition?
    /// --etag-save.
    var etagFile: String?
    /// -C.
    var continuation: Continuation?
    /// --range-split.
    var rangeSplit = 1
    /// --checksum, for the URLs in order.
    var checksums: [Checksum] = []
    /// --checksum-file.
    var checksumFile: ChecksumFile?
    /// --verify-digest.
    var verifiesDigests = false
    /// --stderr.
    var errorFile: String?
    var placement = Placement()
    var connectRules = ConnectRules()
    var tls = ConnectionConfiguration.TLS()
    /// -L, if given.
    var redirects = HTTPClient.RedirectPolicy.never
    /// --max-redirs 0: a redirect is an error.
    var refusesRedirects = false
    /// --compressed.
    var decodesContent = false
    /// -u or --oauth2-bearer.
    var credentials: Credentials?
    /// For -u and for URLs with a user name.
    var passwordScheme = HTTPAuthentication.PasswordScheme.basic
    var netrc: HTTPAuthentication?
    var cookies: CookieJar?
    /// The files of -b.
    var cookieSources: [String] = []
    /// -j.
    var dropsSessionCookies = false
    /// -c.
    var cookieFile: String?
    var strictTransport: StrictTransportStore?
    /// The file of --hsts.
    var strictTransportFile: String?
    var proxies = HTTPClient.ProxySettings.none
    var local = ConnectionConfiguration.Local()
    var unixSocketPath: String?
    /// --happy-eyeballs-timeout-ms.
    var attemptDelay: Duration?
    var isWithoutKeepAlive = false
    var keepAliveCount: Int?
    /// Remarks for the user, told before anything is sent.
    var remarks: [String] = []
    var isSilent = false
    var showsErrors = true
    var verbosity = 0
    /// --trace or --trace-ascii.
    var trace: Trace.Settings?
    /// Whether the lines of -v have times.
    var timesVerbose = false
    var wantsSummary = false
    /// --progress-meter and -s: whether progress was asked for or declined, whichever came last.
    var showsProgress: Bool?
    /// -#.
    var progressIsBar = false
    var colors = ColorChoice.auto
    /// --proxy-insecure.
    var acceptsAnyProxy = false
    /// The options that read stdin.
    var inputReaders: [String] = []
    /// The options that connections depend on. Parts of a command line with the same ones share connections.
    var connectionOptions: [Arguments.Occurrence] = []
    /// The number of responses that may wait unread for their turn on stdout, if other parts' do, too.
    var mostWaitingResponses: Int?

    init() {}

    init(_ arguments: Arguments) throws {
        try setURLs(arguments)
        guard !urls.isEmpty || inputFile != nil else {
            throw Failure.usage("no URL given; \(arguments.seeHelp)")
        }
        // Accepted for curl's sake, like -N.
        for option in arguments.all(.tcpNodelay, .caNative, .retryConnrefused) where !option.isOn {
            throw Failure.usage("\(option.spelling): that cannot be turned off here; leave it out")
        }
        keepsPath = arguments.isOn(.pathAsIs)
        try setParallel(arguments)
        try setBody(arguments)
        try setMethod(arguments)
        try setRequestTarget(arguments)
        try setFields(arguments)
        try setTrailers(arguments)
        if let priority = try arguments.text(.priority) { options.priority = try HTTPPriority(option: priority) }
        if arguments.isOn(.expectContinue) { options.expectContinue = .seconds(1) }
        try setTimes(arguments)
        try setVersions(arguments)
        try setTLS(arguments)
        try setConnection(arguments)
        try setProxies(arguments)
        try setLocal(arguments)
        try setRetry(arguments)
        try setRedirects(arguments)
        try setCredentials(arguments)
        try setCookies(arguments)
        try setStrictTransport(arguments)
        decodesContent = arguments.isOn(.compressed)
        placement = try Placement(
            arguments, urls: urls, hasList: inputFile != nil, namesListedFiles: namesListedFiles)
        failsOnStatus = arguments.isOn(.fail)
        includesHead = arguments.isOn(.include) || method == .head
        isSilent = arguments.isOn(.silent)
        showsErrors = !isSilent || arguments.isOn(.showError)
        verbosity = arguments.count(.verbose)
        wantsSummary = arguments.isOn(.summary)
        try setProgress(arguments)
        try setTrace(arguments)
        try setWriting(arguments)
        try setConditions(arguments)
        try setDownloads(arguments)
        try checkStandardInput(arguments)
        connectionOptions = Self.connectionOptions(arguments)
    }

    // MARK: - Request

    private mutating func setBody(_ arguments: Arguments) throws {
        let data = arguments.all(.data, .dataAscii, .dataRaw, .dataBinary, .dataUrlencode, .jsonBody)
        let files = try arguments.texts(.uploadFile)
        try checkBodyKinds(arguments, hasData: !data.isEmpty, hasFiles: !files.isEmpty)
        query = try Self.query(arguments)
        if arguments.isOn(.get) {
            query = Self.joined([try Self.joined(data), query])
        } else if arguments.isGiven(.form) || arguments.isGiven(.formString) {
            body = .form(try Self.formParts(arguments))
            escapesFormNames = arguments.isOn(.formEscape)
        } else if !files.isEmpty {
            guard files.count == 1 || (inputFile == nil && files.count == urls.arguments.count) else {
                throw Failure.usage("give one -T for all URLs, or as many as there are URLs")
            }
            body = .uploads(files)
        } else if data.count == 1, [.dataBinary, .jsonBody].contains(data[0].key), let path = try data[0].file {
            body = try Self.wholeFile(path)
        } else if !data.isEmpty {
            body = .bytes(try Self.joined(data))
        }
    }

    /// Each request reads a regular file anew while it is sent. Anything else can be read only once, and is kept in memory,
    /// so that each URL and each retry gets all of it, as with curl. No event loop runs yet, and a signal ends the reading.
    static func wholeFile(_ path: String) throws -> Body {
        if path != "-", case .regular = try FileKind.readable(path) { return .file(path) }
        return .bytes(try readWhole(path, remedy: "stream it with -T"))
    }

    private mutating func setMethod(_ arguments: Arguments) throws {
        if let name = try arguments.text(.request) {
            method = try HTTPRequest.Method(option: name)
        } else if arguments.isOn(.head) {
            method = .head
        } else {
            switch body {
            case .none: method = .get
            case .uploads: method = .put
            case .bytes, .file, .form: method = .post
            }
        }
    }

    private mutating func setFields(_ arguments: Arguments) throws {
        fields[.userAgent] = try arguments.text(.userAgent) ?? "h2get/\(version)"
        if fields[.userAgent] == "" { fields[.userAgent] = nil }
        fields[.accept] = "*/*"
        switch body {
        case .bytes, .file: fields[.contentType] = "application/x-www-form-urlencoded"
        case .none, .form, .uploads: break
        }
        try setReferer(arguments)
        if arguments.isGiven(.jsonBody) { (fields[.contentType], fields[.accept]) = (Self.json, Self.json) }
        authority = try Self.apply(arguments.all(.header), to: &fields)
    }

    /// Applies -H to the defaults in `fields`.
    /// - Returns: the authority that -H 'Host: ...' names, if any does.
    static func apply(_ arguments: [Arguments.Occurrence], to fields: inout HTTPFields) throws -> String? {
        try apply(try fieldLines(arguments, option: "-H"), to: &fields)
    }

    /// - Parameter lines: each with its position in words.
    static func apply(_ lines: [(line: [UInt8], source: String)], to fields: inout HTTPFields) throws -> String? {
        var authority: String?
        // The first -H of a name replaces the default, further ones add: `-H 'Accept: a' -H 'Accept: b'` sends both.
        var seen: Set<HTTPField.Name> = []
        for (line, source) in lines {
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
            // Commands that a browser copies have them, and they say what is done anyway.
            if field.isUsual { continue }
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

    /// The lines of -H or --proxy-header, each with its position in words.
    static func fieldLines(
        _ arguments: [Arguments.Occurrence], option: String
    ) throws -> [(line: [UInt8], source: String)] {
        var lines: [(line: [UInt8], source: String)] = []
        for (index, argument) in arguments.enumerated() {
            guard let path = try argument.file else {
                lines.append(
                    (argument.value, FieldArgument.source(option, index, of: arguments.count) + argument.place))
                continue
            }
            let name = path == "-" ? "stdin" : printable(path)
            let content = try readText(path)
            for (number, line) in content.split(whereSeparator: { $0 == 0x0a || $0 == 0x0d }).enumerated() {
                lines.append((Array(line), "field \(number + 1) of \(name) (\(option))"))
            }
        }
        return lines
    }

    private mutating func setTrailers(_ arguments: Arguments) throws {
        let lines = try arguments.texts(.trailer)
        guard !lines.isEmpty else { return }
        guard !arguments.isOn(.head) else {
            throw Failure.usage("-I asks without a body, so no --trailer can follow one")
        }
        var trailers = HTTPFields()
        for (index, line) in lines.enumerated() {
            let source = FieldArgument.source("--trailer", index, of: lines.count)
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
    private mutating func checkStandardInput(_ arguments: Arguments) throws {
        var readers: [String] = []
        if let inputFile, StandardDescriptors.isInput(inputFile) {
            readers.append(namesListedFiles ? "--url @-" : "--input-file -")
        }
        for occurrence in arguments.occurrences {
            switch occurrence.key {
            case .variable where Variables.readsInput(occurrence.value): readers.append(Self.variableReader)
            case .config where StandardDescriptors.isInput(try occurrence.text): readers.append("-K -")
            case .uploadFile where StandardDescriptors.isInput(try occurrence.text): readers.append("-T -")
            case .cookie where StandardDescriptors.isInput(try occurrence.text): readers.append("-b -")
            case .checksumFile where StandardDescriptors.isInput(try occurrence.text):
                readers.append("--checksum-file -")
            case .etagCompare, .netrcFile:
                guard StandardDescriptors.isInput(try occurrence.text) else { continue }
                readers.append("\(occurrence.spelling) -")
            case .data, .dataBinary, .header, .proxyHeader, .writeOut:
                guard let path = try occurrence.file, StandardDescriptors.isInput(path) else { continue }
                switch occurrence.key {
                case .header: readers.append("-H @-")
                case .proxyHeader: readers.append("--proxy-header @-")
                case .writeOut: readers.append("-w @-")
                default: readers.append("-d @-")
                }
            case .dataAscii, .dataUrlencode, .jsonBody, .urlQuery, .form:
                for path in try occurrence.requestFiles where StandardDescriptors.isInput(path) {
                    readers.append("\(occurrence.spelling) with @-")
                }
            default: break
            }
        }
        try Self.checkReaders(readers)
        inputReaders = readers
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

    static let variableReader = "--variable NAME@-"

    static func checkReaders(_ readers: [String]) throws {
        guard readers.count <= 1 else {
            throw Failure.usage("\(readers[0]) and \(readers[1]) both read stdin; keep one")
        }
    }

    /// The number of bodies that go to stdout, or an upper bound if there is a list to read.
    var standardOutputCount: Int { placement.standardOutputCount(ofFirst: inputFile == nil ? urls.count : Int.max) }

    /// Whether several bodies go to stdout, which are then written in the order of the URLs.
    var writesInOrder: Bool { standardOutputCount > 1 }
}

extension Arguments.Occurrence {
    /// The path of `@FILE`; nil for other values, which may be bytes.
    /// - Throws: `Failure` (`usage`) if the path is not UTF-8.
    var file: String? {
        get throws { value.first == UInt8(ascii: "@") ? String(try text.dropFirst()) : nil }
    }
}

extension HTTPRequest.Method {
    /// Parses the value of -X.
    /// - Throws: `Failure` (`usage`).
    init(option name: String) throws {
        guard let method = HTTPRequest.Method(name) else {
            throw Failure.usage("'\(shown(name))' is not a valid method (-X)")
        }
        guard method != .connect else { throw Failure.usage("CONNECT opens a tunnel, which h2get does not use") }
        self = method
    }
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

    /// Whether it asks for what HTTP/2 does in its own way, and HTTP/1.1 without it: to keep the connection, and to send a body in
    /// pieces if its length is not known.
    var isUsual: Bool {
        switch name.lowercased() {
        case "connection", "proxy-connection": value?.lowercased() == "keep-alive"
        case "transfer-encoding": value?.lowercased() == "chunked"
        default: false
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
