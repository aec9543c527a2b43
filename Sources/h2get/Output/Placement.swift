import H2Client
import H2Measure
import H2Platform

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
    /// For each index, the number of files before it that are stdout.
    private var standardOutputsBefore = [0]
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
        // Two transfers that write the same file would leave neither's bytes.
        var seen: Set<[UInt8]> = []
        for file in files
        where file != "-" && file != "/dev/null" && !BodyOutput.isWrittenAsItIs(path(of: file))
            && !seen.insert(Array(file.utf8)).inserted
        {
            throw Failure.usage("-o \(file) is given twice; use another name")
        }
        if directory == "" { throw Failure.usage("--output-dir names no folder") }
        // Check before h2get opens descriptors of its own, which could be taken for those named here.
        for file in files where file != "-" {
            let path = path(of: file)
            if let number = StandardDescriptors.number(named: path), !StandardDescriptors.isWritable(number) {
                throw Failure(.writeFailed, "cannot write to \(printable(path)): it is not open for writing")
            }
        }
    }

    /// Whether a name means stdout, under any of its names: bodies that go there are written one after the other.
    private static func isStandardOutput(_ name: String) -> Bool {
        if name == "-" || StandardDescriptors.number(named: name) == STDOUT_FILENO { return true }
        // /dev/null discards a body, even if stdout is /dev/null too.
        guard name != "/dev/null", FileKind(path: name) == .other, let file = FileIdentity(path: name) else {
            return false
        }
        return file == FileIdentity(descriptor: STDOUT_FILENO)
    }

    /// The pipes, devices and descriptors to which more than one body goes, whether by -o or by -O.
    func sharedTargets(_ urls: [String], pathAsIs: Bool) -> Set<FileIdentity> {
        var (seen, shared): (Set<FileIdentity>, Set<FileIdentity>) = ([], [])
        for index in 0..<max(urls.count, files.count) {
            let path: String
            switch destination(ofURLAt: index) {
            case .discard, .standardOutput: continue
            case .file(let name): path = name
            case .remoteName:
                // An unusable URL is reported when it is fetched.
                guard let target = try? RequestTarget(urls[index], pathAsIs: pathAsIs),
                    let name = try? Self.remoteName(of: target)
                else { continue }
                path = self.path(of: name)
            }
            guard BodyOutput.isWrittenAsItIs(path), let identity = FileIdentity(path: path) else { continue }
            if !seen.insert(identity).inserted { shared.insert(identity) }
        }
        return shared
    }

    /// The destination on the command line for the URL at `index`.
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

    /// The number of the first `count` URLs whose bodies go to stdout.
    func standardOutputCount(ofFirst count: Int) -> Int {
        if files == ["/dev/null"] { return 0 }
        return standardOutputsBefore[min(count, files.count)] + (usesRemoteName ? 0 : max(0, count - files.count))
    }

    /// Whether the bodies of all URLs from `index` on go to stdout, so that nothing is left to do if it is closed.
    func isAllStandardOutput(from index: Int) -> Bool {
        !usesRemoteName && files != ["/dev/null"] && files.dropFirst(index).allSatisfy { $0 == "-" }
    }

    /// The path for a file name: in --output-dir unless the name is absolute.
    func path(of name: String) -> String {
        guard let directory, name.utf8.first != UInt8(ascii: "/") else { return name }
        return directory.utf8.last == UInt8(ascii: "/") ? directory + name : "\(directory)/\(name)"
    }

    /// The file name for -O: only the path's last segment, so that no URL can name a file outside the folder.
    /// - Throws: `Failure` (`writeFailed`) if the URL has no usable name.
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
