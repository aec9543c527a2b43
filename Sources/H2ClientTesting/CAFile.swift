import H2Client
import H2Platform

/// A temporary file with a certificate authority, since clients read what they trust from files. Removed when released.
final class CAFile: Sendable {
    let path: String

    /// - Throws: `H2Error` (`localIO`).
    init(_ pem: String) throws {
        var folder = getenv("TMPDIR").map { String(cString: $0) } ?? ""
        if folder.isEmpty { folder = "/tmp" }
        var template = Array("\(folder)/h2client-ca-XXXXXX".utf8CString)
        // Readable by this user alone, and never an existing file.
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw Self.error(folder, errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let bytes = Array(pem.utf8)
        let code = bytes.withUnsafeBytes { writeFully(descriptor, $0) }
        close(descriptor)
        guard code == 0 else {
            unlink(path)
            throw Self.error(folder, code)
        }
    }

    deinit { unlink(path) }

    private static func error(_ folder: String, _ code: CInt) -> H2Error {
        H2Error(
            .localIO, cause: .errno(code),
            message: "cannot write the certificate authority to a file in \(folder): \(describeErrno(code))",
            remedy: "set TMPDIR to a folder that can be written to")
    }
}
