import H2Client
import H2Measure
import H2Platform

/// h2get's messages about downloads, and its cleanup.
struct CommandLineDownloads: DownloadHost {
    /// Advice for an errno.
    let advice: @Sendable (Int32) -> String

    func failure(_ message: String, _ code: CInt, advises: Bool) -> any Error {
        Failure(.writeFailed, message + (advises ? advice(code) : ""))
    }

    func failure(_ path: String, isFolder: Bool) -> any Error {
        Failure(.writeFailed, "\(path) is a folder; name a file with -o, or use -O with --output-dir")
    }

    func began(_ file: UnfinishedFile) -> Int? {
        switch file {
        case .temporary(let path): Unfinished.add(.temporary(path: path)).number
        case .inPlace(let descriptor): Unfinished.add(.inPlace(descriptor: descriptor)).number
        }
    }

    func ended(_ ticket: Int) { Unfinished.remove(Unfinished.Ticket(number: ticket)) }
}

extension DownloadTarget {
    /// - Parameter advice: returns advice for an errno.
    /// - Throws: `Failure` (`writeFailed`) if nothing can be written under that name.
    init(
        path: String, createsDirectories: Bool, advice: @escaping @Sendable (Int32) -> String = Download.advice
    ) throws {
        try self.init(path: path, createsDirectories: createsDirectories, host: CommandLineDownloads(advice: advice))
    }
}

extension Download {
    /// Creates the empty `.part` file.
    /// - Parameters:
    ///   - keepsPart: whether an incomplete file is useful. If not, it is removed when a signal ends the process.
    ///   - advice: returns advice for an errno.
    /// - Throws: `Failure` (`writeFailed`).
    convenience init(
        _ target: DownloadTarget, keepsPart: Bool = true,
        advice: @escaping @Sendable (Int32) -> String = Download.advice
    ) throws {
        try self.init(target, keepsPart: keepsPart, host: CommandLineDownloads(advice: advice))
    }

    /// Advice for an errno, in terms of h2get's options.
    @Sendable static func advice(_ code: Int32) -> String {
        switch code {
        case ENOENT: "; its folder does not exist: make it, or use --create-dirs"
        case ELOOP: "; its symbolic links lead nowhere: remove them"
        case EACCES, EPERM, EROFS: "; choose a folder that you may write to with --output-dir"
        case EMFILE, ENFILE: "; use a lower --parallel-max"
        case ENAMETOOLONG: "; name it with -o FILE"
        default: ""
        }
    }

    /// Keeps the part, even when the process ends.
    /// - Returns: its location, in words; empty if nothing is left.
    func leave() -> String {
        let text = leftover()
        if !text.isEmpty { keep() }
        return text
    }

    /// Says what a failure left of the file. Empty if nothing is left, or if the error of `finish`
    /// already says so.
    func leftover() -> String {
        if isWhole { return "" }
        if isInPlace {
            discard()
            return "\(target.path) was emptied, because no temporary file could be created in its folder"
        }
        let size = size
        if size == 0 {
            discard()
            return ""
        }
        return "\(byteCount(size)) of it are in \(partPath)"
    }
}
