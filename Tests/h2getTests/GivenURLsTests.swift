import Foundation
import H2Client
import H2ClientTesting
import H2TestSupport
import Testing

@testable import h2get

private func settings(_ arguments: String...) throws -> FetchSettings {
    try FetchSettings(try parsed(.fetch, arguments))
}

/// The error of a command line that is refused.
private func refusal(_ arguments: [String]) -> String {
    do {
        _ = try FetchSettings(try parsed(.fetch, arguments))
        return "no refusal"
    } catch {
        return (error as? Failure).map { "\($0.status.rawValue) \($0.message)" } ?? "\(error)"
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct GivenURLsTests {
    @Test func `URLs keep their order, with --url or without, and ranges are expanded where they stand`() throws {
        let urls = try settings("http://a/[1-2]", "--url", "http://b/", "http://c/{x,y}", "--url=http://d/").urls
        #expect(Array(urls) == ["http://a/1", "http://a/2", "http://b/", "http://c/x", "http://c/y", "http://d/"])
        #expect(urls.indices.map { urls.argument(ofURLAt: $0).argument } == [0, 0, 1, 2, 2, 3])
        #expect(urls.argument(ofURLAt: 7).argument == 5 && urls.start(ofArgument: 5) == 7)
    }

    @Test func `-g takes URLs as they are`() throws {
        #expect(Array(try settings("-g", "http://a/[1-2]{x").urls) == ["http://a/[1-2]{x"])
    }

    @Test func `A million URLs take no memory`() throws {
        let settings = try settings("-o", "#1/#2", "http://a/[1-1000000]/[1-1000000]")
        #expect(settings.urls.count == 1_000_000_000_000)
        #expect(settings.placement.destination(ofURLAt: 999_999_999_999) == .file("1000000/1000000"))
    }

    @Test(
        arguments: [
            ("#1-#2.txt", 0, "a-01.txt"), ("#1-#2.txt", 3, "b-02.txt"), ("#2#2", 1, "0202"), ("#3", 0, "#3"),
            ("#", 0, "#"), ("#0#x#1", 2, "#0#xb"), ("##1", 2, "#b"),
            ("#99999999999999999999", 0, "#99999999999999999999"),
        ])
    func `#1 in a name is what the URL has there`(_ name: String, _ index: Int, _ expected: String) throws {
        let urls = try GivenURLs(globs: ["http://h/{a,b}/[01-02]"])
        #expect(urls.name(name, forURLAt: index) == expected)
        #expect(GivenURLs(["http://h/"]).name(name, forURLAt: 0) == name)
    }

    @Test func `Bodies on stdout are counted over ranges`() throws {
        let placement = try settings("-o", "-", "-o", "f", "http://h/[1-3]", "http://h/4", "http://h/[5-6]").placement
        #expect((0...6).map { placement.standardOutputCount(ofFirst: $0) } == [0, 1, 2, 3, 3, 4, 5])
        #expect(!placement.isAllStandardOutput(from: 2) && placement.isAllStandardOutput(from: 4))
        let list = try settings("http://h/[1-3]", "--url", "@list").placement
        #expect(list.standardOutputCount(ofFirst: 2) == 2 && list.standardOutputCount(ofFirst: .max) == 3)
        #expect(list.destination(ofURLAt: 2) == .standardOutput && list.destination(ofURLAt: 3) == .remoteName)
        let named = try settings("-o", "f", "--input-file", "list").placement
        #expect(named.standardOutputCount(ofFirst: .max) == .max - 1)
    }

    @Test(
        arguments: [
            (["http://h/[1-"], "3 'http://h/[1-' has '[' without ']', at character 10"),
            (["http://h/[1-"], "or give -g"),
            (["http://h/{a,b"], "3 "),
            (["-o", "f", "http://h/[1-2]"], "2 -o f names one file for several bodies; put #1"),
            (["-o", "#2", "http://h/[1-2]/{a,b}"], "put #1 into it"),
            (["-o", "f", "-o", "f", "http://h/1", "http://h/2"], "given twice"),
            (["http://h/[0-9223372036854775806]", "http://h/[0-1]"], "3 the URLs are more than can be counted"),
            (["--url", "@a", "--url", "@b"], "2 one list of URLs"),
            (["--url", "@a", "--input-file", "b"], "2 one list"),
            (["--url", "@"], "names no file"), (["--url", "@-", "-d", "@-"], "2 --url @- and -d @- both read stdin"),
            (["--proto", "=gohper", "u"], "'gohper' is not a protocol"),
            (["--proto", "-all", "u"], "2 --proto allows neither"),
            (["--proto", "=ftp", "u"], "2 --proto allows neither"),
            (["--proto-default", "ftp", "u"], "write http or https"),
            (["--request-target", "a", "u"], "2 'a' is not a target"), (["--request-target", "*", "u"], "-X OPTIONS"),
            (["--request-target", "/a b", "u"], "is not a target"),
            (["--request-target", "/a#b", "u"], "is not a target"),
            (["--request-target", "/a", "-G", "-d", "b", "u"], "2 --request-target replaces the query"),
            (["--no-parallel", "--parallel-max", "2", "u"], "2 --no-parallel is --parallel-max 1"),
        ] as [([String], String)])
    func `URLs that make no sense are refused`(_ arguments: [String], _ message: String) {
        let refusal = refusal(arguments)
        #expect(refusal.contains(message), "\(refusal)")
    }

    @Test func `-T by position goes with the URL's argument`() async throws {
        let served = try Served()
        try served.folder.write("one", to: "1")
        try served.folder.write("two", to: "2")
        let result = try await served.get("-T", "1", "-T", "2", served.url("/echo?[1-2]"), served.url("/echo"))
        #expect(result.text == "oneonetwo", "\(result.errors)")
    }

    @Test func `--no-parallel runs one transfer after the other`() throws {
        #expect(try settings("--no-parallel", "u").parallelMaximum == 1)
        #expect(try settings("-Z", "u").parallelMaximum == 100)
        #expect(try settings("-Z", "--parallel-max", "7", "u").parallelMaximum == 7)
    }

    @Test func `--url @FILE is a list whose bodies become files`() async throws {
        let served = try Served()
        try served.folder.write("# list\n\(served.url("/bytes/3"))\n", to: "list")
        let result = try await served.get("--url", "@list", served.url("/bytes/2"))
        #expect(result.output == Served.pattern(2), "\(result.errors)")
        #expect(try served.folder.data("3") == Served.pattern(3))
    }

    @Test func `A list's URLs are not expanded`() async throws {
        let served = try Served()
        try served.folder.write(served.url("/headers?{a,b}\n"), to: "list")
        let result = try await served.get("--input-file", "list")
        #expect(result.text.contains(":path: /headers?{a,b}\n"), "\(result.text)\(result.errors)")
    }

    @Test func `--request-target takes the place of the path`() async throws {
        let served = try Served()
        let result = try await served.get("--request-target", "/headers?x", served.url("/other"))
        #expect(result.text.contains(":path: /headers?x\n"), "\(result.errors)")
    }
}

@Suite(.inTurn) struct URLSchemesTests {
    @Test(
        arguments: [
            ("localhost:8080/x", "http://localhost:8080/x"), ("h/x?u=https://y", "http://h/x?u=https://y"),
            ("HTTP://h/", "HTTP://h/"), ("ftp.h/x", "ftp://ftp.h/x"), ("me:pw@FTP.h", "ftp://me:pw@FTP.h"),
            ("ftpx.h", "http://ftpx.h"), ("[::1]:80/", "http://[::1]:80/"), ("foo://h", "foo://h"),
            ("xn--ls8h.h", "http://xn--ls8h.h"), ("", "http://"),
        ])
    func `A URL without a scheme is completed as curl does it`(_ url: String, _ expected: String) {
        #expect(URLSchemes().completed(url) == expected)
    }

    @Test func `--proto-default is the scheme of URLs without one, whatever their host`() throws {
        let schemes = try settings("--proto-default", "https", "u").schemes
        #expect(schemes.completed("ftp.h") == "https://ftp.h" && schemes.completed("http://h") == "http://h")
    }

    @Test(
        arguments: [
            ("=https", ["https"]), ("https", ["http", "https"]), ("-http", ["https"]),
            ("=http,https", ["http", "https"]),
            ("=https,=http", ["http"]), ("-all,https", ["https"]), ("all,-https", ["http"]),
            ("-ftp", ["http", "https"]),
        ])
    func `--proto is curl's list`(_ list: String, _ expected: [String]) throws {
        #expect(try settings("--proto", list, "u").schemes.allowed.map(\.rawValue).sorted() == expected)
    }

    @Test(
        arguments: [
            (["ftp.localhost/x"], 1, "is taken for ftp"), (["ftp://localhost/"], 1, "http and https only"),
            (["--proto", "=https", "http://localhost/"], 1, "--proto does not allow http"),
            (["--proto", "=https", "localhost"], 1, "the scheme of a URL without one"),
            (["https:/localhost/"], 3, "no scheme"), (["http://"], 3, "no host"),
            (["me:secret@bad host/x"], 3, "the host has a character"),
        ] as [([String], Int32, String)])
    func `A URL that is not fetched says why`(_ arguments: [String], _ status: Int32, _ message: String) async throws {
        let result = try await Program.run(["-q"] + arguments)
        #expect(result.status == status && result.errors.contains(message), "\(result.errors)")
        #expect(!result.errors.contains("secret"), "\(result.errors)")
    }
}
