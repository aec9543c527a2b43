import CNghttp2
import H2Platform

/// A file that receives the secrets of connections, in the NSS format (SSLKEYLOGFILE).
///
/// Each line is one write to a descriptor opened for appending, so lines of several connections and processes stay whole.
final class KeyLog: Sendable {
    private let descriptor: CInt

    /// - Throws: `H2Error` (`tlsConfiguration`) if the file cannot be opened.
    init(_ path: String) throws {
        func failure(_ reason: String, _ code: CInt) -> H2Error {
            H2Error(
                .tlsConfiguration, cause: code == 0 ? .unknown : .errno(code),
                message: "cannot open the key log file '\(path)': \(reason)",
                remedy: "name a file that can be written to, or log no keys")
        }
        descriptor = ch2_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o600)
        guard descriptor >= 0 else { throw failure(describeErrno(errno), errno) }
        // A pipe whose reader has gone would end the process with SIGPIPE.
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFIFO else {
            close(descriptor)
            throw failure("it is a pipe", 0)
        }
    }

    deinit { close(descriptor) }

    /// If a write fails, the line is left out: the connection does not depend on it.
    func append(_ line: UnsafePointer<CChar>) {
        var bytes = Array(UnsafeBufferPointer(start: line, count: strlen(line)))
        bytes.append(0x0a)
        _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }
}
