import H2Platform
import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn) struct ScenarioUserTests {
    private static let second: UInt64 = 1_000_000_000

    // MARK: Order and waits

    @Test func `The requests of a task follow one another, task after task`() throws {
        var user = ScenarioUser(try scenario("requests:\n  - get: /a\n  - post: /b\n    body: x"))
        let requests = try (0..<5).map { _ in try user.take() }
        #expect(requests.map(\.path) == ["/a", "/b", "/a", "/b", "/a"])
        #expect(requests.map(\.step) == [0, 1, 0, 1, 0])
        #expect(requests.map(\.method) == ["GET", "POST", "GET", "POST", "GET"])
        #expect(requests.map(\.text) == ["", "x", "", "x", ""])
    }

    @Test func `A user waits between tasks, and thinks after a request`() throws {
        var user = ScenarioUser(
            try scenario("wait: 3s\nrequests:\n  - get: /a\n    think: 1s\n  - get: /b\n    think: 2s"))
        let waits = try (0..<5).map { _ in try user.take().waitNanoseconds / Self.second }
        #expect(waits == [0, 1, 5, 1, 5])
    }

    @Test func `Requests of on-start come once, before the first task and without a wait`() throws {
        var user = ScenarioUser(
            try scenario("wait: 3s\non-start:\n  - get: /login\n  - get: /home\nrequests:\n  - get: /a"))
        let requests = try (0..<4).map { _ in try user.take() }
        #expect(requests.map(\.path) == ["/login", "/home", "/a", "/a"])
        #expect(requests.map { $0.waitNanoseconds / Self.second } == [0, 0, 0, 3])
    }

    @Test func `on-start is repeated until it succeeds`() throws {
        let text =
            "wait: 3s\non-start:\n  - get: /login\n    extract: { t: { header: t } }\n  - get: /home\nrequests:\n  - get: /${t}"
        var user = ScenarioUser(try scenario(text))
        #expect(try user.send().path == "/login")
        user.failed()
        let second = try user.send()
        #expect(second.path == "/login" && second.waitNanoseconds == 3 * Self.second)
        #expect(user.answered(200) == "no header 't'")
        #expect(try user.send().path == "/login")
        #expect(user.answered(200, fields: ["t": "x"]) == nil)
        #expect(try user.send().path == "/home")
        user.failed()
        #expect(try user.send().path == "/login")
        #expect(user.answered(200, fields: ["t": "y"]) == nil)
        _ = try user.take()
        #expect(try user.send().path == "/y")
    }

    // MARK: Weights and seeds

    @Test func `Tasks are chosen by their weights`() throws {
        let text =
            "tasks:"
            + [("a", 1), ("b", 3), ("c", 6)].map { "\n  - { weight: \($0.1), requests: [{ get: /\($0.0) }] }" }.joined()
        let scenario = try scenario(text)
        var counts = ["/a": 0, "/b": 0, "/c": 0]
        for number in 0..<100 {
            var user = ScenarioUser(scenario, number: number, seed: 42)
            for _ in 0..<100 { counts[try user.take().path, default: 0] += 1 }
        }
        #expect(
            abs(counts["/a"]! - 1_000) < 120 && abs(counts["/b"]! - 3_000) < 180 && abs(counts["/c"]! - 6_000) < 200,
            "\(counts)")
    }

    @Test func `The same seed and number do the same, others do not`() throws {
        let text = "wait: 1s..5s\ntasks:\n  - requests: [{ get: '/a/${random}' }]\n  - requests: [{ get: /b }]"
        let scenario = try scenario(text)
        func requests(number: Int, seed: UInt64) throws -> [ScenarioRequest] {
            var user = ScenarioUser(scenario, userClass: 0, number: number, seed: seed)
            return try (0..<50).map { _ in try user.take() }
        }
        let first = try requests(number: 3, seed: 9)
        #expect(try requests(number: 3, seed: 9) == first)
        #expect(try requests(number: 4, seed: 9) != first)
        #expect(try requests(number: 3, seed: 10) != first)
        // Nor the same a little later.
        let paths = Set(first.map(\.path)).filter { $0 != "/b" }
        for number in 4..<20 { #expect(paths.isDisjoint(with: try requests(number: number, seed: 9).map(\.path))) }
    }

    @Test(arguments: [1, 2, 5, 10, 40, 333, 1_000])
    func `Any number of users is divided by the weights`(_ count: Int) throws {
        let text =
            "users:"
            + [("A", 3), ("B", 1), ("C", 6)].map {
                "\n  - name: \($0.0)\n    weight: \($0.1)\n    requests: [{ get: / }]"
            }.joined()
        let scenario = try scenario(text)
        var counts = [0, 0, 0]
        for number in 0..<count { counts[scenario.userClass(ofUser: number)] += 1 }
        for (index, part) in [0.3, 0.1, 0.6].enumerated() {
            #expect(abs(Double(counts[index]) - part * Double(count)) <= 2, "\(counts)")
        }
    }

    // MARK: Rows

    private func names(_ pick: String, users: Int, tasks: Int) throws -> [[String]] {
        let text = "variables: { a: { csv: a.csv, pick: \(pick) } }\nrequests:\n  - get: /${a.n}\n  - get: /${a.n}"
        let scenario = try scenario(text, files: ["a.csv": "n\nx\ny\nz\n"])
        return try (0..<users).map { number in
            var user = ScenarioUser(scenario, number: number)
            return try (0..<tasks).map { _ in
                let path = try user.take().path
                // A row holds for the whole task.
                #expect(try user.take().path == path)
                return path
            }
        }
    }

    @Test func `Each user keeps a row`() throws {
        #expect(
            try names("each-user", users: 4, tasks: 2) == [["/x", "/x"], ["/y", "/y"], ["/z", "/z"], ["/x", "/x"]])
    }

    @Test func `A user takes the next row for each task, from its own on`() throws {
        #expect(try names("in-turn", users: 2, tasks: 4) == [["/x", "/y", "/z", "/x"], ["/y", "/z", "/x", "/y"]])
    }

    @Test func `A user takes any row for each task`() throws {
        let names = try names("random", users: 10, tasks: 100).joined()
        for name in ["/x", "/y", "/z"] { #expect((250...420).contains(names.count { $0 == name })) }
    }

    // MARK: Extractions

    @Test func `Values of responses are used in later requests`() throws {
        let text = #"""
            requests:
              - get: /
                extract: { item: { json: /id } }
              - get: /
                extract: { token: { header: X-Token } }
              - get: /
                extract: { csrf: { regex: 'csrf="([^"]+)"' } }
              - post: /${item}
                headers: { x-csrf: '${csrf}', x-token: '${token}' }
            """#
        var user = ScenarioUser(try scenario(text))
        _ = try user.take(#"{"id":42}"#)
        _ = try user.send()
        #expect(user.answered(200, fields: ["x-token": "t"]) == nil)
        _ = try user.take(#"<a csrf="a-b">"#)
        let request = try user.send()
        #expect(request.path == "/42" && request.field("x-csrf") == "a-b" && request.field("x-token") == "t")
    }

    @Test func `An extraction that finds nothing says what was looked for`() throws {
        for (source, reason) in [
            ("json: /id", "nothing at '/id'"), ("header: X-Token", "no header 'x-token'"),
            ("regex: 'a(b)c'", "no match of 'a(b)c' in the body"),
        ] {
            var user = ScenarioUser(try scenario("requests:\n  - get: /\n    extract: { v: { \(source) } }"))
            _ = try user.send()
            #expect(user.answered(200, "{}") == reason)
        }
    }

    @Test func `A value is kept if it is not there a second time`() throws {
        let text = """
            on-start:
              - get: /
                extract: { v: { header: x } }
            requests:
              - get: /${v}
                extract: { v: { header: x } }
            """
        var user = ScenarioUser(try scenario(text))
        _ = try user.send()
        #expect(user.answered(200, fields: ["x": "a"]) == nil)
        _ = try user.send()
        #expect(user.answered(200) == "no header 'x'")
        #expect(try user.send().path == "/a")
    }

    // MARK: What is skipped

    private static let three = """
        requests:
          - get: /a
            extract: { v: { json: /v } }
            check: { status: 200 }
          - get: /b/${v}
          - get: /c
        """

    @Test func `An extraction that finds nothing skips the rest of the task`() throws {
        var user = ScenarioUser(try scenario(Self.three))
        _ = try user.send()
        #expect(user.answered(200, "{}") == "nothing at '/v'")
        #expect(try user.send().path == "/a")
    }

    @Test func `A failed check skips nothing`() throws {
        var user = ScenarioUser(try scenario(Self.three))
        _ = try user.send()
        #expect(user.answered(500, #"{"v":1}"#) == "unexpected status 500")
        #expect(try user.send().path == "/b/1")
    }

    @Test func `A failed check and an extraction without a value give the check's reason, and skip`() throws {
        var user = ScenarioUser(try scenario(Self.three))
        _ = try user.send()
        #expect(user.answered(500, "oops") == "unexpected status 500")
        #expect(try user.send().path == "/a")
    }

    @Test func `A request without a response skips the rest of the task`() throws {
        var user = ScenarioUser(try scenario(Self.three))
        _ = try user.take(#"{"v":1}"#)
        #expect(try user.send().path == "/b/1")
        user.failed()
        #expect(try user.send().path == "/a")
        // One that is asked for the next request before it was answered has none either.
        #expect(try user.send().path == "/a")
    }

    @Test func `What is said twice counts once`() throws {
        var user = ScenarioUser(try scenario(Self.three))
        _ = try user.take(#"{"v":1}"#)
        #expect(user.answered(500) == nil)
        user.failed()
        #expect(try user.send().path == "/b/1")
    }

    @Test func `A skipped task has its waits, and counts`() throws {
        var user = ScenarioUser(try scenario("wait: 3s\nrequests:\n  - get: /${iteration}\n    think: 1s\n  - get: /b"))
        _ = try user.send()
        user.failed()
        let next = try user.send()
        #expect(next.path == "/1" && next.waitNanoseconds == 4 * Self.second)
    }

    // MARK: What cannot be sent

    @Test func `A variable without a value fails the request, with a pause`() throws {
        let text =
            "tasks:\n  - requests: [{ get: /, extract: { v: { json: /v } } }]\n"
            + "  - requests:\n      - get: /${v}\n      - get: /never"
        let scenario = try scenario(text)
        var failures = 0
        for number in 0..<20 {
            var user = ScenarioUser(scenario, number: number)
            let first = user.next()
            guard let reason = first.failure else { continue }
            failures += 1
            #expect(reason == "${v} has no value yet" && first.waitNanoseconds == 0)
            let second = user.next()
            #expect(second.waitNanoseconds == 100_000_000 && second.request?.path != "/never")
        }
        #expect(failures > 0)
    }

    @Test(arguments: [("a\r\nb: c", "\\r\\n"), ("a\u{0}b", "\\u0000"), ("a\u{7f}", "")])
    func `A value that would break a header fails the request`(_ value: String, _ json: String) throws {
        var user = ScenarioUser(
            try scenario(
                "requests:\n  - get: /\n    extract: { v: { header: x } }\n  - get: /\n    headers: { X-A: '${v}' }"))
        _ = try user.send()
        #expect(user.answered(200, fields: ["x": value]) == nil)
        #expect(user.next().failure == "the value for the header 'x-a' has a control character")
    }

    @Test func `A path of a variable must begin with a slash, and has a limit`() throws {
        let scenario = try scenario("requests:\n  - get: /\n    extract: { v: { header: x } }\n  - get: '${v}'")
        for (value, reason) in [
            ("https://example.com/", "the path does not begin with /"), ("", "the path does not begin with /"),
            ("/" + String(repeating: "x", count: 70_000), "the path is longer than 64 KiB"),
        ] {
            var user = ScenarioUser(scenario)
            _ = try user.send()
            #expect(user.answered(200, fields: ["x": value]) == nil)
            #expect(user.next().failure == reason)
        }
    }

    @Test func `A body that grows without bounds fails the request`() throws {
        let text =
            "requests:\n  - get: /\n    extract: { v: { regex: '.*' } }\n  - post: /\n    body: '"
            + String(repeating: "${v}", count: 100) + "'"
        var user = ScenarioUser(try scenario(text))
        _ = try user.take(String(repeating: "x", count: 1 << 20))
        #expect(user.next().failure == "the body is longer than 64 MB")
    }

    // MARK: Checks

    @Test(arguments: [
        ("", 200, "", nil as String?), ("", 399, "", nil), ("", 400, "", "unexpected status 400"),
        ("", 503, "", "unexpected status 503"),
        ("status: 404", 404, "", nil), ("status: 404", 200, "", "unexpected status 200"),
        ("status: '200-299,304'", 304, "", nil), ("status: '200-299,304'", 303, "", "unexpected status 303"),
        ("status: 2xx", 299, "", nil), ("status: [200, 4xx]", 418, "", nil),
        ("status: [200, 4xx]", 201, "", "unexpected status 201"),
        ("latency: 5us", 200, "", nil), ("latency: 4us", 200, "", "slower than 4us"),
        ("latency: 4us", 500, "", "unexpected status 500"),
        ("body: { contains: ok }", 200, "it is ok", nil),
        ("body: { contains: ok }", 200, "it is o", "no 'ok' in the body"),
        ("body: { contains: ok }", 200, "", "no 'ok' in the body"),
        ("body: { contains: '${user}' }", 200, "0", nil),
        ("body: { contains: '${user}' }", 200, "1", "no '${user}' in the body"),
        ("body: { regex: '^[a-z]+$' }", 200, "abc", nil),
        ("body: { regex: '^[a-z]+$' }", 200, "1", "no match of '^[a-z]+$' in the body"),
        ("body: { json: /a }", 200, #"{"a":null}"#, nil), ("body: { json: /a }", 200, #"{"b":1}"#, "nothing at '/a'"),
        ("body: { json: /a, equals: 3 }", 200, #"{"a":3}"#, nil),
        ("body: { json: /a, equals: 3 }", 200, #"{"a":"3"}"#, nil),
        ("body: { json: /a, equals: 3 }", 200, #"{"a":4}"#, "'/a' is not '3'"),
        ("body: { json: /a, equals: null }", 200, #"{"a":null}"#, nil),
        ("body: { json: /a, equals: true }", 200, #"{"a":true}"#, nil),
        ("body: { json: /a, equals: '' }", 200, #"{"a":""}"#, nil),
        ("body: { json: /a, equals: 'u${user}' }", 200, #"{"a":"u0"}"#, nil),
        ("body: [{ contains: a }, { contains: b }]", 200, "a b", nil),
        ("body: [{ contains: a }, { contains: b }]", 200, "a", "no 'b' in the body"),
    ])
    func `A response meets its checks or not`(
        _ check: String, _ status: Int, _ body: String, _ expected: String?
    ) throws {
        var user = ScenarioUser(
            try scenario("requests:\n  - get: /\n    \(check.isEmpty ? "" : "check: { \(check) }")"))
        _ = try user.send()
        #expect(user.answered(status, body, latency: 5_000) == expected)
    }

    @Test func `A reason does not hold what a response or a row holds`() throws {
        let text =
            "variables: { a: { csv: a.csv } }\nrequests:\n  - get: /\n    check: { body: { json: /v, equals: '${a.n}' } }"
        var user = ScenarioUser(try scenario(text, files: ["a.csv": "n\nhunter2\n"]))
        _ = try user.send()
        #expect(user.answered(200, #"{"v":"secret"}"#) == "'/v' is not '${a.n}'")
    }
}
