import H2Client
import H2Measure

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Where each URL's body goes: -o by position, then -O, then stdout.
struct Placement: Sendable {
    enum Destination: Sendable, Equatable {
        case discard
        case standardOutput
        case file(String)
        /// Named by the URL, once it is known.
        case remoteName
    }

    private(set) var files: [String] = []
    /// How many of the files before each place are stdout.
    private var standardOutputsBefore = [0]
    /// Pipes, devices and descriptors that more than one of `files` leads to.
    private var shared: Set<FileIdentity> = []
    var usesRemoteName = false
    var directory: String?
    var createsDirectories = false

    init() {}

    init(_ arguments: OutputArguments, urlCount: Int?) throws {
        directory = arguments.directory
        files = arguments.files.map { Self.isStandardOutput($0) ? "-" : $0 }
        for file in files { standardOutputsBefore.append(standardOutputsBefore.last! + (file == "-" ? 1 : 0)) }
        usesRemoteName = arguments.remoteName
        createsDirectories = arguments.createDirectories
        if let urlCount, files.count > urlCount {
            throw Failure.usage("\(files.count) -o for \(counted(urlCount, "URL")); give at most one a URL")
        }
        if let empty = files.first(where: \.isEmpty) { throw Failure.usage("-o '\(empty)' names no file") }
        // Two transfers that write one file at once would leave neither's bytes.
        var seen: Set<[UInt8]> = []
        var asTheyAre: Set<FileIdentity> = []
        for file in files where file != "-" && file != "/dev/null" {
            if BodyOutput.isWrittenAsItIs(path(of: file)) {
                if let identity = FileIdentity(path: path(of: file)), !asTheyAre.insert(identity).inserted {
                    shared.insert(identity)
                }
            } else if !seen.insert(Array(file.utf8)).inserted {
                throw Failure.usage("-o \(file) is given twice; use another name")
            }
        }
        if directory == "" { throw Failure.usage("--output-dir names no folder") }
    }

    /// Whether a name means stdout: the bodies that go there take turns by whatever name it is known.
    private static func isStandardOutput(_ name: String) -> Bool {
        if name == "-" || StandardDescriptors.number(named: name) == STDOUT_FILENO { return true }
        // That discards a body, wherever stdout goes.
        guard name != "/dev/null", FileKind(path: name) == .other, let file = FileIdentity(path: name) else {
            return false
        }
        return file == FileIdentity(descriptor: STDOUT_FILENO)
    }

    /// What `path` leads to, where more than one URL is written to that as it is.
    func sharedPlace(_ path: String) -> FileIdentity? {
        guard !shared.isEmpty, let identity = FileIdentity(path: path) else { return nil }
        return shared.contains(identity) ? identity : nil
    }

    /// What the command line says for the URL at `index`.
    func destination(ofURLAt index: Int) -> Destination {
        if files == ["/dev/null"] { return .discard }
        if index < files.count {
            switch files[index] {
            case "-": return .standardOutput
            case "/dev/null": return .discard
            case let file: return .file(path(of: file))
            }
        }
        return usesRemoteName ? .remoteName : .standardOutput
    }

    /// How many of the first `count` URLs have their body go to stdout.
    func standardOutputCount(ofFirst count: Int) -> Int {
        if files == ["/dev/null"] { return 0 }
        return standardOutputsBefore[min(count, files.count)] + (usesRemoteName ? 0 : max(0, count - files.count))
    }

    /// Whether every URL from `index` on has its body go to stdout, so that nothing is left to do once it is closed.
    func isAllStandardOutput(from index: Int) -> Bool {
        !usesRemoteName && files != ["/dev/null"] && files.dropFirst(index).allSatisfy { $0 == "-" }
    }

    /// The file that a name means: under --output-dir unless it is absolute.
    func path(of name: String) -> String {
        guard let directory, name.utf8.first != UInt8(ascii: "/") else { return name }
        return directory.utf8.last == UInt8(ascii: "/") ? directory + name : "\(directory)/\(name)"
    }

    /// -O: the last segment of the path and nothing else, so that no URL can name a file outside the folder.
    /// - Throws: `Failure`, with what to do, where the URL has no usable name.
    static func remoteName(of target: RequestTarget) throws -> String {
        let path = target.path.utf8.prefix { $0 != UInt8(ascii: "?") }
        let start = path.lastIndex(of: UInt8(ascii: "/")).map { path.index(after: $0) } ?? path.startIndex
        let name = String(decoding: path[start...], as: UTF8.self)
        guard !name.isEmpty else {
            throw Failure(.writeFailed, "the URL ends in no file name for -O; name one with -o FILE")
        }
        guard name != ".", name != "..", !name.utf8.contains(0) else {
            throw Failure(.writeFailed, "'\(name)' cannot be a file's name for -O; name one with -o FILE")
        }
        return name
    }
}
