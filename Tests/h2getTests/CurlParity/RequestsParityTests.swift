import Foundation
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// Bodies, queries, URLs and configuration files: the same command line with h2get and with curl.
@Suite(.inTurn, .timeLimit(.minutes(5)), .enabled(if: CurlParity.hasCurl)) struct RequestsParityTests {
    /// A line of arguments in which URL stands for the server's.
    struct Row: Sendable, CustomTestStringConvertible {
        let arguments: [String]

        init(_ arguments: String...) { self.arguments = arguments }

        var testDescription: String { arguments.joined(separator: " ") }
    }

    /// A request as text: its method, target and those fields that options change, then its body.
    private static func describe(_ request: OriginServer.Request) -> OriginServer.Response {
        var text = "\(request.method.rawValue) \(request.path)?\(request.query ?? "-")\n"
        for name in ["content-type", "accept", "referer", "content-length"] {
            for field in request.headerFields where field.name.canonicalName == name {
                text += "\(name): \(field.value)\n"
            }
        }
        return .init(text: withoutBoundaries(text + String(decoding: request.body, as: UTF8.self)))
    }

    /// Boundaries are random, and their lengths differ.
    private static func withoutBoundaries(_ text: String) -> String {
        guard text.contains("boundary=") else { return text }
        return text.replacing(/content-length: [0-9]+\n/, with: "").replacing(/[A-Za-z0-9-]{40,}/, with: "BOUNDARY")
    }

    /// - Parameter config: the text of a file named config.
    private func expectSame(_ row: Row, config: String? = nil) async throws {
        let served = try Served { $0.routes["/tell"] = Self.describe }
        let url = served.url("")
        var files = ["f": "one\r\ntwo & three\n", "g.txt": "x=1", "a,b.html": "<p>"]
        files["config"] = config?.replacing("URL", with: url)
        try await CurlParity(served, files: files).expectSame(
            row.arguments.map {
                $0.replacing("URL", with: url).replacing("HOST", with: "localhost:\(served.origin.port)")
            })
    }

    @Test(arguments: [
        Row("-0", "URL/version"), Row("--http1.0", "-d", "a=1", "URL/version"), Row("-0", "-T", "f", "URL/version"),
        Row("-0", "URL/version", "URL/version"), Row("-0", "-F", "a=b", "URL/version"), Row("-0", "-I", "URL/version"),
    ])
    func `HTTP 1_0 is curl's`(_ row: Row) async throws {
        // A server that tells the request line, and closes.
        try await ScriptedHTTP1Server.run(script: { request in
            [.send("HTTP/1.0 200 OK\r\n\r\n\(request.method == "HEAD" ? "" : request.requestLine)\n"), .close]
        }) { server in
            let served = try Served { $0.security = .cleartext }
            try await CurlParity(served, files: ["f": "one\n"]).expectSame(
                row.arguments.map { $0.replacing("URL", with: "http://localhost:\(server.port)") })
        }
    }

    @Test(arguments: [
        Row("-d", "a=1", "-d", "b=2", "URL/tell"), Row("--data-raw", "@f", "URL/tell"),
        Row("--data-ascii", "@f", "URL/tell"), Row("--data-binary", "@f", "--data-ascii", "x", "URL/tell"),
        Row("--data-urlencode", "a b=c&d é", "URL/tell"), Row("--data-urlencode", "=x=y", "URL/tell"),
        Row("--data-urlencode", "@f", "URL/tell"), Row("--data-urlencode", "n@f", "URL/tell"),
        Row("--data-urlencode", "plain ~-._/", "-d", "q", "URL/tell"), Row("--data-urlencode", "", "URL/tell"),
        Row("--json", "{\"a\":", "--json", "1}", "-d", "x", "URL/tell"), Row("--json", "@f", "URL/tell"),
        Row("--json", "[]", "-H", "Accept: x", "-H", "content-type: y", "URL/tell"),
        Row("--json", "[]", "-X", "PATCH", "URL/tell"),
        Row("-e", "http://r/", "URL/tell"), Row("--referer", "", "URL/tell"),
        Row("-e", "http://r/", "-H", "Referer: b", "URL/tell"),
    ])
    func `Data is curl's`(_ row: Row) async throws { try await expectSame(row) }

    @Test(arguments: [
        Row("-G", "-d", "a=1", "--data-urlencode", "b=c d", "URL/tell?z"), Row("-G", "-d", "a=1", "URL/tell?"),
        Row("-G", "-d", "a=1", "URL/tell#part"), Row("-G", "URL/tell"), Row("-I", "-G", "-d", "a=b", "URL/tell"),
        Row("--url-query", "a=b c", "--url-query", "+d%20e", "URL/tell"),
        Row("--url-query", "a", "-d", "body", "URL/tell#part"), Row("--url-query", "=x&y", "URL/tell?1"),
    ])
    func `Queries are curl's`(_ row: Row) async throws { try await expectSame(row) }

    @Test(arguments: [
        Row("-F", "a=b", "-F", "c= x ;type=text/plain; charset=x", "-F", "d=\"q;\\\"uo\"", "URL/tell"),
        Row("-F", "a=@f", "-F", "b=@g.txt;filename=\"x\\\"y\\\\z\";type=a/b", "URL/tell"),
        Row("-F", "a=<f", "-F", "b=<g.txt;type=q/r", "-F", "c=\"open", "URL/tell"),
        Row("-F", "d=@\"a,b.html\"", "URL/tell"), Row("-F", "d\"\\=x", "URL/tell"),
        Row("--form-escape", "-F", "d\"\\=x", "URL/tell"), Row("--form-string", "d=@f;type=x", "-F", "e=f", "URL/tell"),
        Row("-F", "a=b", "-H", "content-type: multipart/form-data; x=y", "URL/tell"),
        Row("-F", "a=@f", "URL/tell", "URL/tell"),
        Row("-F", "x", "URL/tell"), Row("-F", "a=@missing", "URL/tell"), Row("-F", "a=b", "-d", "c", "URL/tell"),
        Row("-F", "a=b", "-T", "f", "URL/tell"), Row("-F", "a=b", "-I", "URL/tell"),
    ])
    func `Forms are curl's`(_ row: Row) async throws { try await expectSame(row) }

    @Test(arguments: [
        Row("URL/bytes/[1-3]"), Row("-o", "#1-#2", "URL/bytes/{2,3}?[a-c:2]"), Row("-o", "n#1", "URL/bytes/[08-10]"),
        Row("-o", "#1", "-o", "x", "URL/bytes/[1-2]", "URL/bytes/3"), Row("-o", "#2", "URL/bytes/{5}"),
        Row("--url", "URL/bytes/2", "URL/bytes/3"), Row("URL/bytes/1", "--url", "URL/bytes/2"),
        Row("-g", "URL/tell?[1-2]"), Row("URL/tell?\\[1-2\\]"), Row("-O", "URL/bytes/[4-4]"),
        Row("URL/bytes/[3-1]"), Row("URL/bytes/{1,2"), Row("URL/bytes/[1-z]"), Row("URL/bytes/{}"),
        Row("--request-target", "/tell?a", "URL/x"), Row("-X", "OPTIONS", "--request-target", "*", "URL/x"),
    ])
    func `Ranges and lists are curl's`(_ row: Row) async throws { try await expectSame(row) }

    @Test(arguments: [
        Row("--proto-default", "https", "HOST/tell"), Row("--proto", "=https", "URL/tell"),
        Row("--proto", "-https", "URL/tell"), Row("--proto", "=http", "URL/tell"),
        Row("--proto", "=http,https", "URL/tell"),
        Row("foo://HOST/"), Row("HOST/tell", "--proto-default", "https", "--proto", "=http"),
        Row("http://"), Row("--proto", "-all,https", "URL/tell"),
    ])
    func `Schemes are curl's`(_ row: Row) async throws { try await expectSame(row) }

    @Test(arguments: [
        "url = \"URL/tell\"\ndata = \"a b\"\n", "url: URL/tell\n-d x\n--data y\n# data = z\n  data=v\n",
        "url = URL/tell\ndata = \"q\\\"t\\\\ \\t\"\nsilent\n", "data = \"\"\nurl = \"URL/tell?[1-2]\"\n",
        "url = URL/tell\r\ndata = a\r\n",
        "nope\n", "-G\n-d a\nurl = URL/tell",
        "url = URL/bytes/3\noutput = file\n",
    ])
    func `Configuration files are curl's`(_ text: String) async throws {
        try await expectSame(Row("-K", "config"), config: text)
    }

    @Test func `A configuration file counts where it is named, as with curl`() async throws {
        try await expectSame(Row("-X", "A", "-K", "config", "URL/tell"), config: "request = B\n")
        try await expectSame(Row("-K", "config", "-X", "A", "URL/tell"), config: "request = B\n")
    }
}
