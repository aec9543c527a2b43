import Foundation
import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@testable import h2get

private let url = "https://localhost/"

private func settings(_ arguments: String...) throws -> FetchSettings {
    try FetchSettings(try parsed(.fetch, arguments + [url]))
}

/// The error of a command line that is refused.
private func refusal(_ arguments: [String]) -> String {
    do {
        _ = try FetchSettings(try parsed(.fetch, arguments + [url]))
        return "no refusal"
    } catch {
        return (error as? Failure).map { "\($0.status.rawValue) \($0.message)" } ?? "\(error)"
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct RequestBodyTests {
    @Test func `--json sets both media types, which -H replaces`() throws {
        let plain = try settings("--json", "{}")
        #expect(plain.fields[.contentType] == "application/json" && plain.fields[.accept] == "application/json")
        #expect(plain.method == .post && plain.body == .bytes(Array("{}".utf8)))
        let changed = try settings("--json", "{}", "-H", "Accept:", "-H", "Content-Type: application/problem+json")
        #expect(changed.fields[.contentType] == "application/problem+json" && changed.fields[.accept] == nil)
    }

    @Test func `An empty piece of data needs no separator`() throws {
        #expect(try settings("-d", "", "-d", "a").body == .bytes([UInt8(ascii: "a")]))
        #expect(try settings("-d", "").body == .bytes([]))
    }

    @Test(
        arguments: [
            ("/", "a=1", "/?a=1"), ("/?", "a", "/?a"), ("/?x", "a", "/?x&a"), ("/?x&", "a", "/?x&a"),
            ("/", "a b#c\u{e9}", "/?a%20b%23c%C3%A9"),
        ])
    func `A query is added to what the URL has`(_ path: String, _ query: String, _ expected: String) {
        #expect(FetchSettings.path(path, withQuery: Array(query.utf8)) == expected)
    }

    @Test func `-G and --url-query can be given together, and none of both is lost`() throws {
        let both = try settings("-G", "-d", "a", "--url-query", "b=c d")
        #expect(both.method == .get && both.body == .none)
        #expect(String(decoding: both.query, as: UTF8.self) == "a&b=c+d")
        #expect(try settings("-G", "-I", "-d", "a").method == .head)
    }

    @Test(
        arguments: [
            (["-F", "a=b", "-d", "c"], "2 -F and -d are two kinds"), (["-F", "a=b", "-T", "f"], "2 -F (a POST)"),
            (["-G", "-F", "a=b"], "2 -G sends no body"), (["-G", "-T", "f"], "2 -G sends no body"),
            (["-G", "--json", "1"], "2 --json is a body"), (["-I", "-d", "a"], "-G puts -d into the query"),
            (["-I", "-F", "a=b"], "2 -I asks without a body"), (["--form-escape"], "2 --form-escape is about"),
            (["-F", "a=b", "--trailer", "x: y"], "2 a form cannot have a --trailer"),
            (["-F", "a=b", "-H", "Content-Type:"], "2 a form needs its content-type"),
            (["-F", "secret"], "2 -F: there is no '='"), (["-F", "=secret"], "2 -F: there is no '='"),
            (["--form-string", "secret"], "2 --form-string: there is no '='"),
            (["-F", "a=1", "-F", "b=secret;x"], "2 -F number 2: a ';' is followed by neither"),
            (["-F", "a=b;headers=X: secret"], "RFC 7578 section 4.8"), (["-F", "a=b;encoder=base64"], "section 4.7"),
            (["-F", "a=(;type=x/y"], "use --form-string"), (["-F", "a=b;type=secret"], "no media type"),
            (["-F", "a=\"b\"secret"], "text after the closing quote"), (["-F", "a=@"], "no file name after '@'"),
            (["-F", "a=@-", "-d", "@-"], "2 -F and -d"), (["-F", "a=@-", "-F", "b=<-"], "both read stdin"),
            (["-d", "@-", "--data-urlencode", "a@-"], "both read stdin"),
            (["--url-query", "@-", "--json", "@-"], "both read stdin"),
            (["-F", "a=@/nonexistent/file"], "26 cannot read /nonexistent/file"),
            (["--data-urlencode", "@/nonexistent/file"], "26 cannot read"), (["-F", "a=@/"], "26 / is a folder"),
            (["-e", "http://r/;auto"], "write -e URL without ;auto"), (["-e", "a\u{1}b"], "2 -e: a control character"),
        ] as [([String], String)])
    func `A body that makes no sense is refused before anything is sent`(_ arguments: [String], _ message: String) {
        let refusal = refusal(arguments)
        #expect(refusal.contains(message), "\(refusal)")
        #expect(!refusal.contains("secret"))
    }

    @Test func `Several files of one name are parts of one name`() throws {
        let folder = try TemporaryFolder()
        let (one, two) = (try folder.write("1", to: "one"), try folder.write("2", to: "two.txt"))
        let form = try settings("-F", "a=@\(one),\(two);type=x/y;filename=z", "-F", "b= c ").body
        #expect(
            form
                == .form([
                    FormPart(name: "a", content: .file(one), fileName: "one", contentType: nil),
                    FormPart(name: "a", content: .file(two), fileName: "z", contentType: "x/y"),
                    FormPart(name: "b", content: .bytes([UInt8(ascii: "c")]), fileName: nil, contentType: nil),
                ]))
    }

    @Test func `A form with a large file has a length, and goes to each URL`() async throws {
        let served = try Served { configuration in
            configuration.routes["/length"] = { request in
                .init(text: "\(request.headerFields[.contentLength].flatMap(Int.init) == request.body.count)\n")
            }
        }
        try Served.pattern(300_000).write(to: URL(fileURLWithPath: served.folder.path("file")))
        let result = try await served.get("-F", "a=@file", "-F", "b=c", served.url("/length"), served.url("/length"))
        #expect(result.text == "true\ntrue\n", "\(result.errors)")
    }

    @Test func `A form from stdin is kept for each URL`() async throws {
        let served = try Served { configuration in
            configuration.routes["/body"] = { .init(text: String(decoding: $0.body, as: UTF8.self)) }
        }
        let result = try await served.get(
            ["-F", "a=@-;filename=x", served.url("/body"), served.url("/body")], input: Data("content".utf8))
        #expect(result.text.matches(of: /filename="x"\r\n.*\r\n\r\ncontent\r\n/).count == 2, "\(result.text)")
    }
}
