public import H2Client

extension H2Error {
    /// Why the peer's certificate was rejected; nil if another cause ended the request.
    public var certificateFault: CertificateFault.Kind? {
        if case .certificate(let fault) = cause { fault.kind } else { nil }
    }
}
