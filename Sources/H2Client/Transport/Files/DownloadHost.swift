/// What a program adds to a download: its words, and the cleanup when a signal ends the process.
package protocol DownloadHost: Sendable {
    /// - Parameters:
    ///   - message: what happened.
    ///   - code: the errno.
    ///   - advises: whether to add what to try.
    func failure(_ message: String, _ code: CInt, advises: Bool) -> any Error
    /// The failure of a path that is a folder.
    func failure(_ path: String, isFolder: Bool) -> any Error
    /// A file is useless until `ended`. Returns nil if nothing cleans up.
    func began(_ file: UnfinishedFile) -> Int?
    func ended(_ ticket: Int)
}

/// A file that must not stay as it is if the process ends.
package enum UnfinishedFile: Sendable {
    /// A file of ours that is useless until complete. It is to be removed.
    case temporary(path: FilePath)
    /// A file that is written in place, and would look complete but is not. It is to be emptied.
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
