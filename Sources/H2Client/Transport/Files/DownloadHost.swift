/// The program's part of a download: its error messages, and the cleanup when a signal ends the process.
package protocol DownloadHost: Sendable {
    /// - Parameters:
    ///   - message: what happened.
    ///   - code: the errno.
    ///   - advises: whether to add advice.
    func failure(_ message: String, _ code: CInt, advises: Bool) -> any Error
    /// The failure for a path that is a folder.
    func failure(_ path: String, isFolder: Bool) -> any Error
    /// Notes a file that is useless until `ended`. Returns nil if nothing cleans it up.
    func began(_ file: UnfinishedFile) -> Int?
    func ended(_ ticket: Int)
}

/// A file that must not stay as it is if the process ends.
package enum UnfinishedFile: Sendable {
    /// A file of ours that is useless until it is complete. It must be removed.
    case temporary(path: FilePath)
    /// A file that is written in place, and would look complete although it is not. It must be emptied.
    case inPlace(descriptor: CInt)
}

/// Errors of this library, and no cleanup: signals belong to the program.
struct LibraryDownloadHost: DownloadHost {
    func failure(_ message: String, _ code: CInt, advises: Bool) -> any Error {
        H2Error(
            .localIO, initiator: .user, cause: .errno(code), message: message,
            remedy: advises ? "check the path and its rights, and that its folder exists" : "is there room to write?")
    }

    func failure(_ path: String, isFolder: Bool) -> any Error {
        H2Error(.localIO, initiator: .user, message: "\(path) is a folder", remedy: "name a file in it")
    }

    func began(_ file: UnfinishedFile) -> Int? { nil }
    func ended(_ ticket: Int) {}
}
