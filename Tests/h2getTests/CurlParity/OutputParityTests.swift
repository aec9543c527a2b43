import Foundation
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// The same command line with curl and with h2get: the same bytes on stdout and in files, and the same exit code.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct OutputParityTests {
    struct Row: Sendable, CustomTestStringConvertible {
        /// Words for the shell, in which `$U` is the server's URL.
        let words: String
        /// Runs before it in the same folder.
        var before = ""

        var testDescription: String { words }
    }

    private static func served() throws -> Served {
        try Served {
            $0.security = .cleartext
            $0.routes["/named"] = { _ in
                let field = HTTPField(
                    name: HTTPField.Name("content-disposition")!, value: "attachment; filename=\"report.txt\"")
                return .init(headerFields: HTTPFields([field]), body: Array("abc".utf8))
            }
            $0.routes["/asked"] = { request in
                let names: [HTTPField.Name] = [.range, .ifModifiedSince, .ifUnmodifiedSince, .ifNoneMatch]
                let lines = names.compactMap { name in request.headerFields[name].map { "\(name): \($0)\n" } }
                return .init(body: Array(lines.joined().utf8))
            }
            $0.routes["/tagged"] = { _ in .init(headerFields: [.eTag: "\"v\""], body: Array("abc".utf8)) }
            $0.routes["/unchanged"] = { _ in
                .init(status: .notModified, headerFields: [.eTag: "\"v\""], body: [])
            }
            $0.routes["/dated"] = { _ in
                .init(headerFields: [.lastModified: "Thu, 02 Jan 2020 03:04:05 GMT"], body: Array("abc".utf8))
            }
            $0.routes["/redirect"] = { _ in .init(status: .found, headerFields: [.location: "/bytes/3?x"], body: []) }
        }
    }

    /// Runs both, each in a folder of its own, and compares what they leave.
    private static func check(_ row: Row) async throws {
        let served = try served()
        let folder = served.folder
        guard try await Program.runShell("command -v curl", in: folder.root) == 0 else {
            return try RealServer.skip("curl is not installed")
        }
        for (name, tool) in [("curl", "curl -q"), ("h2get", "'\(Program.path)'")] {
            let script = """
                U=http://127.0.0.1:\(served.origin.port)
                mkdir -p \(name) && cd \(name)
                \(row.before)
                \(tool) -s \(row.words) > ../\(name).out 2> ../\(name).errors < /dev/null
                """
            let status = try await Program.runShell(script, in: folder.root)
            try folder.write("\(status)", to: "\(name).status")
        }
        let errors = try folder.read("h2get.errors")
        #expect(try folder.read("h2get.status") == folder.read("curl.status"), "\(errors)")
        let (ours, theirs) = (try folder.data("h2get.out"), try folder.data("curl.out"))
        #expect(ours == theirs, "\(String(decoding: ours, as: UTF8.self)) \(String(decoding: theirs, as: UTF8.self))")
        #expect(
            try await Program.runShell("diff -r curl h2get > difference", in: folder.root) == 0,
            "\((try? folder.read("difference")) ?? "")")
    }

    private static let writeOut: [Row] = [
        Row(words: "-w '%{http_code}' $U/bytes/3"),
        Row(words: #"-w '%{response_code} %{http_version} %{method} %{content_type}\n' $U/headers -o /dev/null"#),
        Row(words: #"-w '%{size_download} %{size_header} %{num_headers}\n' -o f $U/bytes/300"#),
        Row(words: #"-w '%{size_upload} %{urlnum}\t%{exitcode}\r\n' -d abc $U/upload"#),
        Row(words: #"-w '%{num_connects} %{num_redirects} %{remote_ip} %{http_connect}' $U/bytes/1"#),
        Row(words: #"-w '%{ssl_verify_result} %{urlnum}' $U/bytes/1"#),
        Row(words: #"-w '%{filename_effective} %{url} %{url_effective}' -o f $U/bytes/3"#),
        Row(words: #"-w '%{redirect_url}\n' $U/redirect"#),
        Row(words: #"-w '%{onerror}%{exitcode}' $U/bytes/1"#),
        Row(words: #"-f -w '%{onerror}%{http_code} %{exitcode} %{size_download}' $U/status/404"#),
        Row(words: #"-w '%{http_code} %{exitcode} %{http_version} [%{remote_ip}] %{size_header}' http://127.0.0.1:1/"#),
        Row(words: #"-w '%header{Content-Length} %header{none}|%{header_json}' $U/bytes/3"#),
        Row(words: #"-w 'a%%b%c\q%{http_code' $U/bytes/1"#),
        Row(words: #"-w '%' $U/bytes/1"#),
        Row(words: #"-w '\' $U/bytes/1"#),
        Row(words: #"-w '%{nope}' $U/bytes/1"#),
        Row(words: "-w '' $U/bytes/1"),
        Row(words: "-w @format $U/bytes/1", before: #"printf '%%{http_code}\\n\n\r\nx' > format"#),
        Row(words: "-I -w '%{method} %{size_download}' -o f $U/bytes/9"),
    ]

    private static let files: [Row] = [
        Row(words: "-D h -o f $U/bytes/3"),
        Row(words: "-D h $U/bytes/3"),
        Row(words: "-D - $U/bytes/3"),
        Row(words: "-D - -o f $U/bytes/3"),
        Row(words: "-D h -f $U/status/404"),
        Row(words: "--fail-with-body -o f $U/status/404"),
        Row(words: "--fail-with-body $U/status/500"),
        Row(words: "--fail-with-body $U/bytes/3"),
        Row(words: "-f --fail-with-body $U/bytes/3"),
        Row(words: "--max-filesize 2 -o f $U/bytes/3"),
        Row(words: "--max-filesize 3 -o f $U/bytes/3"),
        Row(words: "--max-filesize 1K -o f $U/bytes/1025"),
        Row(words: "-O --no-clobber $U/bytes/3", before: "echo a > 3; echo b > 3.1"),
        Row(words: "-o f --no-clobber $U/bytes/3"),
        Row(words: "-O --no-clobber $U/bytes/3", before: "echo a > 3; for i in $(seq 100); do echo > 3.$i; done"),
        Row(words: "-J -O $U/named"),
        Row(words: "-J -O $U/named", before: "echo mine > report.txt"),
        Row(words: "-J -O $U/bytes/3"),
        Row(words: "-J -O -i $U/named"),
        Row(words: "--remote-name-all $U/bytes/3 $U/bytes/4"),
        Row(words: "-N $U/bytes/3"),
        Row(words: "--remove-on-error -o f $U/bytes/3"),
        Row(words: "-R -o f $U/bytes/3"),
        Row(words: "-R -o f $U/dated && stat -c %Y f"),
        Row(words: "--stderr log -o f $U/bytes/3"),
    ]

    private static let conditions: [Row] = [
        Row(words: "-r 0-4 $U/asked"),
        Row(words: "-r 5 $U/asked"),
        Row(words: "-r -5 -o f $U/bytes/9"),
        Row(words: "-z '2 Jan 2020' $U/asked"),
        Row(words: "-z '-Thu, 02 Jan 2020 03:04:05 GMT' $U/asked"),
        Row(words: "-z f $U/asked", before: "touch -d @1577934245 f"),
        Row(words: "-z 'Thu, 02 Jan 2020 03:04:05 GMT' -o f $U/dated"),
        Row(words: "-z 'Thu, 02 Jan 2020 03:04:06 GMT' $U/dated"),
        Row(words: "-z 'Thu, 02 Jan 2020 03:04:04 GMT' -o f $U/dated"),
        Row(words: "-z '-Thu, 02 Jan 2020 03:04:05 GMT' $U/dated"),
        Row(words: "-i -z 'Thu, 02 Jan 2020 03:04:05 GMT' -o f $U/dated"),
        Row(words: "--etag-compare t $U/asked", before: "printf '\\042v\\042\\n' > t"),
        Row(words: "--etag-save t -o f $U/tagged"),
        Row(words: "--etag-compare t --etag-save t -o f $U/unchanged", before: "echo '\"v\"' > t; echo mine > f"),
    ]

    @Test(arguments: conditions) func `Parts and conditions are curl's`(_ row: Row) async throws {
        try await Self.check(row)
    }

    @Test(arguments: files) func `Files, heads and failures are curl's`(_ row: Row) async throws {
        try await Self.check(row)
    }

    @Test(arguments: writeOut) func `-w writes what curl writes`(_ row: Row) async throws { try await Self.check(row) }
}
