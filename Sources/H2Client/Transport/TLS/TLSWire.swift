import CNghttp2
import H2Platform

/// The result of a client's ALPN offer (RFC 7301).
package enum ProtocolChoice: Sendable, Hashable {
    /// There is no TLS, so nothing was offered.
    case cleartext
    /// One of the offered protocols was chosen.
    case chosen(String)
    /// The server chose nothing: it does not support ALPN. To a client that does, that means HTTP/1.1.
    case nothing
    /// The server chose a protocol that was not offered; its bytes as printable text.
    case unoffered(String)
}

/// TLS by OpenSSL, over a socket, whose descriptor OpenSSL reads and writes itself (no copies through memory BIOs), or
/// over another wire.
/// wire.
package final class TLSWire: SocketWire, CarrierWire {
    /// Valid until `release` or `deinit`.
    let ssl: OpaquePointer
    /// nil once released.
    private(set) var context: TLSContext?
    private var lastTraffic = (received: 0, sent: 0)
    /// The protocols we offered by ALPN; empty on the server side.
    private let protocols: [String]
    /// The cache key of the connection's sessions; nil on the server side.
    let sessionKey: TLSSessionCache.Key?
    /// The full handshake that the connection relies on: that of an earlier connection if it resumes a session.
    var beginning: TLSSessionCache.Beginning?
    /// The fault found in the staple.
    var fault: H2Error.CertificateFault?
    /// Whether everything about the peer has been examined. Only then may other connections resume its sessions.
    private var isAccepted = false
    /// Bytes of early data that the server accepts with the session to be resumed (RFC 8446 section 4.2.10); 0 if it
    /// accepts none, or if the session's protocol is not offered here.
    package private(set) var earlyDataLimit = 0
    /// The ALPN choice when that session began. Early data is written for this protocol.
    package private(set) var earlyProtocol = ProtocolChoice.nothing
    /// Sessions that arrived before the peer was accepted. Owned.
    private var earlySessions: [OpaquePointer] = []
    private var isEstablished = false
    /// Whether any data from the peer has arrived.
    private var hasRead = false
    // OpenSSL forbids SSL_shutdown after a fatal error.
    private var isBroken = false

    /// Takes ownership of the descriptor. A nil `serverName` makes it the server side.
    /// - Parameters:
    ///   - protocols: a client's ALPN offer, in order of preference.
    ///   - port: the origin's port, if a client resumes sessions.
    package init(
        descriptor: CInt, context: TLSContext, serverName: String?, isAddress: Bool = false, protocols: [String] = [],
        port: Int = 0
    ) throws {
        guard
            let ssl = context.makeConnection(
                descriptor: descriptor, serverName: serverName, isAddress: isAddress, protocols: protocols)
        else {
            close_(descriptor)
            throw TLSContext.configurationError("cannot set up TLS for '\(serverName ?? "")'", "check the server name")
        }
        self.ssl = ssl
        self.context = context
        self.protocols = protocols
        sessionKey = serverName.map { TLSSessionCache.Key(serverName: $0, port: port, protocols: protocols) }
        super.init(descriptor: descriptor)
        prepare()
    }

    /// A client's TLS over another wire. Takes ownership of that wire.
    /// - Parameters: as above.
    init(
        over carrier: any CarrierWire, context: TLSContext, serverName: String, isAddress: Bool, protocols: [String],
        port: Int
    ) throws {
        guard
            let ssl = context.makeConnection(
                descriptor: nil, serverName: serverName, isAddress: isAddress, protocols: protocols)
        else {
            carrier.close()
            throw TLSContext.configurationError("cannot set up TLS for '\(serverName)'", "check the server name")
        }
        self.ssl = ssl
        self.context = context
        self.protocols = protocols
        sessionKey = TLSSessionCache.Key(serverName: serverName, port: port, protocols: protocols)
        super.init(carrier: carrier)
        // Unretained: the SSL owns the BIO and belongs to this wire, and the BIO is used only inside calls made by the wire.
        guard
            let bio = ch2_carrier_bio(
                Unmanaged.passUnretained(self).toOpaque(), { TLSWire.readCarrier($0, $1, $2) },
                { TLSWire.writeCarrier($0, $1, $2) })
        else { throw TLSContext.configurationError("cannot set up TLS for '\(serverName)'", "is there memory left?") }
        SSL_set_bio(ssl, bio, bio)
        prepare()
    }

    private func prepare() {
        // Unretained: the SSL belongs to this wire, and uses the pointer only inside calls made by the wire.
        SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
        if let sessionKey, let resumable = context?.sessions?.take(for: sessionKey) {
            SSL_set_session(ssl, resumable.session)
            noteEarlyData(of: resumable.session)
            SSL_SESSION_free(resumable.session)
            beginning = resumable.beginning
        }
    }

    private func noteEarlyData(of session: OpaquePointer) {
        let limit = SSL_SESSION_get_max_early_data(session)
        guard limit > 0 else { return }
        var bytes: UnsafePointer<UInt8>?
        var length = 0
        SSL_SESSION_get0_alpn_selected(session, &bytes, &length)
        if let bytes, length > 0 {
            let name = String(decoding: UnsafeBufferPointer(start: bytes, count: length), as: UTF8.self)
            guard protocols.contains(name) else { return }
            earlyProtocol = .chosen(name)
        } else if !protocols.contains("http/1.1") {
            return
        }
        earlyDataLimit = Int(limit)
    }

    // MARK: - The wire below

    private static func readCarrier(
        _ user: UnsafeMutableRawPointer?, _ bytes: UnsafeMutablePointer<CChar>?, _ count: Int
    ) -> Int {
        moveCarried(user) { $0.read(into: UnsafeMutableRawBufferPointer(start: bytes, count: count)) }
    }

    private static func writeCarrier(
        _ user: UnsafeMutableRawPointer?, _ bytes: UnsafePointer<CChar>?, _ count: Int
    ) -> Int {
        moveCarried(user) { $0.write(UnsafeRawBufferPointer(start: bytes, count: count)) }
    }

    /// The result as the BIO expects it: a count, or one of its codes.
    private static func moveCarried(
        _ user: UnsafeMutableRawPointer?, _ move: (any CarrierWire) -> WireResult
    ) -> Int {
        guard let user else { return Int(CH2_CARRIER_FAILED) }
        // Unretained: see `init`.
        return Unmanaged<TLSWire>.fromOpaque(user)._withUnsafeGuaranteedRef { wire in
            guard let carrier = wire.carrier else { return Int(CH2_CARRIER_FAILED) }
            switch move(carrier) {
            case .bytes(let count): return count
            case .end: return Int(CH2_CARRIER_END)
            case .wouldBlock: return Int(CH2_CARRIER_WOULD_BLOCK)
            case .failed: return Int(CH2_CARRIER_FAILED)
            }
        }
    }

    deinit {
        dropEarlySessions()
        if !isReleased { SSL_free(ssl) }
    }

    package var isReleased: Bool { context == nil }

    package func release() {
        guard isClosed, !isReleased else { return }
        lastTraffic = traffic
        dropEarlySessions()
        context = nil
        SSL_free(ssl)
        carrier?.release()
    }

    /// The wire that an SSL belongs to.
    static func with<R>(_ ssl: OpaquePointer?, _ body: (TLSWire) -> R) -> R? {
        guard let ssl, let user = SSL_get_ex_data(ssl, 0) else { return nil }
        // Unretained: see `init`.
        return Unmanaged<TLSWire>.fromOpaque(user)._withUnsafeGuaranteedRef { body($0) }
    }

    /// OpenSSL has a session for later connections: at the end of a handshake, or in TLS 1.3 whenever the server sends one.
    static func keep(_ session: OpaquePointer, of ssl: OpaquePointer) { with(ssl) { $0.keep(session) } }

    private func keep(_ session: OpaquePointer) {
        guard let sessionKey, let sessions = context?.sessions else { return }
        if isAccepted, let beginning { return sessions.add(session, for: sessionKey, since: beginning) }
        SSL_SESSION_up_ref(session)
        earlySessions.append(session)
    }

    private func dropEarlySessions() {
        for session in earlySessions { SSL_SESSION_free(session) }
        earlySessions = []
    }

    /// OpenSSL has produced a line for the key log.
    static func log(_ line: UnsafePointer<CChar>, of ssl: OpaquePointer) {
        with(ssl) { $0.context?.keyLog?.append(line) }
    }

    // MARK: - Handshake

    package enum HandshakeStep: Equatable { case done, wantsRead, wantsWrite, failed }

    /// Performs one step; call it again when the descriptor is ready for what it wants.
    package func handshake() -> HandshakeStep {
        ch2_ssl_clear_errors()
        let result = SSL_do_handshake(ssl)
        if result == 1 {
            isEstablished = true
            if SSL_session_reused(ssl) != 1 { beginning = TLSSessionCache.Beginning(time: time(nil)) }
            if !protocols.isEmpty, selectedProtocol == "h2", let suite = SSL_get_current_cipher(ssl),
                Self.isProhibited(suite, version: SSL_version(ssl))
            {
                failure = H2Error(
                    .tlsFailed, scope: .connection, initiator: .remote,
                    message: "the server chose h2 over \(cipher), which HTTP/2 prohibits (RFC 9113 section 9.2.2)",
                    remedy: "let it prefer suites with ECDHE and AES-GCM, or speak HTTP/1.1 alone")
            } else {
                failure = pinError()
            }
            guard failure == nil else {
                forgetSessions()
                return .failed
            }
            if context?.verifier == nil { accept() }
            return .done
        }
        let savedErrno = errno
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .wantsRead
        case SSL_ERROR_WANT_WRITE: return .wantsWrite
        default:
            isBroken = true
            failure = handshakeError(errno: savedErrno)
            forgetSessions()
            return .failed
        }
    }

    /// The outcome for the early data.
    package enum EarlyData: Sendable { case none, accepted, rejected }

    /// Writes early data; the first call comes after the ClientHello, which may also be sent alone. Writes all or
    /// nothing; after `wouldBlock` the next call needs the same bytes. To be called before `handshake`, with no more
    /// than `earlyDataLimit` bytes in total.
    package func writeEarly(_ bytes: UnsafeRawBufferPointer) -> WireResult {
        ch2_ssl_clear_errors()
        errno = 0
        var written = 0
        let result = SSL_write_early_data(ssl, bytes.baseAddress, bytes.count, &written)
        return result == 1 ? .bytes(written) : failed(result, "writing early data", errno: errno)
    }

    /// Known once the handshake is complete.
    package var earlyData: EarlyData {
        switch SSL_get_early_data_status(ssl) {
        case SSL_EARLY_DATA_ACCEPTED: .accepted
        case SSL_EARLY_DATA_REJECTED: .rejected
        default: .none
        }
    }

    /// Notes that the connection may be used, and its sessions resumed.
    func accept() {
        isAccepted = true
        for session in earlySessions { keep(session) }
        dropEarlySessions()
    }

    /// Removes the server's sessions after a failed handshake, so that they are not tried again.
    func forgetSessions() {
        dropEarlySessions()
        if let sessionKey { context?.sessions?.remove(for: sessionKey) }
    }

    /// Whether RFC 9113 Appendix A lists the suite: in TLS 1.2, all without ephemeral keys, AEAD or a certificate.
    static func isProhibited(_ suite: OpaquePointer, version: CInt) -> Bool {
        guard version < TLS1_3_VERSION else { return false }
        let exchange = SSL_CIPHER_get_kx_nid(suite)
        return SSL_CIPHER_is_aead(suite) != 1 || (exchange != NID_kx_ecdhe && exchange != NID_kx_dhe)
            || SSL_CIPHER_get_auth_nid(suite) == NID_auth_null
    }

    private func handshakeError(errno code: CInt) -> H2Error {
        let packed = ERR_get_error()
        let verdict = SSL_get_verify_result(ssl)
        if context?.verifiesPeer == true, verdict != Int(X509_V_OK) {
            return Self.rejection(H2Error.CertificateFault(verifyResult: verdict), Self.certificateRemedy(verdict))
        }
        if let fault {
            return Self.rejection(
                fault,
                fault.kind == .revoked
                    ? "the server needs a new certificate"
                    : "repair the server's stapling (or turn the check off: ConnectionConfiguration.TLS.stapling)")
        }
        if let error = certificateWanted(packed, code) { return error }
        if let carried = carrier?.failure { return carried }
        if packed == 0 {
            let reason = code == 0 ? "the server closed the connection" : describeErrno(code)
            return H2Error(
                .tlsFailed, scope: .connection, initiator: .remote, cause: .errno(code),
                message: "the TLS handshake failed: \(reason)", remedy: "is this a TLS port?")
        }
        let fault = H2Error.TLSFault(packed: packed)
        let text = fault.reason
        // The latter is OpenSSL's error if a server chose a protocol that was not offered, as Apache does.
        let isNoProtocol =
            text.containsBytes(of: "no application protocol")
            || protocols == ["h2"] && text.containsBytes(of: "bad extension")
        return H2Error(
            isNoProtocol && protocols.contains("h2") ? .http2NotNegotiated : .tlsFailed,
            scope: .connection, initiator: .remote, cause: .tls(fault), message: "the TLS handshake failed: \(text)",
            remedy: isNoProtocol ? noProtocolRemedy : "is this a TLS port, of TLS 1.2 or newer?")
    }

    /// If the server asked for a client certificate and then ended the connection, that is the likely reason: some servers send
    /// an alert, others just close. In TLS 1.3 this comes after our side of the handshake is done (RFC 8446 section 4.4.2.4),
    /// so the first read reports it.
    private func certificateWanted(_ packed: UInt, _ code: CInt) -> H2Error? {
        guard !hasRead, ch2_ssl_was_asked_for_certificate(ssl) else { return nil }
        let alert = ch2_ssl_alert_number(packed)
        let hasOurs = SSL_get_certificate(ssl) != nil
        // handshake_failure, certificate errors, unknown_ca, access_denied, certificate_required.
        let isAboutCertificates = [40, 42, 43, 44, 45, 46, 48, 49, 116].contains(alert)
        guard isAboutCertificates || !hasOurs && alert == 0 else { return nil }
        let reason =
            packed != 0 && !ch2_ssl_is_unexpected_eof(packed)
            ? Self.describe(packed) : code == 0 ? "it closed the connection" : describeErrno(code)
        // After the handshake, an end without an alert may have another reason, so the error's code is not changed.
        return H2Error(
            isAboutCertificates || !isEstablished ? .tlsFailed : .connectionClosed, scope: .connection,
            initiator: .remote, cause: packed == 0 ? .errno(code) : .openSSL(packed),
            message: hasOurs
                ? "the server did not accept our client certificate: \(reason)"
                : "the server asked for a client certificate, and has none from us: \(reason)",
            remedy: hasOurs
                ? "is it one that this server knows, and still valid?"
                : "name a certificate and its key (ConnectionConfiguration.TLS: identity, or certificateFile and privateKeyFile)"
        )
    }

    /// RFC 7301 section 3.2: the server ended the handshake because it supports none of the offered protocols.
    private var noProtocolRemedy: String {
        if protocols == ["h2"] {
            return "the server does not speak 'h2' here; an HTTPClient falls back to HTTP/1.1"
        }
        let offered = protocols.map { "'\($0)'" }
        return offered.count == 1
            ? "the server does not speak \(offered[0]) here"
            : "the server speaks none of \(offered.joined(separator: ", ")) here"
    }

    private static func certificateRemedy(_ verdict: Int) -> String {
        switch CInt(verdict) {
        case X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID:
            "renew it on the server, or check this machine's clock"
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            "use a name that stands in the certificate"
        case X509_V_ERR_CERT_REVOKED: "the server needs a new certificate"
        case X509_V_ERR_UNABLE_TO_GET_CRL, X509_V_ERR_CRL_HAS_EXPIRED, X509_V_ERR_CRL_NOT_YET_VALID:
            "name a current revocation list of each authority of the chain"
        default: "name its authority with a CA file, or turn verification off if you must"
        }
    }

    // MARK: - Facts

    /// The protocol that ALPN chose; nil if none.
    package var selectedProtocol: String? {
        var bytes: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &bytes, &length)
        guard let bytes, length > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: bytes, count: Int(length)), as: UTF8.self)
    }

    /// The server's response to our offer.
    package var protocolChoice: ProtocolChoice {
        guard let name = selectedProtocol else { return .nothing }
        // Not every version of OpenSSL verifies that it was offered.
        return protocols.contains(name) ? .chosen(name) : .unoffered(name.utf8.prefix(64).printable)
    }

    package var version: String { String(cString: SSL_get_version(ssl)) }
    package var cipher: String { String(cString: SSL_CIPHER_get_name(SSL_get_current_cipher(ssl))) }
    /// Whether the session was resumed from an earlier connection.
    package var isResumed: Bool { SSL_session_reused(ssl) == 1 }
    package var isPeerVerified: Bool { context?.verifiesPeer ?? false }

    package func isCertificateValid(for host: String) -> Bool {
        guard let context, context.verifiesPeer, isEstablished, SSL_get_verify_result(ssl) == Int(X509_V_OK),
            let certificate = ch2_ssl_peer_certificate(ssl)
        else { return false }
        defer { X509_free(certificate) }
        let name = Dialer.certificateName(host)
        if Resolver.isAddress(name) { return X509_check_ip_asc(certificate, name, 0) == 1 }
        // As `ch2_ssl_set_peer` does for the handshake: subject names do not count, and OpenSSL gives an empty name and one
        // with a leading dot a special meaning.
        guard !name.isEmpty, name.first != "." else { return false }
        let flags = UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)
        return X509_check_host(certificate, name, name.utf8.count, flags, nil) == 1
    }

    /// Subject, issuer and expiry date of the peer's certificate.
    package var peerCertificate: (subject: String, issuer: String, expiry: String)? {
        guard let certificate = ch2_ssl_peer_certificate(ssl) else { return nil }
        defer { X509_free(certificate) }
        return (
            PeerCertificates.text { ch2_print_name($0, X509_get_subject_name(certificate)) },
            PeerCertificates.text { ch2_print_name($0, X509_get_issuer_name(certificate)) },
            PeerCertificates.text { ASN1_TIME_print($0, X509_get0_notAfter(certificate)) }
        )
    }

    /// The peer's certificates in DER, its own first. Of a resumed session its own alone.
    var peerCertificates: [[UInt8]] {
        let chain = PeerCertificates(chain: SSL_get_peer_cert_chain(ssl)).encoded
        guard chain.isEmpty, let certificate = ch2_ssl_peer_certificate(ssl) else { return chain }
        defer { X509_free(certificate) }
        return PeerCertificates.encoded(certificate).map { [$0] } ?? []
    }

    // MARK: - Bytes

    package var hasBufferedInput: Bool {
        !isClosed && (SSL_has_pending(ssl) == 1 || carrier?.hasBufferedInput ?? false)
    }

    package var traffic: (received: Int, sent: Int) {
        if let carrier { return carrier.traffic }
        if isReleased { return lastTraffic }
        return (
            Int(truncatingIfNeeded: BIO_number_read(SSL_get_rbio(ssl))),
            Int(truncatingIfNeeded: BIO_number_written(SSL_get_wbio(ssl)))
        )
    }

    package func read(into buffer: UnsafeMutableRawBufferPointer) -> WireResult {
        ch2_ssl_clear_errors()
        errno = 0
        let count = SSL_read(ssl, buffer.baseAddress!, CInt(clamping: buffer.count))
        guard count > 0 else { return failed(count, "reading", errno: errno) }
        hasRead = true
        return .bytes(Int(count))
    }

    package func peek(into buffer: UnsafeMutableRawBufferPointer) -> WireResult {
        ch2_ssl_clear_errors()
        errno = 0
        let count = SSL_peek(ssl, buffer.baseAddress!, CInt(clamping: buffer.count))
        return count > 0 ? .bytes(Int(count)) : failed(count, "reading", errno: errno)
    }

    package func write(_ bytes: UnsafeRawBufferPointer) -> WireResult {
        ch2_ssl_clear_errors()
        let count = SSL_write(ssl, bytes.baseAddress!, CInt(clamping: bytes.count))
        return count > 0 ? .bytes(Int(count)) : failed(count, "writing", errno: errno)
    }

    private func failed(_ result: CInt, _ operation: String, errno code: CInt) -> WireResult {
        let kind = SSL_get_error(ssl, result)
        if kind != SSL_ERROR_WANT_READ, kind != SSL_ERROR_WANT_WRITE, let carried = carrier?.failure {
            isBroken = true
            failure = carried
            return .failed
        }
        switch kind {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .wouldBlock
        case SSL_ERROR_ZERO_RETURN:
            guard let error = certificateWanted(0, 0) else { return .end }
            failure = error
            return .failed
        case SSL_ERROR_SYSCALL:
            isBroken = true
            guard let error = certificateWanted(0, code) else { return fail(operation, errno: code) }
            failure = error
            return .failed
        default:
            isBroken = true
            let packed = ERR_get_error()
            if let error = certificateWanted(packed, code) {
                failure = error
                return .failed
            }
            let isTruncated = ch2_ssl_is_unexpected_eof(packed)
            failure = H2Error(
                .connectionClosed, scope: .connection, initiator: .remote,
                cause: .openSSL(packed),
                message: isTruncated
                    ? "the peer closed the connection without close_notify"
                    : "\(operation) TLS failed: \(Self.describe(packed))",
                remedy: "the connection is gone; connect anew")
            return .failed
        }
    }

    package override func finishWriting() {
        if !isClosed && isEstablished && !isBroken { SSL_shutdown(ssl) }
        super.finishWriting()
    }

    package func close() {
        guard !isClosed else { return }
        if isEstablished && !isBroken { SSL_shutdown(ssl) }
        // Sending close_notify allocated a 16 KiB buffer, and wires may still be held when thousands are closed at once.
        SSL_free_buffers(ssl)
        _ = closeDescriptor()
    }

    /// OpenSSL's reason, without its file and library names.
    static func describe(_ code: UInt) -> String {
        // OpenSSL has no text for system errors (ERR_SYSTEM_FLAG, a macro).
        if code & 0x8000_0000 != 0 { return describeErrno(CInt(truncatingIfNeeded: code & 0x7fff_ffff)) }
        guard let reason = ch2_error_reason(code) else { return "error \(code)" }
        return String(cString: reason)
    }
}

private func close_(_ descriptor: CInt) { _ = close(descriptor) }
