import H2Client

/// The URLs that a measurement asks for in turn, all of one origin.
struct MeasuredURLs: Sendable {
    /// So many may there be: each is kept in memory as a whole request.
    static let most = 1_000_000

    let origin: Origin
    /// At least one.
    private(set) var targets: [RequestTarget] = []

    /// - Parameters:
    ///   - patterns: URLs with ranges and lists; with a base, paths too.
    ///   - inputFile: more of them, one a line, taken as they are; - is stdin.
    ///   - base: whose scheme, host and port take the place of all the URLs' own.
    ///   - command: the name that `--help` is asked of.
    /// - Throws: `Failure`.
    init(patterns: [String], inputFile: String? = nil, base: String? = nil, command: String) throws {
        let base = try base.map(Self.base)
        var origin = base
        var targets: [RequestTarget] = []
        func add(_ url: String) throws {
            var target: RequestTarget
            if let base {
                // Where the base decides, a path is enough.
                target = try Self.target(url.utf8.first == UInt8(ascii: "/") ? "\(base)\(url)" : url)
            } else {
                target = try Self.target(url)
            }
            let first = origin ?? target.origin
            origin = first
            guard base != nil || target.origin == first else {
                throw Failure.usage(
                    "\(target.origin) is another origin than \(first), which the first URL names; measure one at a "
                        + "time\(command == "h2get bench" ? ", or send all to one with -B \(first)" : "")")
            }
            targets.append(target)
        }
        for pattern in patterns {
            let glob = try URLGlob(pattern)
            guard glob.count <= Self.most - targets.count else {
                let others = targets.isEmpty ? "" : ", after \(targets.count) others"
                throw Failure.usage(
                    "'\(printable(pattern))' stands for \(glob.count) URLs\(others), and \(Self.most) can be asked for "
                        + "in turn; make its ranges smaller")
            }
            for url in glob { try add(url) }
        }
        if let inputFile {
            for line in try readWhole(inputFile).split(separator: 0x0a) {
                let url = URLList.trimmed(line)
                if url.isEmpty || url.first == UInt8(ascii: "#") { continue }
                guard targets.count < Self.most else {
                    throw Failure.usage("there are more than \(Self.most) URLs; give fewer (-i)")
                }
                try add(String(decoding: url, as: UTF8.self))
            }
        }
        guard let origin, !targets.isEmpty else {
            throw Failure.usage(
                inputFile.map { "no URL in \($0 == "-" ? "stdin" : printable($0)); write one a line" }
                    ?? "no URL given; '\(command) --help' lists the options")
        }
        self.origin = origin
        self.targets = targets
    }

    private static func target(_ url: String) throws -> RequestTarget {
        do { return try RequestTarget(url) } catch { throw Failure(error, during: .request) }
    }

    private static func base(_ text: String) throws -> Origin {
        guard !text.lowercased().hasPrefix("unix:") else {
            throw Failure.usage("-B \(printable(text)): Unix domain sockets are not supported; name a host and port")
        }
        let target = try target(text)
        guard target.path == "/" else {
            throw Failure.usage("-B takes scheme, host and port alone: write -B \(target.origin)")
        }
        return target.origin
    }
}
