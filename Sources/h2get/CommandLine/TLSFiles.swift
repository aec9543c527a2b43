import H2Client
import H2Measure
import H2Platform

/// The TLS files given by options, or by the environment if the options are missing.
struct TLSFiles {
    let isInsecure: Bool
    let authorityFile: String?
    let authorityDirectory: String?
    let certificate: String?
    let key: String?
    let passphrase: String?
    /// Whether a file is said to be DER, which the library then takes as either.
    let isDER: Bool

    /// - Throws: `Failure` (`usage`).
    init(_ arguments: Arguments) throws {
        isInsecure = arguments.isOn(.insecure)
        authorityFile = try arguments.text(.cacert)
        authorityDirectory = try arguments.text(.capath)
        let certificate = try arguments.text(.cert)
        let (file, joined) = certificate.map(Self.parts) ?? ("", nil)
        self.certificate = certificate == nil ? nil : file
        passphrase = try arguments.text(.pass) ?? joined
        key = try arguments.text(.key)
        guard passphrase == nil || certificate != nil else { throw Failure.usage("--pass goes with --cert") }
        guard key == nil || certificate != nil else { throw Failure.usage("--key goes with --cert") }
        let certificateType = try arguments.value(.certType, Self.type) ?? .pem
        let keyType = try arguments.value(.keyType, Self.type) ?? .pem
        for option in [OptionKey.certType, .keyType] {
            guard certificate != nil || !arguments.isGiven(option) else {
                throw Failure.usage("\(arguments.last(option)?.spelling ?? "") goes with --cert")
            }
        }
        guard certificateType == .pem || key != nil else {
            throw Failure.usage("a certificate in DER has no key in its file: give --key FILE, too")
        }
        isDER = certificateType == .der || keyType == .der
    }

    private enum FileType {
        case pem
        case der
    }

    private static func type(_ text: String) throws -> FileType {
        switch text.lowercased() {
        case "pem": return .pem
        case "der": return .der
        default: throw BadValue("use PEM or DER; openssl pkcs12 converts PKCS #12")
        }
    }

    /// curl's `FILE:PASSPHRASE`, unless there is a file of that name. `\:` is a colon of the file's name.
    static func parts(_ text: String) -> (file: String, passphrase: String?) {
        guard access(text, F_OK) != 0 else { return (text, nil) }
        var file: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), let next = rest.first, next == byte || next == UInt8(ascii: ":") {
                file.append(next)
                rest.removeFirst()
            } else if byte == UInt8(ascii: ":") {
                return (String(decoding: file, as: UTF8.self), String(decoding: rest, as: UTF8.self))
            } else {
                file.append(byte)
            }
        }
        return (String(decoding: file, as: UTF8.self), nil)
    }

    var configuration: ConnectionConfiguration.TLS {
        var tls = ConnectionConfiguration.TLS()
        tls.verifiesPeer = !isInsecure
        tls.caFile = authorityFile
        tls.caDirectory = authorityDirectory
        if authorityFile == nil, authorityDirectory == nil, !isInsecure { tls.caFile = Self.environmentBundle }
        if let certificate, let passphrase {
            tls.identity = .init(certificates: .file(certificate), privateKey: .file(key ?? certificate)) { passphrase }
        } else if let certificate, Terminal.canAsk {
            let (asked, name) = (AskedPassphrase(), printable(key ?? certificate))
            tls.identity = .init(certificates: .file(certificate), privateKey: .file(key ?? certificate)) {
                try asked.get("Enter passphrase for \(name): ")
            }
        } else if let certificate, isDER {
            tls.identity = .init(certificates: .file(certificate), privateKey: .file(key ?? certificate))
        } else {
            tls.certificateFile = certificate
            tls.privateKeyFile = key ?? certificate
        }
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
            (tls.certificateFile ?? tls.identity?.certificates.path, "--cert", .clientCertificate),
            (tls.privateKeyFile ?? tls.identity?.privateKey?.path, "--key", .clientCertificate),
        ] {
            guard let path, access(path, R_OK) != 0 else { continue }
            let code = errno
            let isFromEnvironment = option == "--cacert" && path == environmentBundle
            let name = isFromEnvironment ? "CURL_CA_BUNDLE" : option
            throw Failure(status, "cannot read \(printable(path)) (\(name)): \(errnoText(code))")
        }
    }

    /// - Throws: `Failure` (`cipher`).
    private static func checkSuites(_ tls: ConnectionConfiguration.TLS) throws {
        guard tls.suites12 != nil || tls.suites13 != nil || tls.groups != nil || tls.signatureAlgorithms != nil else {
            return
        }
        var chosen = ConnectionConfiguration.TLS()
        chosen.verifiesPeer = false
        (chosen.suites12, chosen.suites13, chosen.groups) = (tls.suites12, tls.suites13, tls.groups)
        chosen.signatureAlgorithms = tls.signatureAlgorithms
        do { _ = try TLSContext(client: chosen) } catch let error as H2Error {
            throw Failure(.cipher, error.description)
        }
    }
}
