import H2Client
import H2Measure
import H2Platform

/// A kind of result that a measuring command can write, besides what it tells on stdout.
enum ResultFile: Sendable, CaseIterable {
    case json
    case csv
    case hdr
    case html
    case markdown
    case svg
    case hgrm
    case merged

    /// As it stands on the command line.
    var option: String {
        switch self {
        case .json: "--json"
        case .csv: "--csv"
        case .hdr: "--hdr"
        case .html: "--html"
        case .markdown: "--markdown"
        case .svg: "--svg"
        case .hgrm: "--hgrm"
        case .merged: "-o"
        }
    }
}

/// Where the results go: files, or one of them to stdout, instead of the summary.
struct ResultFiles: Sendable {
    private var paths: [ResultFile: String] = [:]
    /// The result that stdout gets; nil where that is the summary.
    private(set) var onStandardOutput: ResultFile?

    /// - Throws: `Failure` (`usage`) where two would write to one place.
    init(_ given: [(kind: ResultFile, path: String?)]) throws {
        // Names are bytes, and text is equal in more ways.
        var kinds: [[UInt8]: ResultFile] = [:]
        for case (let kind, let path?) in given {
            guard !path.isEmpty else { throw Failure.usage("\(kind.option) needs the name of a file") }
            // To stdout by another name, where it would write over the summary.
            let path = StandardDescriptors.number(named: path) == 1 ? "-" : path
            // Several results may go to /dev/null.
            if let other = kinds[Array(path.utf8)], path != "/dev/null" {
                throw Failure.usage(
                    "\(other.option) and \(kind.option) both write to \(path == "-" ? "stdout" : printable(path)); "
                        + "name two files")
            }
            guard path != "-" || kind != .csv else {
                throw Failure.usage("--csv is written while the measurement runs: name a file rather than -")
            }
            kinds[Array(path.utf8)] = kind
            paths[kind] = path
            if path == "-" { onStandardOutput = kind }
        }
    }

    func contains(_ kind: ResultFile) -> Bool { paths[kind] != nil }

    /// Makes the files, so that one that cannot be written ends the run before anything is measured.
    /// - Throws: `Failure` (`writeFailed`); nothing is left of any then.
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

/// The files of a measurement that is under way. None has its name until `finish`.
final class OpenResultFiles {
    private var targets: [(kind: ResultFile, output: BodyOutput, path: String)] = []
    /// Of the first that could not be written.
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
        let target = try DownloadTarget(path: path, createsDirectories: false, advice: advice)
        let other = targets.first {
            $0.output.download.map { !Set($0.target.identities).isDisjoint(with: target.identities) } ?? false
        }
        if let other {
            throw Failure.usage(
                "\(other.kind.option) and \(kind.option) both write to \(printable(path)); name two files")
        }
        let download = try Download(target, keepsPart: false, advice: advice)
        targets.append((kind, BodyOutput(target: .download(download)), path))
    }

    private func advice(_ code: Int32) -> String {
        switch code {
        case ENOENT: "; its folder does not exist: make it"
        case ELOOP: "; its symbolic links lead nowhere: remove them"
        case EACCES, EPERM, EROFS: "; choose a folder that you may write to"
        case ENOSPC, EDQUOT: "; free some space"
        default: ""
        }
    }

    /// The file that somebody else writes meanwhile; nil where it is not wanted.
    func pathToWrite(_ kind: ResultFile) -> String? {
        targets.first { $0.kind == kind }.map { target in
            guard let download = target.output.download else { return target.path }
            // No String names a file whose path is not UTF-8.
            return String(validating: download.part.bytes, as: UTF8.self) ?? "/dev/fd/\(download.descriptor)"
        }
    }

    /// Writes what `text` makes, if this kind is wanted. One that cannot be written does not take the others with it:
    /// `finish` tells.
    func write(_ kind: ResultFile, _ text: () -> String) {
        guard let target = targets.first(where: { $0.kind == kind }) else { return }
        let (descriptor, name): (CInt, String) =
            switch target.output.target {
            case .download(let download): (download.descriptor, download.partPath)
            case .descriptor(let descriptor, let name): (descriptor, name)
            case .discard: (-1, target.path)
            }
        var text = text()
        let code = text.withUTF8 { writeFully(descriptor, UnsafeRawBufferPointer($0)) }
        guard code != 0 else { return }
        target.output.download?.discard()
        targets.removeAll { $0.kind == kind }
        let reason = Failure(.writeFailed, "writing to \(printable(name)) failed: \(errnoText(code))\(advice(code))")
        failure = failure ?? reason
    }

    /// Leaves out a file that is not whole: it does not get its name.
    /// - Returns: where the part of it is, in words; empty where there is none.
    func leave(_ kind: ResultFile) -> String {
        guard let index = targets.firstIndex(where: { $0.kind == kind }) else { return "" }
        let target = targets.remove(at: index)
        defer { target.output.close() }
        return target.output.download?.leave() ?? ""
    }

    /// Gives the files their names.
    /// - Throws: `Failure` (`writeFailed`) for the first that could not be written or named; the others are there.
    func finish() throws {
        for target in targets {
            do {
                if let copy = try target.output.download?.finish() { try copy.run() }
            } catch let error as Failure { failure = failure ?? error }
        }
        targets = []
        if let failure { throw failure }
    }

    /// Removes what was begun.
    func discard() {
        for target in targets { target.output.download?.discard() }
    }
}
