import H2Platform
import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn) struct ScenarioTemplateTests {
    /// The first request with the value `value` of a variable of each kind.
    private func request(_ request: String, value: String = "a b/c?\"é\"") throws -> ScenarioRequest {
        let quotedValue = "'\(value.replacingAll("'", by: "''"))'"
        let text = """
            variables:
              constant: \(quotedValue)
              table: { csv: t.csv }
            on-start:
              - get: /start
                extract: { taken: { header: x } }
            requests:
              - \(request)
            """
        let field = "\"\(value.replacingAll("\"", by: "\"\""))\""
        var user = ScenarioUser(try scenario(text, files: ["t.csv": "v\n\(field)\n"]), number: 7)
        _ = try user.send()
        #expect(user.answered(200, fields: ["x": value]) == nil)
        return try user.send()
    }

    @Test(arguments: ["taken", "table.v", "url:taken", "url:table.v", "url:constant"])
    func `A value in a path is percent-encoded`(_ name: String) throws {
        #expect(try request("get: '/x/${\(name)}'").path == "/x/a%20b%2Fc%3F%22%C3%A9%22")
    }

    @Test func `The author's own text in a path is left as it is`() throws {
        #expect(try request("get: '/x/${constant}?q=%20'", value: "a/b?c").path == "/x/a/b?c?q=%20")
        #expect(try request("get: '/é/${constant}'", value: "ü").path == "/%C3%A9/%C3%BC")
    }

    @Test(arguments: [
        ("/a/b?c=d&e=f%20g", "/a/b?c=d&e=f%20g"), ("/a b\"#é", "/a%20b%22%23%C3%A9"),
        ("/x;y=1,(2)!*'@:~", "/x;y=1,(2)!*'@:~"),
    ])
    func `A variable that begins a path is a path`(_ value: String, _ expected: String) throws {
        #expect(try request("get: '${taken}'", value: value).path == expected)
        #expect(try request("get: '/api${path:taken}'", value: value).path == "/api\(expected)")
    }

    @Test func `A value in a body is written as it is, or as told`() throws {
        let value = "a \"b\"\\\tc\u{1}é"
        var user = ScenarioUser(
            try scenario(
                """
                requests:
                  - get: /
                    extract: { v: { json: /v } }
                  - post: /
                    body: '${v}|${json:v}|${url:v}'
                """))
        _ = try user.take(#"{"v":"a \"b\"\\\tc\u0001é"}"#)
        #expect(try user.send().text == value + #"|a \"b\"\\\tc\u0001é|a%20%22b%22%5C%09c%01%C3%A9"#)
    }

    @Test func `A value in a header is written as it is, without spaces around it`() throws {
        let request = try request(
            "{ get: /, headers: { A: '${taken}', B: 'x ${taken}', C: '${json:taken}' } }", value: " a\"b ")
        #expect(request.field("a") == "a\"b")
        #expect(request.field("b") == "x  a\"b")
        #expect(request.field("c") == "a\\\"b")
        #expect(request.fields.map(\.name) == ["a", "b", "c"])
    }

    @Test(arguments: [
        ("$", "$"), ("$$", "$$"), ("$x", "$x"), ("${user}", "7"), ("$${user}", "${user}"), ("$$${user}", "$${user}"),
        ("${ user }", "7"), ("${url: user}", "7"), ("a${user}${iteration}b", "a70b"), ("{user}", "{user}"),
        ("$ {user}", "$ {user}"),
        ("${constant}", "k"), ("${json:constant}", "k"), ("", ""), ("é${user}é", "é7é"),
    ])
    func `A text has its variables replaced`(_ body: String, _ expected: String) throws {
        #expect(try request("{ post: /, body: '\(body)' }", value: "k").text == expected)
    }

    @Test(arguments: [
        ("get: /a", true), ("get: '/${constant}'", true), ("get: '/$${user}'", true),
        ("{ post: /, body: '${json:constant}' }", true),
        ("{ get: /, headers: { a: '${constant}' } }", true), ("get: '/${user}'", false),
        ("{ post: /, body: '${random}' }", false),
        ("{ get: /, headers: { a: '${iteration}' } }", false), ("{ get: /, headers: { a: '${table.v}' } }", false),
        ("{ get: /, check: { body: { contains: '${user}' } } }", true),
    ])
    func `A request is constant unless path, headers or body change`(_ request: String, _ expected: Bool) throws {
        let text = "variables: { constant: k, table: { csv: t.csv } }\nrequests:\n  - \(request)"
        let scenario = try scenario(text, files: ["t.csv": "v\n1\n2\n"])
        #expect(scenario.steps.map(\.isConstant) == [expected])
        // Constant ones are the same for all users, each time.
        var requests: [ScenarioRequest] = []
        for number in 0..<4 {
            var user = ScenarioUser(scenario, number: number, seed: UInt64(number))
            for _ in 0..<4 {
                requests.append(try user.send())
                _ = user.answered()
            }
        }
        #expect(requests.allSatisfy { $0 == requests[0] } == expected)
    }

    @Test func `The random value is 16 hexadecimal digits, the same throughout a request`() throws {
        let scenario = try scenario(
            "requests:\n  - post: /${random}\n    headers: { a: '${random}' }\n    body: ${random}")
        var seen: Set<String> = []
        for number in 0..<100 {
            var user = ScenarioUser(scenario, number: number)
            let request = try user.take()
            #expect(
                request.text.utf8.count == 16 && request.path == "/\(request.text)"
                    && request.field("a") == request.text)
            seen.formUnion([request.text, try user.take().text])
        }
        #expect(seen.count == 200)
    }
}
