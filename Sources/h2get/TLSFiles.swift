import H2Client

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The files that the options name for TLS, and what the environment names in their place.
struct TLSFiles {
    var isInsecure = false
    var authorityFile: String?
    var authorityDirectory: String?
    var certificate: String?
    var key: String?

    var configuration: Configuration.TLS {
        var tls = Configuration.TLS()
        tls.verifiesPeer = !isInsecure
        tls.caFile = authorityFile
        tls.caDirectory = authorityDirectory
        if authorityFile == nil, authorityDirectory == nil, !isInsecure { tls.caFile = Self.environmentBundle }
        tls.certificateFile = certificate
        tls.privateKeyFile = key ?? certificate
        return tls
    }

    /// As for curl, where no option says what to trust. SSL_CERT_FILE and SSL_CERT_DIR are the library's.
    static var environmentBundle: String? {
        guard let value = getenv("CURL_CA_BUNDLE") else { return nil }
        let path = String(cString: value)
        return path.isEmpty ? nil : path
    }

    /// Before anything is sent: names what cannot be read, in the system's words.
    /// - Throws: `Failure`.
    static func check(_ tls: Configuration.TLS) throws {
        for (path, option, status) in [
            (tls.caFile, "--cacert", ExitReason.authorityFile), (tls.caDirectory, "--capath", .authorityFile),
            (tls.certificateFile, "--cert", .clientCertificate), (tls.privateKeyFile, "--key", .clientCertificate),
        ] {
            guard let path, access(path, R_OK) != 0 else { continue }
            let code = errno
            let isFromEnvironment = option == "--cacert" && path == environmentBundle
            throw Failure(
                status, "cannot read \(path) (\(isFromEnvironment ? "CURL_CA_BUNDLE" : option)): \(errnoText(code))")
        }
    }
}
