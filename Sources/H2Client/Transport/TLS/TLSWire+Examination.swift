import CNghttp2

// The checks beyond OpenSSL's verification: staple, pins, verifier.

extension TLSWire {
    /// Called when OpenSSL has verified the certificate, with the staple if the server sent one.
    static func judgeStaple(_ ssl: OpaquePointer?) -> CInt { with(ssl) { $0.judgeStaple() ? 1 : 0 } ?? 0 }

    private func judgeStaple() -> Bool {
        // A resumed session was judged when it began, and the server does not send a staple.
        guard SSL_session_reused(ssl) != 1 else { return true }
        var isPromised = false
        var why: UnsafePointer<CChar>?
        let verdict = ch2_check_staple(ssl, &isPromised, &why)
        let words = why.map { String(cString: $0) } ?? ""
        switch verdict {
        case CH2_STAPLE_GOOD: break
        case CH2_STAPLE_REVOKED:
            fault = .init(
                .revoked, reason: "its OCSP staple says that it was revoked" + (words.isEmpty ? "" : " (\(words))"))
        case CH2_STAPLE_NONE where isPromised:
            fault = .init(.unknownRevocation, reason: "it promises an OCSP staple (RFC 7633), and the server sent none")
        case CH2_STAPLE_NONE:
            guard context?.requiresStaple == true else { break }
            fault = .init(
                .unknownRevocation, reason: "the server sent no OCSP staple, and the configuration requires one")
        default:
            fault = .init(.unknownRevocation, reason: "its OCSP staple \(words)")
        }
        return fault == nil
    }

    /// Stores the data to be examined, and compares it with the pins.
    func pinError() -> H2Error? {
        guard let context, context.examinesChain else { return nil }
        if SSL_session_reused(ssl) != 1 {
            beginning?.certificates = PeerCertificates(
                chain: context.verifiesPeer ? SSL_get0_verified_chain(ssl) : SSL_get_peer_cert_chain(ssl))
        }
        let certificates = beginning?.certificates ?? PeerCertificates(encoded: [])
        guard !context.pinnedKeys.isEmpty,
            !certificates.contain(context.pinnedKeys, isVerified: context.verifiesPeer)
        else { return nil }
        return Self.rejection(
            .init(.pinMismatch, reason: "no key of its chain is pinned; its own is \(certificates.pinOfPeer)"),
            "if the server's key was changed on purpose, pin the new one")
    }

    /// Calls the configuration's verifier, on a thread that may block. nil if there is none.
    var examination: (@Sendable () -> H2Error.CertificateFault?)? {
        guard let context, let verifier = context.verifier else { return nil }
        let certificates = beginning?.certificates ?? PeerCertificates(encoded: [])
        let (host, isVerified, isResumed) = (sessionKey?.serverName ?? "", context.verifiesPeer, isResumed)
        return {
            let chain = ConnectionConfiguration.TLS.PeerChain(
                host: host, certificates: certificates.described, isVerified: isVerified, isResumed: isResumed)
            do {
                try verifier(chain)
                return nil
            } catch {
                return .init(.refused, reason: "the verifier refused it: \(error)")
            }
        }
    }

    /// The verifier has decided.
    func examined(_ fault: H2Error.CertificateFault?) {
        guard let fault else { return accept() }
        failure = Self.rejection(fault, "")
        forgetSessions()
    }

    static func rejection(_ fault: H2Error.CertificateFault, _ remedy: String) -> H2Error {
        H2Error(
            .certificateRejected, scope: .connection, cause: .certificate(fault),
            message: "the server's certificate was rejected: \(fault.reason)", remedy: remedy)
    }
}
