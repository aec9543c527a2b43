import H2Client
import H2Measure
import H2Platform

/// The options for what is written about transfers.
extension FetchSettings {
    /// - Throws: `Failure` (`usage`, `readFailed`).
    mutating func setWriting(_ arguments: Arguments) throws {
        writeOut = try Self.writeOut(arguments)
        failsWithBody = arguments.isOn(.failWithBody)
        guard !failsWithBody || !failsOnStatus else {
            throw Failure.usage("-f leaves the body out, and --fail-with-body writes it: keep one of them")
        }
        acceptsAnyProxy = arguments.isOn(.proxyInsecure)
        failsEarly = arguments.isOn(.failEarly)
        try setFiles(arguments)
        try setHeadDump(arguments)
        try setJSONLines(arguments)
        let limit = try arguments.value(.maxFilesize, Quantity.size(in: 0...Int.max))
        longestBody = limit == 0 ? nil : limit
        // Bodies are written as they come anyway.
        _ = arguments.isOn(.noBuffer)
        errorFile = try arguments.text(.stderrFile)
        if errorFile == "" { throw Failure.usage("--stderr '' names no file") }
        if let errorFile, errorFile != "-", placement.names(errorFile) {
            throw Failure.usage("--stderr and -o name the same file; use another name")
        }
    }

    /// - Throws: `Failure` (`usage`).
    mutating func setProgress(_ arguments: Arguments) throws {
        // As in curl, the last of them counts.
        for occurrence in arguments.all(.silent, .progressMeter) {
            switch occurrence.key {
            case .silent: showsProgress = occurrence.isOn ? false : nil
            default: showsProgress = occurrence.isOn
            }
        }
        progressIsBar = arguments.isOn(.progressBar)
        if progressIsBar, showsProgress == nil { showsProgress = true }
        colors = try arguments.value(.color, Quantity.choice(ColorChoice.self)) ?? .auto
    }

    /// Whether progress is not wanted, or would mix with bodies on the same terminal.
    var hidesProgress: Bool {
        switch showsProgress {
        case false?: true
        case true?: writesToTerminal
        case nil: writesToTerminal || verbosity > 0
        }
    }

    /// Whether bodies or heads may go to a terminal without the console's knowledge.
    private var writesToTerminal: Bool {
        if isatty(STDOUT_FILENO) == 1, standardOutputCount > 0 || trace?.path == "-" { return true }
        guard isatty(STDERR_FILENO) == 1, let terminal = FileIdentity(descriptor: STDERR_FILENO) else { return false }
        if trace?.path == "%" { return true }
        var paths = placement.fixedFiles
        if let path = trace?.file { paths.append(path) }
        if case .file(let path)? = jsonLines { paths.append(path) }
        if case .file(let path) = headDump { paths.append(path) }
        return paths.contains { BodyOutput.isWrittenAsItIs($0) && FileIdentity(path: $0) == terminal }
    }

    private mutating func setFiles(_ arguments: Arguments) throws {
        let flags: [OptionKey] = [
            .removeOnError, .noClobber, .skipExisting, .remoteTime, .xattr, .remoteHeaderName,
        ]
        let given = arguments.occurrences.last { flags.contains($0.key) && $0.isOn && arguments.isOn($0.key) }
        if let option = given ?? arguments.last(.createFileMode), !placement.writesFiles, inputFile == nil {
            throw Failure.usage("\(option.spelling) is about files, and no body goes to one: add -o FILE or -O")
        }
        files.mode = try arguments.value(.createFileMode, FileRules.mode)
        files.removesOnError = arguments.isOn(.removeOnError)
        files.keepsTime = arguments.isOn(.remoteTime)
        files.hasAttributes = arguments.isOn(.xattr)
        files.usesHeaderName = arguments.isOn(.remoteHeaderName)
        guard !files.removesOnError || !failsWithBody else {
            throw Failure.usage("--fail-with-body keeps the body, and --remove-on-error does not: keep one of them")
        }
        guard !files.usesHeaderName || placement.usesRemoteName else {
            throw Failure.usage("-J names the files of -O: add -O")
        }
        guard !files.usesHeaderName || !arguments.isOn(.include) else {
            throw Failure.usage("-i and -J cannot be combined; write the head to a file with -D FILE")
        }
        switch (arguments.isOn(.noClobber), arguments.isOn(.skipExisting)) {
        case (true, true):
            throw Failure.usage(
                "--no-clobber takes another name if a file exists, --skip-existing none: keep one of them")
        case (true, false): files.existing = .kept
        case (false, true): files.existing = .skipped
        case (false, false): files.existing = .replaced
        }
        guard files.existing != .skipped || !files.usesHeaderName else {
            throw Failure.usage(
                "--skip-existing needs the name before the request, and -J learns it after: keep one of them")
        }
    }

    private mutating func setHeadDump(_ arguments: Arguments) throws {
        guard let path = try arguments.text(.dumpHeader) else { return }
        guard !path.isEmpty else { throw Failure.usage("-D '' names no file") }
        guard path != "-", StandardDescriptors.number(named: path) != STDOUT_FILENO else {
            guard !includesHead || standardOutputCount == 0 else {
                throw Failure.usage(
                    "-D - and -\(arguments.isOn(.include) ? "i" : "I") write the same fields to stdout: keep one")
            }
            return headDump = .standardOutput
        }
        guard path == "/dev/null" || !placement.names(path) else {
            throw Failure.usage("-D and -o name the same file; use another name")
        }
        headDump = .file(path)
    }

    private mutating func setJSONLines(_ arguments: Arguments) throws {
        guard let path = try arguments.text(.jsonLines) else { return }
        guard !path.isEmpty else { throw Failure.usage("--json-lines '' names no file") }
        if path == "-" || StandardDescriptors.number(named: path) == STDOUT_FILENO {
            return jsonLines = .standardOutput
        }
        guard path == "/dev/null" || !placement.names(path) else {
            throw Failure.usage("--json-lines and -o name the same file; use another name")
        }
        if case .file(path)? = headDump { throw Failure.usage("--json-lines and -D name the same file") }
        jsonLines = .file(path)
    }

    /// Whether the facts about a transfer are wanted once it has ended.
    var wantsReports: Bool { writeOut != nil || jsonLines != nil || wantsSummary }

    /// The facts that connections note for -w, --json-lines and --summary.
    var notes: ConnectionConfiguration.Notes {
        var notes = ConnectionConfiguration.Notes()
        notes.windowStalls = jsonLines != nil || wantsSummary || writeOut?.uses(.timeWindowStalled) ?? false
        notes.certificates = writeOut?.uses(.certificates, .numCertificates) ?? false
        return notes
    }

    /// An empty format, which writes nothing, is none.
    private static func writeOut(_ arguments: Arguments) throws -> WriteOut? {
        guard let occurrence = arguments.last(.writeOut) else { return nil }
        guard let path = try occurrence.file else {
            return occurrence.value.isEmpty ? nil : WriteOut(occurrence.value)
        }
        // Its line ends are for the reader, as in curl; \n is one that is written.
        let content = try readText(path).filter { $0 != 0x0a && $0 != 0x0d && $0 != 0 }
        return content.isEmpty ? nil : WriteOut(content)
    }
}
