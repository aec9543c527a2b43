import HTTPTypes

/// The redirects of one request, and the rules for the next one (RFC 9110 section 15.4).
struct RedirectChain {
    /// A request that was sent.
    private struct Visit: Equatable {
        let method: HTTPRequest.Method
        let url: String
        let cookies: [String]

        init(_ request: HTTPRequest, _ target: RequestTarget) {
            method = request.method
            url = target.url
            cookies = request.headerFields[values: .cookie]
        }
    }

    private let policy: HTTPClient.RedirectPolicy
    /// The fragment of the last URL that had one.
    private var fragment: String?
    private var visits: [Visit] = []
    private(set) var followed: [HTTPClient.Redirect] = []

    /// - Parameter fragment: the fragment of the request's own URL.
    init(_ policy: HTTPClient.RedirectPolicy, fragment: String?) {
        self.policy = policy
        self.fragment = fragment
    }

    /// Whether a response with this status may be a redirect.
    static func isRedirect(_ status: HTTPResponse.Status) -> Bool {
        switch status.code {
        case 301, 302, 303, 307, 308: true
        default: false
        }
    }

    /// Remembers a request as it is sent.
    /// - Throws: `H2Error` (`redirectRefused`) if the same request was sent before.
    mutating func visit(_ request: HTTPRequest) throws(H2Error) {
        let visit = Visit(request, try RequestTarget(of: request))
        if !policy.allowsCycles, visits.contains(visit), let last = followed.last {
            throw refusal(
                last.source, last.status, "to \(visit.url), which leads back here",
                "the server may expect a cookie (Configuration.cookies); or allow it (RedirectPolicy.allowsCycles)")
        }
        visits.append(visit)
    }

    /// The redirect in a response; nil if the response is not a redirect.
    /// - Parameters:
    ///   - request: the request that it answers, as its caller wrote it.
    ///   - strictTransport: knows which `http` URLs become `https`.
    /// - Throws: `H2Error` (`redirectRefused`).
    func redirect(
        _ status: HTTPResponse.Status, _ headerFields: HTTPFields, to request: HTTPRequest,
        _ strictTransport: StrictTransportStore? = nil
    ) throws(H2Error) -> HTTPClient.Redirect? {
        guard Self.isRedirect(status), let location = headerFields[values: .location].first else { return nil }
        let source = try RequestTarget(of: request)
        let reference: URLReference
        do throws(H2Error) {
            reference = try URLReference(location, from: source)
        } catch {
            throw refusal(
                source.url, status, "to a URL that cannot be used (\(error.message))",
                "turn redirects off to get the response itself")
        }
        let target =
            strictTransport?.upgraded(reference.target, now: ConnectionPool.wallTime) ?? reference.target
        guard followed.count < policy.limit else {
            throw refusal(
                source.url, status, "once more, after \(policy.limit) redirects",
                "does it lead in a circle? if not, allow more (RedirectPolicy.limit)")
        }
        guard policy.allowsDowngrade || source.origin.scheme == .http || target.origin.scheme == .https else {
            throw refusal(
                source.url, status, "to \(target.url), which is not encrypted",
                "use its https URL if it has one, or allow it (RedirectPolicy.allowsDowngrade)")
        }
        let method = nextMethod(after: status, request.method)
        let keepsBody =
            method == request.method
            && (status != .seeOther || policy.methodKeepingStatuses.contains(status))
        var fields = request.headerFields
        // Only some callers set it; the request's authority says the same.
        if let host = Self.host { fields[host] = nil }
        if !keepsBody { for name in Self.contentFields { fields[name] = nil } }
        if source.origin != target.origin, !policy.sendsCredentialsElsewhere {
            for name in Self.credentialFields { fields[name] = nil }
        }
        return HTTPClient.Redirect(
            status: status, headerFields: headerFields, source: source.url,
            target: target.url + ((reference.fragment ?? fragment).map { "#" + $0 } ?? ""),
            request: try target.request(method, headerFields: fields), keepsBody: keepsBody)
    }

    /// Adds a redirect that will be followed.
    mutating func follow(_ redirect: HTTPClient.Redirect) {
        if let hash = redirect.target.utf8.firstIndex(of: UInt8(ascii: "#")) {
            fragment = String(redirect.target[redirect.target.utf8.index(after: hash)...])
        }
        followed.append(redirect)
    }

    private func nextMethod(after status: HTTPResponse.Status, _ method: HTTPRequest.Method) -> HTTPRequest.Method {
        switch status.code {
        case 301, 302: method == .post && !policy.methodKeepingStatuses.contains(status) ? .get : method
        case 303: method == .head || policy.methodKeepingStatuses.contains(status) ? method : .get
        default: method
        }
    }

    private func refusal(
        _ source: String, _ status: HTTPResponse.Status, _ why: String, _ remedy: String
    ) -> H2Error {
        H2Error(
            .redirectRefused, initiator: .remote, message: "\(source) redirects (\(status.code)) \(why)",
            remedy: remedy)
    }

    /// Fields that describe a body that is not sent again (RFC 9110 section 15.4).
    private static let contentFields =
        [
            .contentEncoding, .contentLanguage, .contentLocation, .contentType, .contentLength, .contentRange, .expect,
            .transferEncoding, .trailer,
        ] + ["digest", "content-digest", "repr-digest"].compactMap { HTTPField.Name($0) }

    private static let host = HTTPField.Name("host")

    /// Fields that only the origin for which the caller wrote them may see.
    private static let credentialFields: [HTTPField.Name] = [.authorization, .cookie, .proxyAuthorization]
}
