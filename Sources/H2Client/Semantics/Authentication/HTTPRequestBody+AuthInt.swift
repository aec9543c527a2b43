import H2Platform

extension HTTPRequestBody {
    /// The digest of the body in hexadecimal, for `qop=auth-int` (RFC 7616 section 3.4.3). Nil for a streamed or
    /// multipart body, or if OpenSSL fails. Files and large bodies are read on another thread.
    /// - Throws: `H2Error` (`localIO`, `timeout`), `CancellationError`.
    nonisolated(nonsending) func digest(
        _ function: MessageDigest.Function, _ limits: WaitLimits
    ) async throws -> [UInt8]? {
        switch content {
        case .none: return MessageDigest.hex(function, [])
        case .bytes(let bytes):
            if bytes.count <= 64 << 10 { return MessageDigest.hex(function, bytes) }
            return try await limits.blocking { MessageDigest.hex(function, bytes) }
        case .file(let path, let range):
            return try await limits.blocking { try BodyFile(path).part(range).digest(function) }
        case .openFile(let file): return try await limits.blocking { try file.digest(function) }
        case .multipart, .stream: return nil
        }
    }
}

extension BodyFile {
    /// The digest of the file, up to the length it had when it was opened. May wait for a disk.
    /// - Throws: `H2Error` (`localIO`) if the file cannot be read or has become shorter.
    fileprivate func digest(_ function: MessageDigest.Function) throws(H2Error) -> [UInt8]? {
        guard let digest = MessageDigest(function) else { return nil }
        var offset = 0
        while offset < length {
            let piece = try read(at: offset, count: min(256 << 10, length - offset))
            piece.withUnsafeBytes { digest.add($0) }
            offset += piece.count
        }
        return digest.finishHex()
    }
}
