import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// The rules for redirects, without a client.
@Suite(.inTurn) struct RedirectChainTests {
    private func request(
        _ url: String, _ method: HTTPRequest.Method = .get, _ fields: HTTPFields = [:]
    ) throws -> HTTPRequest {
        try HTTPRequest(method, url: url, headerFields: fields)
    }

    private func redirect(
        _ status: Int = 302, to location: String?, of request: HTTPRequest,
        _ policy: HTTPClient.RedirectPolicy = HTTPClient.RedirectPolicy()
    ) throws -> HTTPClient.Redirect? {
        var fields = HTTPFields()
        fields[.location] = location
        return try RedirectChain(policy, fragment: nil)
            .redirect(HTTPResponse.Status(code: status), fields, to: request)
    }

    private func refusal(
        _ status: Int = 302, to location: String, of request: HTTPRequest,
        _ policy: HTTPClient.RedirectPolicy = HTTPClient.RedirectPolicy()
    ) -> H2Error? {
        let error = #expect(throws: H2Error.self) { _ = try redirect(status, to: location, of: request, policy) }
        #expect(error?.code == .redirectRefused)
        return error
    }

    @Test(arguments: [
        (301, "GET", "GET", false), (301, "POST", "GET", false), (301, "HEAD", "HEAD", false),
        (301, "PUT", "PUT", true),
        (302, "POST", "GET", false), (302, "DELETE", "DELETE", true),
        (303, "GET", "GET", false), (303, "POST", "GET", false), (303, "PUT", "GET", false),
        (303, "HEAD", "HEAD", false),
        (303, "DELETE", "GET", false),
        (307, "POST", "POST", true), (307, "PUT", "PUT", true), (308, "POST", "POST", true),
        (308, "HEAD", "HEAD", true),
    ])
    func `Status and method say what follows`(
        _ status: Int, _ method: String, _ next: String, _ keepsBody: Bool
    ) throws {
        let request = try request("https://a.test/", #require(HTTPRequest.Method(method)), [.contentType: "text/plain"])
        let redirect = try #require(try redirect(status, to: "/next", of: request))
        #expect(redirect.request.method.rawValue == next)
        #expect(redirect.target == "https://a.test/next" && redirect.source == "https://a.test/")
        // GET and HEAD have no body; whether it "stays" makes no difference to them.
        if !["GET", "HEAD"].contains(method) { #expect(redirect.keepsBody == keepsBody) }
        if method != next { #expect(redirect.request.headerFields[.contentType] == nil) }
        if status >= 307 { #expect(redirect.request.headerFields[.contentType] == "text/plain") }
    }

    @Test(arguments: [301, 302, 303]) func `POST stays POST after the statuses that the policy names`(
        _ status: Int
    ) throws {
        let policy = HTTPClient.RedirectPolicy(methodKeepingStatuses: [HTTPResponse.Status(code: status)])
        let redirect = try #require(
            try redirect(status, to: "/next", of: try request("https://a.test/", .post), policy))
        #expect(redirect.request.method == .post)
        #expect(redirect.keepsBody)
    }

    @Test(arguments: [200, 201, 300, 304, 305, 306, 399, 404]) func `Other statuses are no redirects`(
        _ status: Int
    ) throws {
        #expect(try redirect(status, to: "/next", of: try request("https://a.test/")) == nil)
    }

    @Test func `Without a location it is a response like others`() throws {
        #expect(try redirect(302, to: nil, of: try request("https://a.test/")) == nil)
    }

    @Test(arguments: [
        ("https://a.test/other", true), ("https://A.TEST:443/other", true), ("/other", true), ("//a.test/x", true),
        ("https://b.test/", false), ("https://a.test:8443/", false), ("//b.test/", false),
        ("https://sub.a.test/", false), ("https://a.test.evil.test/", false),
    ])
    func `Credentials stay with their origin`(_ location: String, _ stay: Bool) throws {
        let secret: HTTPFields = [
            .authorization: "Basic c2VjcmV0", .cookie: "id=1", .proxyAuthorization: "Basic eA==", .accept: "*/*",
        ]
        let redirect = try #require(
            try redirect(302, to: location, of: try request("https://a.test/", .get, secret)))
        let fields = redirect.request.headerFields
        #expect((fields[.authorization] != nil) == stay)
        #expect((fields[.cookie] != nil) == stay)
        #expect((fields[.proxyAuthorization] != nil) == stay)
        #expect(fields[.accept] == "*/*")
        let trusting = HTTPClient.RedirectPolicy(sendsCredentialsElsewhere: true)
        let trusted = try self.redirect(302, to: location, of: try request("https://a.test/", .get, secret), trusting)
        #expect(trusted?.request.headerFields[.authorization] == "Basic c2VjcmV0")
    }

    @Test func `A host field does not follow`() throws {
        let host = try #require(HTTPField.Name("host"))
        let redirect = try redirect(
            302, to: "https://b.test/", of: try request("https://a.test/", .get, [host: "a.test"]))
        #expect(redirect?.request.headerFields[host] == nil)
        #expect(redirect?.request.authority == "b.test")
    }

    @Test func `A user name of the location becomes credentials, and is not shown`() throws {
        let redirect = try #require(
            try redirect(302, to: "https://me:secret@b.test/", of: try request("https://a.test/")))
        #expect(redirect.request.headerFields[.authorization] == "Basic bWU6c2VjcmV0")
        #expect(redirect.target == "https://b.test/")
    }

    @Test func `The encryption is not given up unless that is allowed`() throws {
        let secure = try request("https://a.test/")
        let error = refusal(to: "http://a.test/", of: secure)
        #expect(error?.message == "https://a.test/ redirects (302) to http://a.test/, which is not encrypted")
        let allowing = HTTPClient.RedirectPolicy(allowsDowngrade: true)
        #expect(try redirect(to: "http://a.test/", of: secure, allowing)?.target == "http://a.test/")
        #expect(try redirect(to: "https://a.test/", of: try request("http://a.test/"))?.target == "https://a.test/")
    }

    @Test(arguments: [
        "ftp://a.test/", "file:///etc/passwd", "mailto:me@a.test", "javascript:alert(1)", "https://", "http://[::1",
        "https://a.test:99999/", "https://a b.test/", "https:///x", "https://a.test\\@b.test/",
    ])
    func `A location that cannot be used is an error that says so`(_ location: String) throws {
        let error = refusal(to: location, of: try request("https://a.test/from"))
        #expect(error?.message.hasPrefix("https://a.test/from redirects (302) to a URL that cannot be used") == true)
        #expect(error?.remedy.isEmpty == false)
    }

    @Test func `A password in a location that cannot be used is not shown`() throws {
        let error = refusal(to: "ftp://me:secret@a.test/", of: try request("https://a.test/"))
        #expect(error?.description.contains("secret") == false)
    }

    @Test func `Fragments are inherited along the chain`() throws {
        var chain = RedirectChain(HTTPClient.RedirectPolicy(), fragment: "first")
        let start = try request("https://a.test/")
        let one = try #require(try chain.redirect(.found, [.location: "/one"], to: start))
        #expect(one.target == "https://a.test/one#first")
        chain.follow(one)
        let two = try #require(try chain.redirect(.found, [.location: "/two#own"], to: one.request))
        #expect(two.target == "https://a.test/two#own")
        chain.follow(two)
        let three = try #require(try chain.redirect(.found, [.location: "?q"], to: two.request))
        #expect(three.target == "https://a.test/two?q#own")
        #expect(three.request.path == "/two?q")
    }

    @Test func `One more than the limit is an error`() throws {
        var chain = RedirectChain(HTTPClient.RedirectPolicy(limit: 2), fragment: nil)
        var request = try request("https://a.test/0")
        for number in 1...2 {
            let next = try #require(try chain.redirect(.found, [.location: "/\(number)"], to: request))
            chain.follow(next)
            request = next.request
        }
        let error = #expect(throws: H2Error.self) {
            _ = try chain.redirect(.found, [.location: "/3"], to: request)
        }
        #expect(error?.message == "https://a.test/2 redirects (302) once more, after 2 redirects")
    }

    @Test func `The same request twice is a circle unless its cookies differ`() throws {
        func circle(_ policy: HTTPClient.RedirectPolicy, cookie: String?) throws {
            var chain = RedirectChain(policy, fragment: nil)
            let start = try request("https://a.test/")
            try chain.visit(start)
            chain.follow(try #require(try chain.redirect(.found, [.location: "/"], to: start)))
            var again = start
            again.headerFields[.cookie] = cookie
            try chain.visit(again)
        }
        let error = #expect(throws: H2Error.self) { try circle(HTTPClient.RedirectPolicy(), cookie: nil) }
        #expect(error?.code == .redirectRefused)
        #expect(error?.message.contains("leads back here") == true)
        try circle(HTTPClient.RedirectPolicy(), cookie: "seen=1")
        try circle(HTTPClient.RedirectPolicy(allowsCycles: true), cookie: nil)
    }
}
