import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@testable import h2get

/// --json-lines, the closing line, and why transfers were slow.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct JSONLinesTests {
    /// Prints a line for what is wrong with each line of a document.
    private static let validator = """
        import json, sys, jsonschema
        schema = json.load(open(sys.argv[1]))
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for line in open(sys.argv[2]):
            errors = [error.json_path + ": " + error.message[:200] for error in validator.iter_errors(json.loads(line))]
            print("; ".join(errors) or "valid")
        """

    private static var schema: String {
        "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/docs/json-lines.schema.json"
    }

    /// The objects of a file, which must match the schema.
    private func objects(_ served: Served, _ name: String) async throws -> [[String: Any]] {
        let lines = try served.folder.read(name).split(separator: "\n")
        let python = "/usr/bin/python3"
        if try await Program.run(program: python, ["-c", "import jsonschema"]).status == 0 {
            let judged = try await Program.run(
                program: python, ["-c", Self.validator, Self.schema, served.folder.path(name)])
            #expect(judged.text == String(repeating: "valid\n", count: lines.count), "\(judged.text)\(judged.errors)")
        }
        return try lines.map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    private func member<Value>(_ object: [String: Any], _ path: String) throws -> Value {
        var value: Any = object
        for name in path.split(separator: ".") {
            value = try #require((value as? [String: Any])?[String(name)], "\(path)")
        }
        // The compiler crashes on #require in a generic function.
        guard let found = value as? Value else { throw ProcessFailure("\(path) is \(value)") }
        return found
    }

    @Test func `Each transfer has a line with its connection, times and sizes`() async throws {
        let served = try Served()
        let result = try await served.get(
            "--json-lines", "log", "-o", "/dev/null", served.url("/bytes/1000"), served.url("/bytes/2000"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.isEmpty && result.errors.isEmpty)
        let objects = try await objects(served, "log")
        #expect(objects.count == 2)
        for object in objects {
            let index: Int = try member(object, "index")
            #expect(try member(object, "url") == served.url("/bytes/\(index + 1)000"))
            #expect(try member(object, "outcome") == "done" && member(object, "exit_code") == 0)
            #expect(try member(object, "status") == 200 && member(object, "http_version") == "2")
            #expect(try member(object, "connection.id") == 1 && member(object, "connection.stream_id") == 2 * index + 1)
            #expect(try member(object, "connection.tls.version") == "TLSv1.3")
            #expect(try member(object, "connection.tls.alpn") == "h2")
            #expect(try member(object, "connection.tls.verified") == true)
            #expect(try member(object, "sizes.body_received") == 1000 * (index + 1))
            #expect(try member(object, "sizes.body_written") == 1000 * (index + 1))
            let (sent, first): (Double, Double) =
                (try member(object, "times.sent_at_seconds"), try member(object, "times.first_byte_at_seconds"))
            let (last, total): (Double, Double) =
                (try member(object, "times.last_byte_at_seconds"), try member(object, "times.total_seconds"))
            #expect(sent <= first && first <= last && last <= total + 0.01)
            let started: Double = try member(object, "started_at_unix_seconds")
            #expect(abs(started - Date().timeIntervalSince1970) < 60)
        }
        #expect(Set(try objects.map { try member($0, "connection.reused") as Bool }) == [true, false])
    }

    @Test func `Failures have their code and their words, and what was skipped says so`() async throws {
        let served = try Served()
        try served.folder.write("kept", to: "c")
        let result = try await served.get(
            "-f", "-L", "--skip-existing", "--json-lines", "log", "-o", "a", "-o", "b", "-o", "c", "-o", "d",
            served.url("/status/404"), "http://user:secret@127.0.0.1:\(try closedPort())/x", served.url("/bytes/1"),
            served.url("/reset/2"))
        #expect(result.status == 22)
        let objects = try await objects(served, "log")
        let byIndex = Dictionary(uniqueKeysWithValues: try objects.map { (try member($0, "index") as Int, $0) })
        #expect(byIndex.count == 4)
        let refused = try #require(byIndex[0])
        #expect(try member(refused, "status") == 404 && member(refused, "exit_code") == 22)
        #expect((try member(refused, "error") as String).hasPrefix("the server answered 404"))
        let unreachable = try #require(byIndex[1])
        #expect(try member(unreachable, "exit_code") == 7 && member(unreachable, "outcome") == "failed")
        #expect(unreachable["connection"] is NSNull && unreachable["status"] is NSNull)
        #expect(!(try served.folder.read("log").contains("secret")))
        #expect(try member(try #require(byIndex[2]), "outcome") == "skipped")
        #expect(try member(try #require(byIndex[3]), "exit_code") == 92)
    }

    @Test func `In cleartext and over HTTP/1.1 the members that do not apply are null`() async throws {
        let served = try Served { $0.security = .cleartext }
        let result = try await served.get("--http1.1", "--json-lines", "log", "-d", "abc", served.url("/echo"))
        #expect(result.text == "abc", "\(result.errors)")
        let object = try #require(try await objects(served, "log").first)
        #expect(try member(object, "http_version") == "1.1" && member(object, "method") == "POST")
        let connection: [String: Any] = try member(object, "connection")
        #expect(connection["tls"] is NSNull && connection["stream_id"] is NSNull && connection["proxy"] is NSNull)
        #expect(try member(object, "sizes.body_sent") == 3)
    }

    @Test func `Lines on stdout stand between bodies, in the order of the URLs`() async throws {
        let served = try Served()
        let result = try await served.get(
            "--json-lines", "-", served.url("/delay/100"), served.url("/bytes/0"), served.url("/delay/1"))
        let lines = result.text.split(separator: "\n")
        #expect(lines.count == 5 && lines[0] == "ok" && lines[3] == "ok", "\(result.text)")
        for line in [lines[1], lines[2], lines[4]] {
            #expect(try JSONSerialization.jsonObject(with: Data(line.utf8)) is [String: Any])
        }
    }

    @Test func `Thousands of lines are whole`() async throws {
        let served = try Served()
        try served.folder.write((0..<5000).map { served.url("/bytes/\($0 % 10)\n") }.joined(), to: "list")
        let result = try await served.get("--json-lines", "log", "-o", "/dev/null", "--input-file", "list")
        #expect(result.status == 0, "\(result.errors)")
        let indexes = try await objects(served, "log").map { try member($0, "index") as Int }
        #expect(indexes.sorted() == Array(0..<5000))
    }

    @Test func `A file that cannot be written is an error`() async throws {
        let served = try Served()
        let missing = try await served.get("--json-lines", "no/log", "-o", "/dev/null", served.url("/bytes/1"))
        #expect(missing.status == 23)
        #expect(missing.errors.contains("cannot write to no/log (--json-lines): No such file or directory"))
        let full = try await served.get("--json-lines", "/dev/full", "-o", "a", served.url("/bytes/1"))
        #expect(full.status == 23, "\(full.errors)")
        #expect(full.errors.contains("writing to /dev/full failed: No space left on device"))
        let output = try await served.get(
            ["--json-lines", "-", "-o", "a", served.url("/bytes/1")], output: "/dev/full")
        #expect(output.status == 23)
        #expect(output.errors.contains("writing to stdout failed: No space left on device"), "\(output.errors)")
        #expect(served.files == ["a"])
        let same = try await served.get("--json-lines", "a", "-o", "a", served.url("/bytes/1"))
        #expect(same.status == 2)
    }

    // MARK: - Figures at the end

    @Test func `--summary says why the slowest transfers took so long`() async throws {
        let served = try Served()
        let result = try await served.get(
            "--summary", "-o", "/dev/null", served.url("/delay/150"), served.url("/bytes/1"),
            served.url("/drip?bytes=300&chunk=100&interval=40"))
        let lines = result.errors.split(separator: "\n").map(String.init)
        let start = try #require(lines.firstIndex(of: "h2get: slowest:"), "\(result.errors)")
        #expect(lines.count == start + 4)
        #expect(lines[start + 1].contains("/delay/150 (200): ") && lines[start + 1].contains("first byte 1"))
        #expect(lines[start + 2].contains("/drip") && lines[start + 2].contains("body "))
    }

    @Test func `-v ends with one line`() async throws {
        let served = try Served()
        let result = try await served.get(
            "-v", "-f", "-o", "/dev/null", served.url("/bytes/1000"), served.url("/status/500"),
            served.url("/bytes/500"))
        let line = try #require(result.errors.split(separator: "\n").last)
        #expect(
            line.hasPrefix("h2get: 2 of 3 done, 1 failed (1 with status 400 or more), 1.5 kB in ")
                && line.hasSuffix(", 1 connection, 66.7 % reused"), "\(line)")
    }

    @Test func `The time that a slow reader makes the server wait is told`() async throws {
        let served = try Served()
        let arguments = ["--cacert", "ca.pem", "--json-lines", "log", "-o", "fifo", "-w"]
        let words = (arguments + ["%{stderr}%{time_window_stalled} %{size_delivered}", served.url("/bytes/60000000")])
            .map { "'\($0)'" }.joined(separator: " ")
        let status = try await Program.runShell(
            "mkfifo fifo; (sleep 1; cat) < fifo > out & '\(Program.path)' \(words) 2> errors; code=$?; wait; exit $code",
            in: served.folder.root)
        #expect(status == 0)
        let figures = try served.folder.read("errors").split(separator: " ")
        try #require(figures.count == 2, "\(figures)")
        #expect(figures[1] == "60000000")
        let stalled = try #require(Double(figures[0]))
        #expect(stalled > 0.3 && stalled < 60, "\(stalled)")
        let object = try #require(try await objects(served, "log").first)
        let times: [String: Any] = try member(object, "times")
        #expect((times["window_stalled_seconds"] as? Double).map { abs($0 - stalled) < 0.001 } == true)
    }

    @Test func `-w has the certificates of the server`() async throws {
        let served = try Served()
        let result = try await served.get("-o", "/dev/null", "-w", "%{num_certs}\n%{certs}", served.url("/bytes/1"))
        let lines = result.text.split(separator: "\n").map(String.init)
        let count = try #require(lines.first.flatMap { Int($0) })
        #expect(count > 0 && lines.filter { $0 == "-----END CERTIFICATE-----" }.count == count, "\(result.text)")
        #expect(lines[1].hasPrefix("Subject:") && lines.contains { $0.hasPrefix("Issuer:") })
        let plain = try Served { $0.security = .cleartext }
        let none = try await plain.get("-o", "/dev/null", "-w", "%{num_certs}|%{certs}|", plain.url("/bytes/1"))
        #expect(none.text == "0||")
    }
}
