import Foundation
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@testable import h2get

/// Parts of files, and files only if they changed.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct ConditionTests {
    /// `/file` answers 304 to its tag or to a date that is not before its own; `/old` ignores conditions.
    private static func served() throws -> Served {
        try Served {
            let time = "Thu, 02 Jan 2020 03:04:05 GMT"
            let fields: HTTPFields = [.eTag: "\"v1\"", .lastModified: time]
            $0.routes["/file"] = { request in
                let asked = request.headerFields
                let isSame = asked[.ifNoneMatch] == "\"v1\"" || asked[.ifModifiedSince] == time
                return isSame
                    ? .init(status: .notModified, headerFields: fields, body: [])
                    : .init(headerFields: fields, body: Array("abc".utf8))
            }
            $0.routes["/old"] = { _ in .init(headerFields: fields, body: Array("abc".utf8)) }
            $0.routes["/asked"] = { request in
                let names: [HTTPField.Name] = [.range, .ifModifiedSince, .ifUnmodifiedSince, .ifNoneMatch]
                let lines = names.compactMap { name in
                    request.headerFields[name].map { "\(name.canonicalName): \($0)\n" }
                }
                return .init(body: Array(lines.joined().utf8))
            }
        }
    }

    @Test(arguments: [
        (["-r", "0-4"], "range: bytes=0-4\n"), (["-r", "10"], "range: bytes=10-\n"),
        (["-r", "-5"], "range: bytes=-5\n"),
        (["-r", "0-1,4-"], "range: bytes=0-1,4-\n"), (["-r", "0-4", "-H", "Range: bytes=1-2"], "range: bytes=1-2\n"),
        (["-z", "2020-01-02 03:04:05"], "if-modified-since: Thu, 02 Jan 2020 03:04:05 GMT\n"),
        (["-z", "-2 Jan 2020"], "if-unmodified-since: Thu, 02 Jan 2020 00:00:00 GMT\n"),
        (["--etag-compare", "missing"], "if-none-match: \"\"\n"),
    ]) func `The request asks for the part or the change`(_ arguments: [String], _ fields: String) async throws {
        let served = try Self.served()
        let asked = try await served.get(arguments + [served.url("/asked")])
        #expect(asked.text == fields, "\(asked.errors)")
    }

    @Test func `A tag that was saved is compared, and a file that did not change stays`() async throws {
        let served = try Self.served()
        let first = try await served.get("--etag-save", "tag", "-o", "f", served.url("/file"))
        #expect(first.status == 0, "\(first.errors)")
        #expect(try served.folder.read("tag") == "\"v1\"\n")
        try served.folder.write("mine", to: "f")
        let second = try await served.get(
            "--etag-compare", "tag", "--etag-save", "tag", "-o", "f", "-w", "%{http_code}", served.url("/file"))
        #expect(second.status == 0, "\(second.errors)")
        #expect(second.text == "304")
        #expect(try served.folder.read("f") == "mine")
        #expect(try served.folder.read("tag") == "\"v1\"\n")
        try served.folder.write("\"v0\"\n", to: "tag")
        let third = try await served.get("--etag-compare", "tag", "-o", "f", served.url("/file"))
        #expect(third.status == 0)
        #expect(try served.folder.read("f") == "abc")
    }

    @Test func `A failed transfer saves no tag, and one without a tag an empty file`() async throws {
        let served = try Self.served()
        let failed = try await served.get("--etag-save", "tag", "-f", served.url("/status/404"))
        #expect(failed.status == 22)
        #expect(served.files.isEmpty)
        let without = try await served.get("--etag-save", "tag", "-o", "f", served.url("/bytes/3"))
        #expect(without.status == 0)
        #expect(try served.folder.read("tag") == "")
    }

    @Test func `-z leaves a file alone that did not change, also if the server ignores it`() async throws {
        let served = try Self.served()
        for path in ["/file", "/old"] {
            let result = try await served.get("-z", "Thu, 02 Jan 2020 03:04:05 GMT", "-o", "f", served.url(path))
            #expect(result.status == 0, "\(result.errors)")
            #expect(served.files.isEmpty)
        }
        let newer = try await served.get("-z", "2020-01-01", "-o", "f", served.url("/old"))
        #expect(newer.status == 0)
        #expect(try served.folder.read("f") == "abc")
        // The file's own time is later.
        let again = try await served.get("-z", "f", served.url("/old"))
        #expect(again.status == 0)
        #expect(again.output.isEmpty)
    }

    @Test func `-i shows the head of a response that is not wanted`() async throws {
        let served = try Self.served()
        let result = try await served.get("-i", "-H", "If-None-Match: \"v1\"", served.url("/file"))
        #expect(result.text.hasPrefix("HTTP/2 304 \r\n") && result.text.hasSuffix("\r\n\r\n"))
    }

    @Test(arguments: [
        ("Thu, 02 Jan 2020 03:04:05 GMT", 1_577_934_245), ("2020-01-02", 1_577_923_200),
        ("2020-01-02T03:04:05Z", 1_577_934_245), ("2020-01-02 03:04", 1_577_934_240), ("2 Jan 2020", 1_577_923_200),
        ("02 Jan 2020 03:04:05 UTC", 1_577_934_245), ("yesterday", nil), ("2020-13-01", nil), ("2020-02-30", nil),
        ("1 Jan", nil), ("", nil),
    ]) func `Dates of -z are read in UTC`(_ text: String, _ seconds: Int?) {
        #expect(TimeCondition.date(text) == seconds)
    }

    @Test(arguments: [
        (["-r", ""], "write 0-499"), (["-r", "a-b"], "write 0-499"), (["-r", "-"], "write 0-499"),
        (["-r", "1-2,"], "write 0-499"), (["-r", "1-2-3"], "write 0-499"), (["-r", "0-1", "-T", "f"], "leave one out"),
        (["-z", "yesterday"], "no file"), (["-z", ""], "no file"), (["-z", "-"], "no file"),
        (["--etag-save", ""], "names no file"), (["--etag-save", "f", "-o", "f"], "another name"),
        (["--etag-save", "f", "https://localhost/"], "just one"),
        (["--etag-compare", "f", "--input-file", "-"], "just one"),
    ]) func `A value without sense is refused with what to do instead`(
        _ arguments: [String], _ remedy: String
    ) async throws {
        let served = try Self.served()
        let result = try await served.get(arguments + [served.url("/bytes/3")])
        #expect(result.status == 2)
        #expect(result.errors.contains(remedy), "\(result.errors)")
        #expect(result.output.isEmpty && served.files.isEmpty)
        #expect(served.origin.statistics.requests == 0)
    }
}
