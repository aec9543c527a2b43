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
    /// Whether a single -o /dev/null discards every body.
    private var discardsAll = false
    /// For each file, the number of bodies that go to stdout by those before it.
    private var standardOutputsBefore = [0]
    private var urls = GivenURLs()
    var usesRemoteName = false
    /// -O for the URLs of a list.
    private var namesListedFiles = false
    var directory: String?
    var createsDirectories = false

    init() {}

    init(_ arguments: Arguments, urls: GivenURLs, hasList: Bool, namesListedFiles: Bool = false) throws {
        (self.urls, self.namesListedFiles) = (urls, namesListedFiles)
        directory = try arguments.text(.outputDir)
        files = try arguments.texts(.output).map { Self.isStandardOutput($0) ? "-" : $0 }
        discardsAll = files == ["/dev/null"]
        for (index, file) in files.enumerated() {
            let bodies = file == "-" ? urls.count(ofArgument: index) : 0
            standardOutputsBefore.append(standardOutputsBefore.last! + bodies)
        }
        usesRemoteName = arguments.isOn(.remoteName) || arguments.isOn(.remoteNameAll)
        createsDirectories = arguments.isOn(.createDirs)
        if !hasList, files.count > urls.arguments.count {
            throw Failure.usage(
                "\(files.count) -o for \(counted(urls.arguments.count, "URL")); give at most one a URL")
        }
        if let empty = files.first(where: \.isEmpty) { throw Failure.usage("-o '\(empty)' names no file") }
        // Two transfers that write the same file would leave neither's bytes.
        var seen: Set<[UInt8]> = []
        for (index, file) in files.enumerated()
        where file != "-" && file != "/dev/null" && !BodyOutput.isWrittenAsItIs(path(of: file)) {
            // Names made of values are compared when they are known.
            guard !urls.isTemplate(file, ofArgument: index) else {
                guard let number = urls.unnamedValues(file, ofArgument: index).first else { continue }
                throw Failure.usage(
                    "-o \(file) names one file for several bodies; put #\(number) into it, which stands for the value "
                        + "of the URL's range or list number \(number)")
            }
            guard seen.insert(Array(file.utf8)).inserted else {
                throw Failure.usage("-o \(file) is given twice; use another name")
            }
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
    func sharedTargets(_ target: (String) throws -> RequestTarget) -> Set<FileIdentity> {
        var (seen, shared): (Set<FileIdentity>, Set<FileIdentity>) = ([], [])
        for index in 0..<max(urls.count, urls.start(ofArgument: files.count)) {
            let path: String
            switch destination(ofURLAt: index) {
            case .discard, .standardOutput: continue
            case .file(let name): path = name
            case .remoteName:
                // An unusable URL is reported when it is fetched.
                guard index < urls.count, let target = try? target(urls[index]),
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
        if discardsAll { return .discard }
        let argument = urls.argument(ofURLAt: index).argument
        if argument < files.count {
            switch files[argument] {
            case "-": return .standardOutput
            case "/dev/null": return .discard
            case let file: return .file(path(of: urls.name(file, forURLAt: index)))
            }
        }
        return usesRemoteName || (namesListedFiles && index >= urls.count) ? .remoteName : .standardOutput
    }

    /// Whether any body may go to a file.
    var writesFiles: Bool {
        usesRemoteName || namesListedFiles || files.contains { $0 != "-" && $0 != "/dev/null" }
    }

    /// The paths of -o that do not depend on values of a URL.
    var fixedFiles: [String] {
        files.enumerated().filter { index, file in
            file != "-" && file != "/dev/null" && !urls.isTemplate(file, ofArgument: index)
        }.map { path(of: $0.element) }
    }

    /// Whether -o names this path.
    func names(_ path: String) -> Bool {
        files.contains { $0 != "-" && self.path(of: $0).utf8.elementsEqual(path.utf8) }
    }

    /// The number of the first `count` URLs whose bodies go to stdout.
    func standardOutputCount(ofFirst count: Int) -> Int {
        if discardsAll { return 0 }
        let (argument, offset) = urls.argument(ofURLAt: count)
        var bodies = standardOutputsBefore[min(argument, files.count)]
        if argument < files.count, files[argument] == "-" { bodies += offset }
        guard !usesRemoteName else { return bodies }
        let end = namesListedFiles ? min(count, urls.count) : count
        return bodies + max(0, end - urls.start(ofArgument: files.count))
    }

    /// Whether the bodies of all URLs from `index` on go to stdout, so that nothing is left to do if it is closed.
    func isAllStandardOutput(from index: Int) -> Bool {
        !usesRemoteName && !namesListedFiles && !discardsAll
            && files.dropFirst(urls.argument(ofURLAt: index).argument).allSatisfy { $0 == "-" }
    }

    /// The path for a file name: in --output-dir unless the name is absolute.
    func path(of name: String) -> String {
        guard let directory, name.utf8.first != UInt8(ascii: "/") else { return name }
        return directory.utf8.last == UInt8(ascii: "/") ? directory + name : "\(directory)/\(name)"
    }

    /// The place that a list names for an entry; nil if it names none.
    func destination(of entry: ListedURL) -> Destination? {
        guard let name = entry.out else { return entry.folder == nil ? nil : .remoteName }
        return .file(path(of: name, for: entry))
    }

    /// The path for a file name: in the folder of a list's `dir=`, if it has one for the URL.
    func path(of name: String, for entry: ListedURL) -> String {
        guard let folder = entry.folder else { return path(of: name) }
        guard name.utf8.first != UInt8(ascii: "/") else { return name }
        return folder.utf8.last == UInt8(ascii: "/") ? folder + name : "\(folder)/\(name)"
    }

    /// The file name for -O: only the path's last segment, so that no URL can name a file outside the folder.
    /// - Throws: `Failure` (`writeFailed`) if the URL has no usable name.
    static func remoteName(of target: RequestTarget) throws -> String { try remoteName(ofPath: target.path) }

    static func remoteName(ofPath path: String) throws -> String {
        let path = path.utf8.prefix { $0 != UInt8(ascii: "?") }
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
