import CNghttp2

extension H2Error.CertificateFault {
    /// - Parameter result: the result of OpenSSL's verification (X509_V_ERR_...); it must be a failure.
    init(verifyResult result: Int) {
        kind =
            switch CInt(truncatingIfNeeded: result) {
            case X509_V_ERR_CERT_NOT_YET_VALID: .notYetValid
            case X509_V_ERR_CERT_HAS_EXPIRED: .expired
            case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_EMAIL_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH: .wrongHost
            case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
                X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
                X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_CERT_UNTRUSTED:
                .unknownAuthority
            case X509_V_ERR_CERT_REVOKED: .revoked
            case X509_V_ERR_UNABLE_TO_GET_CRL, X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE,
                X509_V_ERR_CRL_SIGNATURE_FAILURE, X509_V_ERR_CRL_NOT_YET_VALID, X509_V_ERR_CRL_HAS_EXPIRED,
                X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD, X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD,
                X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, X509_V_ERR_KEYUSAGE_NO_CRL_SIGN,
                X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION, X509_V_ERR_DIFFERENT_CRL_SCOPE,
                X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
                .unknownRevocation
            default: .other
            }
        reason = String(cString: X509_verify_cert_error_string(result))
    }
}

extension H2Error.TLSFault {
    /// - Parameter packed: an error from OpenSSL's queue.
    init(packed: UInt) {
        let number = ch2_ssl_alert_number(packed)
        alert = number > 0 ? UInt8(exactly: number) : nil
        reason = TLSWire.describe(packed)
    }
}

extension H2Error.Cause {
    /// - Parameter packed: an error from OpenSSL's queue; 0 if there was none.
    static func openSSL(_ packed: UInt) -> H2Error.Cause {
        packed == 0 ? .unknown : .tls(H2Error.TLSFault(packed: packed))
    }
}
