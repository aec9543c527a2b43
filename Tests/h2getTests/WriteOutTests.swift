import Foundation
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

@testable import h2get

/// The format of -w.
@Suite(.inTurn) struct WriteOutFormatTests {
    private static func pieces(_ format: String) -> [WriteOut.Piece] { WriteOut(Array(format.utf8)).pieces }

    private static func text(_ text: String) -> WriteOut.Piece { .text(Array(text.utf8)) }

    @Test func `Text and escapes are one piece`() {
        #expect(Self.pieces(#"a\n\r\t%%\q%x\"#) == [Self.text("a\n\r\t%\\q%x\\")])
        #expect(Self.pieces("") == [])
        #expect(Self.pieces("50%") == [Self.text("50%")])
    }

    @Test func `Variables, fields, files and times are pieces of their own`() {
        #expect(
            Self.pieces("%{http_code} %{json}%{header_json}%{onerror}%{stderr}%{stdout}") == [
                .variable(.httpCode), Self.text(" "), .json, .headerJSON, .onError, .target(.standardError),
                .target(.standardOutput),
            ])
        #expect(
            Self.pieces("%output{a b}%output{>>c}") == [
                .target(.file("a b", appends: false)), .target(.file("c", appends: true)),
            ])
        #expect(Self.pieces("%time{%Y}") == [.time(Array("%Y".utf8))])
        #expect(
            Self.pieces(#"%header{ETag}%header{a:all:, }%header{a:all:\}\n}"#) == [
                .header(name: "ETag", separator: nil), .header(name: "a", separator: Array(", ".utf8)),
                .header(name: "a", separator: Array("}\n".utf8)),
            ])
    }

    @Test(arguments: ["%{http_code", "%header{a", "%time{%Y", "%output{a"])
    func `A brace without its end is text`(_ format: String) {
        #expect(Self.pieces(format) == [Self.text(format)])
    }

    @Test func `Variables that do not exist are noted, and are no pieces`() {
        let format = WriteOut(Array("a%{nope}b%{}".utf8))
        #expect(format.pieces == [Self.text("ab")])
        #expect(format.unknown == ["nope", ""])
    }

    @Test func `Whether stdout may be written to follows the targets`() {
        func writes(_ format: String) -> Bool { WriteOut(Array(format.utf8)).writesToStandardOutput }
        #expect(writes("a"))
        #expect(!writes("%{stderr}a"))
        #expect(writes("%{stderr}a%{stdout}b"))
        #expect(!writes("%{onerror}"))
    }

    @Test func `Times are in UTC, with %f and %s, whatever the time zone is`() {
        let now = timespec(tv_sec: 1_577_934_245, tv_nsec: 42_000)
        func text(_ format: String) -> String {
            String(decoding: WriteOut.time(Array(format.utf8), at: now), as: UTF8.self)
        }
        #expect(text("%Y-%m-%dT%H:%M:%S.%f%z %Z") == "2020-01-02T03:04:05.000042+0000 UTC")
        #expect(text("%s %a %b %%") == "1577934245 Thu Jan %")
        #expect(text("") == "")
    }

    @Test func `The variables are in the order of their names, as those of curl's JSON`() {
        let names = WriteOutVariable.allCases.map(\.rawValue)
        #expect(names == names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
    }
}

