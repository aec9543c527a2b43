import CNghttp2
import H2Platform

// The authorities that a context trusts, and the certificate that it presents.

extension TLSContext {
    // MARK: - Trust

    func loadTrust(_ sources: TrustSources) throws {
        if sources.isSystem { loadSystemTrust() }
        for file in sources.files {
            ERR_clear_error()
            guard SSL_CTX_load_verify_file(context, file) == 1 else {
                throw Self.configurationError(
                    "cannot load the CA file '\(file)'\(sources.origin)",
                    "it must hold PEM certificates and be readable")
            }
        }
        for folder in sources.folders { try loadFolder(folder, sources.origin) }
        for source in sources.values {
            let material = try TLSMaterial(source)
            guard try material.withCertificates({ ch2_trust(context, $0) }) > 0 else {
                throw Self.configurationError(
                    "cannot use certificate authorities from \(material.description)",
                    "it must hold certificates (PEM or DER)")
            }
        }
    }

    func loadRevocationLists(_ sources: [ConnectionConfiguration.TLS.Source]) throws {
        for source in sources {
            let material = try TLSMaterial(source)
            guard try material.withCertificates({ ch2_add_revocation_lists(context, $0) }) > 0 else {
                throw Self.configurationError(
                    "cannot use revocation lists from \(material.description)", "it must hold lists (PEM or DER)")
            }
        }
    }

    /// A folder prepared by `openssl rehash` is searched as needed; otherwise each file is loaded.
    private func loadFolder(_ folder: String, _ origin: String) throws {
        ERR_clear_error()
        guard let names = TrustSources.names(in: folder) else {
            throw Self.configurationError(
                "cannot use the CA folder '\(folder)'\(origin): \(describeErrno(errno))",
                "it must be a folder that can be read")
        }
        if names.contains(where: TrustSources.isHash) {
            guard SSL_CTX_load_verify_dir(context, folder) == 1 else {
                throw Self.configurationError("cannot use the CA folder '\(folder)'\(origin)", "can it be read?")
            }
            return
        }
        // Other files are not certificates, which is not an error.
        var loaded = 0
        for name in names where SSL_CTX_load_verify_file(context, folder + "/" + name) == 1 { loaded += 1 }
        ERR_clear_error()
        guard loaded > 0 else {
            throw Self.configurationError(
                "the CA folder '\(folder)'\(origin) holds no certificate that can be read",
                "put PEM files there, or name another")
        }
    }

    /// Loads the system's trust: the hashed folder first, since it is searched lazily and a bundle takes 30 ms to parse.
    /// Without any, every certificate is rejected with a message that says so.
    private func loadSystemTrust() {
        let directory = String(cString: X509_get_default_cert_dir())
        if TrustSources.names(in: directory)?.contains(where: TrustSources.isHash) == true,
            SSL_CTX_load_verify_dir(context, directory) == 1
        {
            return
        }
        let bundles = [
            String(cString: X509_get_default_cert_file()), "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
        ]
        for bundle in bundles where access(bundle, R_OK) == 0 {
            if SSL_CTX_load_verify_file(context, bundle) == 1 { return }
        }
    }

    // MARK: - Our certificate

    /// Loads a PEM certificate chain and its key.
    package func loadIdentity(certificate: String, key: String) throws {
        ERR_clear_error()
        guard SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else {
            throw Self.configurationError(
                "cannot use the certificate file '\(certificate)'", "it must be PEM, our certificate first")
        }
        guard SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1,
            SSL_CTX_check_private_key(context) == 1
        else {
            throw Self.configurationError(
                "cannot use the key file '\(key)'", "it must be PEM without a password and belong to the certificate")
        }
    }

    /// Loads an identity, asking for its passphrase if the key is encrypted.
    func load(_ identity: ConnectionConfiguration.TLS.Identity) throws {
        let certificates = try TLSMaterial(identity.certificates)
        guard try certificates.withCertificates({ ch2_use_certificates(context, $0) }) else {
            throw Self.configurationError(
                "cannot use a certificate from \(certificates.description)", "it must hold ours first (PEM or DER)")
        }
        let key = try identity.privateKey.map { try TLSMaterial($0) } ?? certificates
        switch use(key, nil) {
        case .used: return
        case .needsPassphrase: break
        case .failed:
            throw Self.configurationError(
                "cannot use a private key from \(key.description)",
                identity.privateKey == nil && !key.isPEM
                    ? "DER holds one thing: name the source of the key too" : "it must belong to the certificate")
        }
        ERR_clear_error()
        guard let passphrase = identity.passphrase else {
            throw Self.configurationError(
                "the private key from \(key.description) is encrypted", "give its passphrase with the identity")
        }
        let secret: String
        do { secret = try passphrase() } catch {
            throw Self.configurationError(
                "the passphrase of the private key from \(key.description) is not available: \(error)", "")
        }
        guard use(key, Array(secret.utf8)) == .used else {
            throw Self.configurationError(
                "cannot decrypt the private key from \(key.description)",
                "is the passphrase right, and does the key belong to the certificate?")
        }
    }

    private enum KeyResult { case used, needsPassphrase, failed }

    private func use(_ key: TLSMaterial, _ passphrase: [UInt8]?) -> KeyResult {
        ERR_clear_error()
        var needsPassphrase = false
        // UTF-8 code units and C characters differ only in sign.
        let characters = passphrase?.map { CChar(bitPattern: $0) } ?? []
        let isUsed = characters.withUnsafeBufferPointer {
            ch2_use_key(
                context, key.bytes, key.bytes.count, key.isPEM, passphrase == nil ? nil : $0.baseAddress, $0.count,
                &needsPassphrase)
        }
        return isUsed ? .used : needsPassphrase && passphrase == nil ? .needsPassphrase : .failed
    }

    /// Installs a temporary certificate for these names, signed by a temporary CA.
    package func makeSelfSigned(names: [String], days: Int) throws -> (caPEM: String, fingerprint: [UInt8]) {
        var pem: UnsafeMutablePointer<CChar>?
        var length = 0
        var fingerprint = [UInt8](repeating: 0, count: 32)
        guard
            ch2_self_signed(context, names.joined(separator: ","), CInt(days), &pem, &length, &fingerprint),
            let pem
        else {
            throw Self.configurationError("cannot make a certificate for \(names)", "check the names")
        }
        defer { ch2_free(pem) }
        let bytes = UnsafeRawBufferPointer(start: pem, count: length)
        return (String(decoding: bytes, as: UTF8.self), fingerprint)
    }

    /// SHA-256 of our certificate (DER); nil if there is none yet.
    package var certificateFingerprint: [UInt8]? {
        guard let certificate = SSL_CTX_get0_certificate(context) else { return nil }
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 32
        return X509_digest(certificate, EVP_sha256(), &digest, &length) == 1 ? digest : nil
    }
}
