import H2Client
import H2Measure
import H2Platform

/// A kind of result file that a measuring command can write, besides the summary on stdout, in the order of writing.
enum ResultFile: Sendable, CaseIterable {
    case json
    case csv
    case hdr
    case html
    case markdown
    case svg
    case merged
    case hgrm

    var option: OptionKey {
        switch self {
        case .json: .json
        case .csv: .csv
        case .hdr: .hdr
        case .html: .html
        case .markdown: .markdown
        case .svg: .svg
        case .merged: .output
        case .hgrm: .hgrm
        }
    }
}

/// Where the results go: to files, or one of them to stdout instead of the summary.
struct ResultFiles: Sendable {
    private var paths: [ResultFile: String] = [:]
    /// The result that goes to stdout, or nil for the summary.
    private(set) var onStandardOutput: ResultFile?

    /// - Throws: `Failure` (`usage`) if two results would be written to the same place.
    init(_ arguments: Arguments, _ kinds: [ResultFile]) throws {
        // File names are bytes; different ones can be equal as strings.
        var options: [[UInt8]: String] = [:]
        for kind in kinds {
            guard let occurrence = arguments.last(kind.option) else { continue }
            let (option, name) = (occurrence.spelling, try occurrence.text)
            guard !name.isEmpty else { throw Failure.usage("\(option) needs the name of a file") }
            // Another name of stdout, where it would mix with the summary.
            let path = StandardDescriptors.number(named: name) == 1 ? "-" : name
            // Several results may go to /dev/null.
            if let other = options[Array(path.utf8)], path != "/dev/null" {
                throw Failure.usage(
                    "\(other) and \(option) both write to \(path == "-" ? "stdout" : printable(path)); "
                        + "name two files")
            }
            guard path != "-" || kind != .csv else {
                throw Failure.usage("--csv is written while the measurement runs: name a file rather than -")
            }
            options[Array(path.utf8)] = option
            paths[kind] = path
            if path == "-" { onStandardOutput = kind }
        }
    }

    func contains(_ kind: ResultFile) -> Bool { paths[kind] != nil }

    /// Creates the files, so that an unwritable one ends the run before anything is measured.
    /// - Throws: `Failure` (`writeFailed`), in which case no file is left.
    func open() throws -> OpenResultFiles {
        let open = OpenResultFiles()
        do {
            for kind in ResultFile.allCases {
                guard let path = paths[kind] else { continue }
                try open.add(kind, path)
            }
        } catch {
            open.discard()
            throw error
        }
        return open
    }
}

/// The files of a running measurement. They get their names in `finish`.
final class OpenResultFiles {
    private var targets: [(kind: ResultFile, output: BodyOutput, path: String)] = []
    /// The failure of the first file that could not be written.
    private var failure: Failure?

    fileprivate init() {}

    deinit { for target in targets { target.output.close() } }

    fileprivate func add(_ kind: ResultFile, _ path: String) throws {
        guard path != "-" else {
            targets.append((kind, .standardOutput, path))
            return
        }
        guard FileKind(path: path) != .folder else {
            throw Failure(.writeFailed, "\(kind.option) \(printable(path)) is a folder; name a file")
        }
        if BodyOutput.isWrittenAsItIs(path) {
            return targets.append((kind, try BodyOutput.openingBlocking(path), path))
        }
        let target = try DownloadTarget(path: path, createsDirectories: false, advice: Self.advice)
        let other = targets.first {
            $0.output.download.map { !Set($0.target.identities).isDisjoint(with: target.identities) } ?? false
        }
        if let other {
            throw Failure.usage(
                "\(other.kind.option) and \(kind.option) both write to \(printable(path)); name two files")
        }
        let download = try Download(target, keepsPart: false, advice: Self.advice)
        targets.append((kind, BodyOutput(target: .download(download)), path))
    }

    @Sendable private static func advice(_ code: Int32) -> String {
        switch code {
        case ENOENT: "; its folder does not exist: make it"
        case ELOOP: "; its symbolic links lead nowhere: remove them"
        case EACCES, EPERM, EROFS: "; choose a folder that you may write to"
        case ENOSPC, EDQUOT: "; free some space"
        default: ""
        }
    }

    /// The path for a file that the measurement itself writes; nil if it is not wanted.
    func pathToWrite(_ kind: ResultFile) -> String? {
        targets.first { $0.kind == kind }.map { target in
            guard let download = target.output.download else { return target.path }
            // A String cannot hold a path that is not UTF-8.
            return String(validating: download.part.bytes, as: UTF8.self) ?? "/dev/fd/\(download.descriptor)"
        }
    }

    /// Writes each file whose content the report has. A failure does not affect other files; `finish` throws it.
    func write(_ report: some MeasureReport) {
        for target in targets {
            if let text = report.content(of: target.kind) { write(target, text) }
        }
    }

    private func write(_ target: (kind: ResultFile, output: BodyOutput, path: String), _ text: String) {
        let (descriptor, name): (CInt, String) =
            switch target.output.target {
            case .download(let download): (download.descriptor, download.partPath)
            case .descriptor(let descriptor, let name): (descriptor, name)
            case .discard: (-1, target.path)
            }
        var text = text
        let code = text.withUTF8 { writeFully(descriptor, UnsafeRawBufferPointer($0)) }
        guard code != 0 else { return }
        target.output.download?.discard()
        targets.removeAll { $0.kind == target.kind }
        let reason = Failure(
            .writeFailed, "writing to \(printable(name)) failed: \(errnoText(code))\(Self.advice(code))")
        failure = failure ?? reason
    }

    /// Keeps an incomplete file from getting its name.
    /// - Returns: the location of its part, in words; empty if there is none.
    func leave(_ kind: ResultFile) -> String {
        guard let index = targets.firstIndex(where: { $0.kind == kind }) else { return "" }
        let target = targets.remove(at: index)
        defer { target.output.close() }
        return target.output.download?.leave() ?? ""
    }

    /// Gives the files their names.
    /// - Throws: `Failure` (`writeFailed`) for the first file that could not be written or renamed; the others are complete.
    func finish() throws {
        for target in targets {
            do {
                if let copy = try target.output.download?.finish() { try copy.run() }
            } catch let error as Failure { failure = failure ?? error }
        }
        targets = []
        if let failure { throw failure }
    }

    /// Removes all incomplete files.
    func discard() {
        for target in targets { target.output.download?.discard() }
    }
}