/// -w of the binary.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct WriteOutTests {
    /// The lines of stdout.
    private static func lines(_ result: Program.Result) -> [String] {
        result.text.split(separator: "\n").map(String.init)
    }

    @Test func `The text follows the body, with the values of its transfer`() async throws {
        let served = try Served()
        let format =
            #"\n%{http_code} %{response_code} %{http_version} %{method} %{scheme} %{size_download} %{urlnum} %{exitcode} "#
            + #"%{num_retries} %{num_redirects} %{proxy_used} %{http_connect} %{ssl_verify_result} %{url.host} %{url.port} "#
            + #"%{url.path} %{url.query}|%{errormsg}|%{filename_effective}|\n"#
        let result = try await served.get("-w", format, served.url("/bytes/7?a=b"))
        #expect(result.status == 0, "\(result.errors)")
        let expected =
            "\n200 200 2 GET https 7 0 0 0 0 0 000 0 localhost \(served.origin.port) /bytes/7 a=b|||\n"
        #expect(result.output == Served.pattern(7) + Data(expected.utf8))
    }

    @Test func `Each body is followed by its text, in the order of the URLs, and failures have theirs`() async throws {
        let served = try Served()
        let result = try await served.get(
            "-f", "-w", #"[%{http_code} %{exitcode}%{onerror} %{errormsg}]\n"#, served.url("/delay/200"),
            served.url("/status/404"), served.url("/bytes/0"), "https://localhost:\(try closedPort())/",
            served.url("/delay/50"))
        #expect(result.status == 22)
        let lines = Self.lines(result)
        try #require(lines.count == 5, "\(result.text)")
        #expect(lines[0] == "ok")
        #expect(lines[1] == "[200 0[404 22 the server answered 404; leave out -f to see its body]")
        #expect(lines[2].hasPrefix("[200 0[000 7 cannot connect"))
        #expect(lines[3] == "ok")
    }

    @Test func `Text about files is not written into a body on stdout`() async throws {
        let served = try Served()
        var arguments = ["-w", "#%{filename_effective}#", "-o", "-"]
        var urls = [served.url("/drip?bytes=1000&chunk=100&interval=30")]
        for index in 1...20 {
            arguments += ["-o", "f\(index)"]
            urls.append(served.url("/bytes/\(index)"))
        }
        let result = try await served.get(arguments + urls)
        #expect(result.status == 0, "\(result.errors)")
        let body = try #require(result.output.firstRange(of: Served.pattern(1000)))
        var rest = result.output
        rest.removeSubrange(body)
        let names = String(decoding: rest, as: UTF8.self).split(separator: "#").map(String.init)
        #expect(names.sorted() == (1...20).map { "f\($0)" }.sorted())
    }

    @Test func `A thousand transfers on one connection have a line each, whole`() async throws {
        let served = try Served()
        let list = String(repeating: served.url("/bytes/10") + "\n", count: 1000)
        try served.folder.write(list, to: "list")
        let result = try await served.get(
            "--input-file", "list", "-o", "/dev/null", "-w",
            #"%{num_connects} %{reused} %{size_download} %{conn_id}\n%output{>>log}%{urlnum}\n"#)
        #expect(result.status == 0, "\(result.errors)")
        let lines = Self.lines(result)
        #expect(lines.count == 1000)
        #expect(lines.filter { $0.hasPrefix("1 0 10 ") }.count == 1)
        #expect(lines.filter { $0.hasPrefix("0 1 10 ") }.count == 999)
        let numbers = try served.folder.read("log").split(separator: "\n").compactMap { Int($0) }
        #expect(numbers.sorted() == Array(0..<1000))
    }

    @Test func `The JSON has all variables with their types`() async throws {
        let served = try Served()
        let result = try await served.get("-o", "f", "-w", "%{json}", served.url("/bytes/7"))
        let object = try #require(try JSONSerialization.jsonObject(with: result.output) as? [String: Any])
        #expect(Set(object.keys) == Set(WriteOutVariable.allCases.map(\.rawValue) + ["h2get_version"]))
        #expect(object["http_code"] as? Int == 200)
        #expect(object["http_version"] as? String == "2")
        #expect(object["filename_effective"] as? String == "f")
        #expect(object["errormsg"] is NSNull)
        #expect(object["remote_port"] as? Int == served.origin.port)
        let times = ["time_queue", "time_namelookup", "time_connect", "time_appconnect", "time_pretransfer"]
        let values = (times + ["time_starttransfer", "time_total"]).compactMap { object[$0] as? Double }
        try #require(values.count == 7)
        #expect(values == values.sorted(), "\(values)")
        #expect(values[3] > 0)
    }

    @Test func `Header fields are there by name, all of a name, and as JSON`() async throws {
        let served = try Served {
            $0.routes["/fields"] = { _ in
                var fields = HTTPFields()
                fields.append(HTTPField(name: HTTPField.Name("x-a")!, value: "1"))
                fields.append(HTTPField(name: HTTPField.Name("x-q")!, value: "say \"hi\""))
                fields.append(HTTPField(name: HTTPField.Name("x-a")!, value: "2"))
                return .init(headerFields: fields, body: [])
            }
        }
        let result = try await served.get(
            "-w", #"%header{X-A} %header{x-a:all:;} %header{none}|%{header_json}"#, served.url("/fields"))
        #expect(result.text.hasPrefix("1 1;2 |{"), "\(result.text)")
        let json = result.output.dropFirst("1 1;2 |".utf8.count)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json)) as? [String: [String]])
        #expect(object["x-a"] == ["1", "2"])
        #expect(object["x-q"] == ["say \"hi\""])
    }

    @Test func `A redirect that is not followed is told, resolved against the URL`() async throws {
        let served = try Served {
            $0.routes["/a/b"] = { _ in .init(status: .found, headerFields: [.location: "../c?d#e"], body: []) }
        }
        let result = try await served.get("-w", "%{redirect_url}", served.url("/a/b"))
        #expect(result.text == served.url("/c?d#e"))
    }

    @Test func `Text goes to stderr, stdout and files`() async throws {
        let served = try Served()
        try served.folder.write("old content", to: "new")
        try served.folder.write("old\n", to: "log")
        let result = try await served.get(
            "-s", "-o", "/dev/null", "-w", #"a%{stderr}b%output{new}c%{stdout}d%output{>>log}e"#, served.url("/bytes/1")
        )
        #expect(result.status == 0)
        #expect(result.text == "ad")
        #expect(result.errors == "b")
        #expect(try served.folder.read("new") == "c")
        #expect(try served.folder.read("log") == "old\ne")
    }

    @Test func `A file that cannot be written is told once, and its text goes where the text before went`() async throws
    {
        let served = try Served()
        let result = try await served.get(
            "-o", "/dev/null", "-o", "/dev/null", "-w", #"%output{missing/x}a"#, served.url("/bytes/1"),
            served.url("/bytes/2"))
        #expect(result.status == 0)
        #expect(result.text == "aa")
        #expect(result.errors.split(separator: "\n").filter { $0.contains("missing/x") }.count == 1)
    }

    @Test func `A stdout that takes no text is told, and changes no result`() async throws {
        let served = try Served()
        let result = try await served.get(
            ["-o", "f", "-w", "text", served.url("/bytes/1")], output: "/dev/full")
        #expect(result.status == 0)
        #expect(result.errors.contains("-w and -D are not written"))
        #expect(try served.folder.data("f") == Served.pattern(1))
    }

    @Test func `Variables that do not exist are told once`() async throws {
        let served = try Served()
        let result = try await served.get(
            "-o", "/dev/null", "-o", "/dev/null", "-w", "<%{nope}>", served.url("/bytes/1"), served.url("/bytes/2"))
        #expect(result.status == 0)
        #expect(result.text == "<><>")
        #expect(result.errors.split(separator: "\n").count == 1)
        #expect(result.errors.contains("unknown variable of -w: 'nope'"))
    }

    @Test func `The format is read from a file or stdin, without its line ends`() async throws {
        let served = try Served()
        try served.folder.write("%{http_code}\n\\n\r\n", to: "format")
        let fromFile = try await served.get("-o", "/dev/null", "-w", "@format", served.url("/bytes/1"))
        #expect(fromFile.text == "200\n")
        let fromInput = try await served.get(
            ["-o", "/dev/null", "-w", "@-", served.url("/bytes/1")], input: Data("%{urlnum}".utf8))
        #expect(fromInput.text == "0")
        let missing = try await served.get("-w", "@missing", served.url("/bytes/1"))
        #expect(missing.status == 26)
        #expect(missing.output.isEmpty)
        let twice = try await served.get("-w", "@-", "-d", "@-", served.url("/bytes/1"))
        #expect(twice.status == 2)
        #expect(twice.errors.contains("both read stdin"))
    }

    @Test func `Uploads are counted`() async throws {
        let served = try Served()
        let result = try await served.get(
            ["-T", "-", "-o", "/dev/null", "-w", "%{size_upload} %{method}", served.url("/upload")],
            input: Data(count: 12_345))
        #expect(result.text == "12345 PUT")
        let data = try await served.get("-d", "abc", "-o", "/dev/null", "-w", "%{size_upload}", served.url("/upload"))
        #expect(data.text == "3")
    }
}
