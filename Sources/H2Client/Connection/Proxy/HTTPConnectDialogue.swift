import HTTPTypes

/// CONNECT over HTTP/1.1 (RFC 9110 section 9.3.6).
final class HTTPConnectDialogue: TunnelDialogue {
    private let session: HTTP1Session
    private let stream = StreamState()
    private let proxy: HTTPClient.Proxy
    private let target: TunnelTarget
    private(set) var isOpen = false
    /// The values of `proxy-authenticate` after a 407; nil after any other response.
    private(set) var challenges: [String]?

    /// - Parameters:
    ///   - authorization: the value of `proxy-authorization`; nil for none.
    ///   - fields: the user's for the proxy.
    /// - Throws: `H2Error` (`invalidRequest`) for a host that cannot be named in a request.
    init(
        to target: TunnelTarget, through proxy: HTTPClient.Proxy, authorization: String?, fields: HTTPFields = [:],
        configuration: ConnectionConfiguration, now: UInt64
    ) throws(H2Error) {
        self.proxy = proxy
        self.target = target
        var configuration = configuration
        // HTTP/1.0 is for origins only.
        configuration.sendsHTTP10 = false
        session = HTTP1Session(
            origin: try Origin(scheme: .http, host: proxy.host, port: proxy.port), configuration: configuration,
            now: now)
        try session.submit(
            stream, Self.request(to: target, authorization: authorization, fields: fields), expectsContinue: false,
            priority: nil)
    }

    /// The request for a tunnel, for either version.
    static func request(to target: TunnelTarget, authorization: String?, fields: HTTPFields) -> HTTPRequest {
        var request = HTTPRequest(
            method: .connect, scheme: nil, authority: target.authority, path: nil, headerFields: fields)
        if let authorization, fields[.proxyAuthorization] == nil {
            request.headerFields[.proxyAuthorization] = authorization
        }
        return request
    }

    var outputBytes: UnsafeRawBufferPointer { session.outputBytes }
    func outputTaken(_ count: Int, now: UInt64) { session.outputTaken(count, now: now) }

    func receive(_ bytes: UnsafeRawBufferPointer, now: UInt64) throws(H2Error) -> Int {
        let before = stream.bytesReceived
        session.receive(bytes, now: now)
        session.tellTouched()
        stream.informational = []
        if case .failed(let error) = stream.phase { throw misunderstood(error) }
        guard stream.status != 0 else {
            if let failure = session.failure { throw misunderstood(failure) }
            return bytes.count
        }
        guard (200..<300).contains(stream.status) else {
            if stream.status == 407 { challenges = Self.challenges(stream.head.fields) }
            throw Self.refusal(
                stream.status, String(decoding: stream.head.reasonPhrase.prefix(100), as: UTF8.self), by: proxy,
                of: target)
        }
        // The session treats the bytes after the head as the response's body.
        isOpen = true
        let dialogue = stream.isOver ? stream.bytesReceived - before : bytes.count - stream.bodyReceived
        stream.body = []
        return dialogue
    }

    static func challenges(_ fields: HTTPFields) -> [String] { fields[values: .proxyAuthenticate] }

    private func misunderstood(_ error: any Error) -> H2Error {
        let cause = error as? H2Error
        return H2Error(
            .proxyFailed, scope: .connection, initiator: .remote,
            message: "the answer of the proxy \(proxy) cannot be used: \(cause?.message ?? "\(error)")",
            remedy: "is it an HTTP proxy?")
    }

    /// The error for a final response that does not open a tunnel.
    static func refusal(_ status: Int, _ reason: String, by proxy: HTTPClient.Proxy, of target: TunnelTarget) -> H2Error
    {
        let words = reason.utf8.printable
        let (remedy, isTemporary) =
            switch status {
            case 407 where proxy.user == nil:
                ("the proxy wants a password: name a user and a password in the proxy's URL", false)
            case 407: ("the proxy does not accept these credentials: check the user name and the password", false)
            case 400, 404, 405, 501: ("is it an HTTP proxy, and does it allow CONNECT?", false)
            case 401, 403: ("the proxy does not allow this: may it connect to that host and port?", false)
            case 429, 500, 502, 503, 504:
                ("the proxy cannot reach the host: is the name right, and the server up? its log may say why", true)
            default: ("the proxy's log may say why", false)
            }
        return H2Error(
            .proxyFailed, scope: .connection, initiator: .remote,
            message:
                "the proxy \(proxy) opened no tunnel to \(target.authority): \(status)\(words.isEmpty ? "" : " ")\(words)",
            remedy: remedy, isRetryable: isTemporary)
    }
}
