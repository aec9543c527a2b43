import H2Client
import H2Platform

/// The TLS files given by options, or by the environment if the options are missing.
struct TLSFiles {
    var isInsecure = false
    var authorityFile: String?
    var authorityDirectory: String?
    var certificate: String?
    var key: String?

    var configuration: ConnectionConfiguration.TLS {
        var tls = ConnectionConfiguration.TLS()
        tls.verifiesPeer = !isInsecure
        tls.caFile = authorityFile
        tls.caDirectory = authorityDirectory
        if authorityFile == nil, authorityDirectory == nil, !isInsecure { tls.caFile = Self.environmentBundle }
        tls.certificateFile = certificate
        tls.privateKeyFile = key ?? certificate
        return tls
    }

    /// The CA bundle from the environment, as in curl, if no option names one. The library reads SSL_CERT_FILE and
    /// SSL_CERT_DIR itself.
    static var environmentBundle: String? {
        guard let value = getenv("CURL_CA_BUNDLE") else { return nil }
        let path = String(cString: value)
        return path.isEmpty ? nil : path
    }

    /// Checks, before anything is sent, that the files are readable and that OpenSSL knows the cipher suites and groups.
    /// - Throws: `Failure`.
    static func check(_ tls: ConnectionConfiguration.TLS) throws {
        try checkSuites(tls)
        for (path, option, status) in [
            (tls.caFile, "--cacert", ExitReason.authorityFile), (tls.caDirectory, "--capath", .authorityFile),
            (tls.certificateFile, "--cert", .clientCertificate), (tls.privateKeyFile, "--key", .clientCertificate),
        ] {
            guard let path, access(path, R_OK) != 0 else { continue }
            let code = errno
            let isFromEnvironment = option == "--cacert" && path == environmentBundle
            // curl's --cert FILE:PASSWORD.
            let end = option == "--cert" ? path.utf8.firstIndex(of: UInt8(ascii: ":")) ?? path.endIndex : path.endIndex
            let shown = end < path.endIndex ? "\(path[..<end]):***" : path
            let remedy = end < path.endIndex ? "; a password cannot be given with it: use a key without one" : ""
            let name = isFromEnvironment ? "CURL_CA_BUNDLE" : option
            throw Failure(status, "cannot read \(shown) (\(name)): \(errnoText(code))\(remedy)")
        }
    }

    /// - Throws: `Failure` (`cipher`).
    private static func checkSuites(_ tls: ConnectionConfiguration.TLS) throws {
        guard tls.suites12 != nil || tls.suites13 != nil || tls.groups != nil else { return }
        var chosen = ConnectionConfiguration.TLS()
        chosen.verifiesPeer = false
        (chosen.suites12, chosen.suites13, chosen.groups) = (tls.suites12, tls.suites13, tls.groups)
        do { _ = try TLSContext(client: chosen) } catch let error as H2Error {
            throw Failure(.cipher, error.description)
        }
    }
}
