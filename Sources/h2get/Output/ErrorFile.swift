import H2Platform

/// --stderr: messages go to a file.
enum ErrorFile {
    /// Makes `path` stderr, or stdout if it is `-`. Call this before anything is written.
    /// - Throws: `Failure` (`writeFailed`).
    static func open(_ path: String) throws {
        let number = path == "-" ? STDOUT_FILENO : StandardDescriptors.number(named: path)
        var descriptor =
            number.map(StandardDescriptors.duplicateForWriting)
            ?? H2Platform.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOCTTY | O_CLOEXEC, 0o666)
        if descriptor == -1, number == nil { descriptor = -errno }
        guard descriptor >= 0, dup2(descriptor, STDERR_FILENO) >= 0 else {
            throw Failure(
                .writeFailed,
                "cannot write messages to \(path) (--stderr): \(errnoText(descriptor < 0 ? -descriptor : errno))")
        }
        close(descriptor)
    }
}
