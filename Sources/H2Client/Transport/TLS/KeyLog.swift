import CNghttp2
import H2Platform

/// A file that gets the secrets of connections, in the format of NSS (SSLKEYLOGFILE).
///
/// Each line is one write to a descriptor opened for appending, so lines of several connections and processes stay whole.
final class KeyLog: Sendable {
    private let descriptor: CInt

    /// - Throws: `H2Error` (`tlsConfiguration`) if the file cannot be opened.
    init(_ path: String) throws {
        // A pipe without a reader is an error and does not block.
        descriptor = ch2_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o600)
        guard descriptor >= 0 else {
            let code = errno
            throw H2Error(
                .tlsConfiguration, cause: .errno(code),
                message: "cannot open the key log file '\(path)': \(describeErrno(code))",
                remedy: "name a file that can be written to, or log no keys")
        }
    }

    deinit { close(descriptor) }

    /// A write that fails leaves the line out: the connection does not depend on it.
    func append(_ line: UnsafePointer<CChar>) {
        var bytes = Array(UnsafeBufferPointer(start: line, count: strlen(line)))
        bytes.append(0x0a)
        _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }
}
