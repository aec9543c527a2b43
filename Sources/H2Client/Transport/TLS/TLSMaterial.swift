import CNghttp2
import H2Platform

/// The bytes of a `ConnectionConfiguration.TLS.Source`, and whether they are PEM.
struct TLSMaterial {
    /// Maximum size of a file. Certificate revocation lists are the largest: some have tens of megabytes.
    static let limit = 64 << 20

    let bytes: [UInt8]
    let isPEM: Bool
    /// For errors.
    let description: String

    /// Reads the source, which may block.
    /// - Throws: `H2Error` (`tlsConfiguration`) if its file cannot be read.
    init(_ source: ConnectionConfiguration.TLS.Source, limit: Int = TLSMaterial.limit) throws {
        description = source.description
        switch source.content {
        case .pem(let bytes): (self.bytes, isPEM) = (bytes, true)
        case .der(let bytes): (self.bytes, isPEM) = (bytes, false)
        case .file(let path):
            bytes = try Self.read(path, limit)
            isPEM = bytes.withUnsafeBufferPointer { Self.hasSection($0) }
        }
    }

    private static func read(_ path: String, _ limit: Int) throws -> [UInt8] {
        func failure(_ reason: String) -> H2Error {
            H2Error(
                .tlsConfiguration, cause: .errno(errno), message: "cannot read the file '\(path)': \(reason)",
                remedy: "it must be a readable file of certificates, keys or lists (PEM or DER)")
        }
        let descriptor = ch2_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw failure(describeErrno(errno)) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = H2Platform.read(descriptor, &buffer, buffer.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(describeErrno(errno))
            }
            bytes += buffer[..<count]
            if bytes.count > limit { throw failure("it is larger than \(limit) bytes") }
        }
    }

    /// Whether there is a line that begins a PEM section.
    private static func hasSection(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let mark = Array("-----BEGIN ".utf8)
        var start = 0
        while let dash = bytes[start...].firstIndex(of: mark[0]) {
            let isAtLineStart = dash == 0 || bytes[dash - 1] == 0x0a || bytes[dash - 1] == 0x0d
            if bytes[dash...].starts(with: mark), isAtLineStart || dash == 3 { return true }
            start = dash + 1
        }
        return false
    }

    /// Calls `body` with the certificates and lists in the source, of which there may be none.
    func withCertificates<R>(_ body: (OpaquePointer) -> R) throws -> R {
        ERR_clear_error()
        guard let all = ch2_certificates_new(bytes, bytes.count, isPEM) else {
            throw TLSContext.configurationError("cannot read \(description)", "is there memory?")
        }
        defer { ch2_certificates_free(all) }
        return body(all)
    }
}
