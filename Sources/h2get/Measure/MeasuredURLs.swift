import H2Client
import H2Measure
import HTTPTypes

/// The URLs that a measurement requests in turn, all of one origin.
struct MeasuredURLs: Sendable {
    /// The maximum number of URLs, since each is kept in memory as a complete request.
    static let maximumCount = 1_000_000

    let origin: Origin
    /// The URLs; at least one.
    private(set) var targets: [RequestTarget]

    /// - Parameters:
    ///   - patterns: URLs with ranges and lists; with a base, paths too.
    ///   - inputFile: a file with more URLs, one per line, without ranges and lists; - is stdin.
    ///   - base: a URL whose scheme, host and port replace those of all URLs.
    ///   - command: the command, for errors.
    /// - Throws: `Failure`.
    init(patterns: [String], inputFile: String? = nil, base: String? = nil, command: Command) throws {
        let base = try base.map(Self.base)
        try self.init(Self.targets(patterns, inputFile, base, command), base, command)
    }

    /// - Parameters:
    ///   - targets: at least one URL.
    ///   - base: a URL whose scheme, host and port replace those of all URLs.
    /// - Throws: `Failure`.
    init(targets: [RequestTarget], base: String?, command: Command) throws {
        try self.init(targets, base.map(Self.base), command)
    }

    private init(_ targets: [RequestTarget], _ base: Origin?, _ command: Command) throws {
        self.targets = targets
        origin = base ?? targets[0].origin
        for target in targets where base == nil && target.origin != origin {
            let remedy = command == .bench ? ", or send all to one with -B \(origin)" : ""
            throw Failure.usage(
                "\(target.origin) is another origin than \(origin), which the first URL names; measure one at a time"
                    + remedy)
        }
    }

    private init(origin: Origin, targets: [RequestTarget]) {
        self.origin = origin
        self.targets = targets
    }

    /// Groups the URLs by scheme, each group of one origin, in order of first appearance.
    /// - Throws: `Failure`.
    static func byScheme(patterns: [String], command: Command) throws -> [MeasuredURLs] {
        var all: [MeasuredURLs] = []
        for target in try targets(patterns, nil, nil, command) {
            guard let index = all.firstIndex(where: { $0.origin.scheme == target.origin.scheme }) else {
                all.append(MeasuredURLs(origin: target.origin, targets: [target]))
                continue
            }
            guard all[index].origin == target.origin else {
                throw Failure.usage(
                    "\(target.origin) is another origin than \(all[index].origin); give URLs of one https:// origin, of one "
                        + "http:// origin, or of one of each")
            }
            all[index].targets.append(target)
        }
        return all
    }

    /// The request for each URL.
    /// - Throws: `Failure`.
    func requests(
        _ method: HTTPRequest.Method = .get, fields fieldArguments: [Arguments.Occurrence], body: [UInt8] = []
    ) throws -> [BenchPlan.Request] {
        var fields = HTTPFields()
        fields[.userAgent] = "h2get/\(version)"
        let authority = try FetchSettings.apply(fieldArguments, to: &fields)
        return targets.map { target in
            var fields = fields
            if fields[.authorization] == nil, let credentials = target.basicCredentials {
                fields[.authorization] = credentials
            }
            return BenchPlan.Request(
                HTTPRequest(
                    method: method, scheme: origin.scheme.rawValue, authority: authority ?? origin.authority,
                    path: target.path, headerFields: fields),
                body: body)
        }
    }

    // MARK: - Reading

    /// At least one.
    private static func targets(
        _ patterns: [String], _ inputFile: String?, _ base: Origin?, _ command: Command
    ) throws -> [RequestTarget] {
        var targets: [RequestTarget] = []
        func add(_ url: String) throws {
            // With a base, a path is enough.
            let isPath = base != nil && url.utf8.first == UInt8(ascii: "/")
            targets.append(try target(isPath ? "http://base\(url)" : url))
        }
        for pattern in patterns {
            let glob = try URLGlob(pattern)
            guard glob.count <= Self.maximumCount - targets.count else {
                let others = targets.isEmpty ? "" : ", after \(targets.count) others"
                throw Failure.usage(
                    "'\(shown(pattern))' stands for \(glob.count) URLs\(others), and \(maximumCount) can be asked for in turn; "
                        + "make its ranges smaller")
            }
            for url in glob { try add(url) }
        }
        if let inputFile {
            let lines = try readText(inputFile).split(separator: 0x0a, omittingEmptySubsequences: false)
            for (index, line) in lines.enumerated() {
                let url = URLList.trimmed(line)
                if url.isEmpty || url.first == UInt8(ascii: "#") { continue }
                guard targets.count < Self.maximumCount else {
                    throw Failure.usage("there are more than \(Self.maximumCount) URLs; give fewer (-i)")
                }
                guard let text = String(validating: url, as: UTF8.self) else {
                    throw Failure.usage(
                        "line \(index + 1) of \(inputFile == "-" ? "stdin" : printable(inputFile)) is not UTF-8; "
                            + "write such bytes as %XX (-i)")
                }
                try add(text)
            }
        }
        guard !targets.isEmpty else {
            throw Failure.usage(
                inputFile.map { "no URL in \($0 == "-" ? "stdin" : printable($0)); write one a line" }
                    ?? "no URL given; '\(command.name) --help' lists the options")
        }
        return targets
    }

    private static func target(_ url: String) throws -> RequestTarget {
        do { return try RequestTarget(url) } catch { throw Failure(error, during: .request) }
    }

    private static func base(_ text: String) throws -> Origin {
        guard !text.lowercased().hasPrefix("unix:") else {
            throw Failure.usage(
                "-B \(shown(text)): name a host and port, and the Unix domain socket with bench --unix-socket")
        }
        let target = try target(text)
        guard target.path == "/" else {
            throw Failure.usage("-B takes scheme, host and port alone: write -B \(target.origin)")
        }
        return target.origin
    }
}
