import H2Platform
import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn) struct ScenarioReaderTests {
    static let shop = #"""
        variables:
          tenant: acme
          account:
            csv: accounts.csv
            pick: each-user
        users:
          - name: Shopper
            weight: 3
            wait: 1s..5s
            on-start:
              - post: /login
                body: '{"name":"${json:account.name}","password":"${json:account.password}"}'
                extract:
                  token: { header: X-Token }
            tasks:
              - name: browse
                weight: 5
                requests:
                  - get: /items?page=1
                    name: list
                    headers: { Accept: application/json, authorization: "Bearer ${token}" }
                    think: 500ms
                    extract:
                      item: { json: /items/0/id }
                      csrf: { regex: 'name="csrf" value="([^"]+)"' }
                    check:
                      status: 200-299,304
                      body: { contains: "ok" }
                      latency: 250ms
                  - post: /cart
                    headers: { content-type: application/json }
                    body: '{"id":"${item}","tenant":"${tenant}"}'
              - requests:
                  - method: purge
                    path: /cache
          - name: Admin
            requests:
              - get: /admin
        """#

    static let accounts = ["accounts.csv": "name,password\nann,a\"1\nbob,b2\n".replacingAll("a\"1", by: "\"a\"\"1\"")]

    @Test func `The whole format is read`() throws {
        let scenario = try scenario(Self.shop, files: Self.accounts)
        #expect(scenario.userClasses.map(\.name) == ["Shopper", "Admin"])
        #expect(scenario.userClasses.map(\.weight) == [3, 1])
        #expect(scenario.userClasses[0].tasks.map(\.name) == ["browse", "task 2"])
        #expect(scenario.userClasses[0].tasks.map(\.steps) == [1..<3, 3..<4])
        #expect(scenario.userClasses[1].tasks.map(\.steps) == [4..<5])
        #expect(scenario.steps.map(\.method) == ["POST", "GET", "POST", "purge", "GET"])
        #expect(scenario.steps.map(\.name) == ["POST /login", "list", "POST /cart", "purge /cache", "GET /admin"])
        #expect(scenario.steps.map(\.userClass) == [0, 0, 0, 0, 1])
        #expect(scenario.steps.map(\.needsHead) == [true, false, false, false, false])
        #expect(scenario.steps.map(\.needsBody) == [false, true, false, false, false])
        #expect(scenario.steps.map(\.isConstant) == [false, false, false, true, true])
        #expect(scenario.dataFiles == [.init(variable: "account", rowCount: 2, isPerUser: true)])
    }

    @Test func `A single class needs no list of users`() throws {
        let short = try scenario("requests:\n  - get: /")
        #expect(short.userClasses.map(\.name) == ["User"])
        #expect(short.steps.map(\.name) == ["GET /"])
        let tasks = try scenario("wait: 2s\ntasks:\n  - requests:\n      - get: /a\n  - requests:\n      - get: /b")
        #expect(tasks.userClasses.map(\.tasks.count) == [2])
    }

    @Test func `JSON is YAML too`() throws {
        let json = try scenario(#"{"requests":[{"get":"/a","headers":{"accept":"*/*"}}]}"#)
        #expect(json.steps.map(\.name) == ["GET /a"])
    }

    /// The first part of a scenario up to a request, whose keys are in column 5 from line 3 on.
    private static let request = "requests:\n  - get: /\n    "

    @Test(arguments: [
        // Keys
        ("request:\n  - get: /", "1:1: unknown key 'request'; did you mean 'requests'?"),
        ("requests:\n  - gte: /", "2:5: unknown key 'gte'; did you mean 'get'?"),
        (
            request + "weihgt: 3",
            "3:5: unknown key 'weihgt'; a request has get, post, put, patch, delete, head, options"
        ),
        ("users:\n  - nme: x\n    requests:\n      - get: /", "2:5: unknown key 'nme'; did you mean 'name'?"),
        ("tasks:\n  - requestz:\n      - get: /", "2:5: unknown key 'requestz'; did you mean 'requests'?"),
        (request + "chceck: { status: 200 }", "3:5: unknown key 'chceck'; did you mean 'check'?"),
        (request + "check: { stauts: 200 }", "3:14: unknown key 'stauts'; did you mean 'status'?"),
        (request + "extract: { a: { jsno: /a } }", "3:21: unknown key 'jsno'; did you mean 'json'?"),
        (request + "check: { body: { contain: x } }", "3:22: unknown key 'contain'; did you mean 'contains'?"),
        (
            "requests:\n  - get: /\n    name: a\n    name: b",
            "4:5: the key 'name' is already in line 3; keep one of them"
        ),
        ("requests:\n  - get: /\nrequests:\n  - get: /", "3:1: the key 'requests' is already in line 1"),
        (request + "headers: { a: x, A: y }", "3:22: there is another header 'a', since case does not matter"),
        // Types
        ("- get: /", "1:1: a scenario has keys with values, but this is a list"),
        ("hello", "1:1: a scenario has keys with values, but this is text"),
        ("", "1:1: there is nothing in the file"),
        ("# only a comment\n", "1:1: there is nothing in the file"),
        ("requests:\n  get: /", "2:3: 'requests' is a list of requests, but this is a mapping; begin each with '- '"),
        ("requests:\n  - /items", "2:5: a request has keys with values, but this is text"),
        ("requests: []", "1:11: 'requests' is an empty list"),
        ("requests:", "1:10: 'requests' is a list of requests, but this is nothing"),
        ("users: []", "1:8: 'users' is an empty list"),
        ("tasks: []", "1:8: 'tasks' is an empty list"),
        ("variables: 3\n" + request, "1:12: 'variables' is text; write names with their values"),
        (request + "headers: [a]", "3:14: 'headers' is a list; write names with their values"),
        (request + "body: { a: 1 }", "3:11: a body is text, but this is a mapping; put JSON into single quotes"),
        (request + "body:", "3:10: 'body' has no value; write '' for an empty text"),
        (request + "name: [a]", "3:11: 'name' is text, but this is a list"),
        (request + "extract: {}", "3:14: 'extract' has names with what they are taken from"),
        (request + "check: {}", "3:12: the check is empty"),
        (request + "check: { status: [] }", "3:22: 'status' is an empty list"),
        ("variables: { a: ~ }\n" + request, "1:17: the variable 'a' has no value"),
        // Structure
        ("variables: { a: b }", "1:1: there are no requests"),
        ("users:\n  - name: A", "2:5: there are no requests"),
        ("tasks:\n  - name: A", "2:5: the task has no requests"),
        ("wait: 2s\nusers:\n  - requests:\n      - get: /", "1:1: 'wait' belongs to a user class if there is 'users'"),
        ("tasks:\n  - requests:\n      - get: /\nrequests:\n  - get: /", "1:1: there are 'tasks' and 'requests'"),
        (
            "users:\n  - name: A\n    requests:\n      - get: /\n  - name: A\n    requests:\n      - get: /",
            "5:11: there is another user class with the name 'A'"
        ),
        (
            "requests:\n  - get: /\n    post: /",
            "2:5: a request has one method and one path, but here are 'get' and 'post'"
        ),
        ("requests:\n  - get: /\n    path: /", "2:5: a request has one method and one path"),
        ("requests:\n  - path: /", "2:5: the request has no method; write it as 'get: /items'"),
        ("requests:\n  - method: GET", "2:5: the request has no path"),
        ("requests:\n  - name: x", "2:5: the request has no method and no path"),
        // Values
        ("wait: 2\n" + request, "1:7: '2' has no unit; write 2s or 2ms"),
        ("wait: soon\n" + request, "1:7: 'soon' is not a time; write a time as 2s or 500ms, a range as 1s..5s"),
        ("wait: 5s..1s\n" + request, "1:7: the range '5s..1s' is empty; write the shorter time first"),
        ("wait: -1s\n" + request, "1:7: '-1s' is not a time"),
        ("wait: 25h\n" + request, "1:7: '25h' is longer than a day"),
        ("wait: exponential\n" + request, "1:7: 'exponential' is not a time"),
        (request + "think: 1s..", "3:12: '1s..' is not a time"),
        (
            "tasks:\n  - weight: 0\n    requests:\n      - get: /",
            "2:13: a weight is a whole number from 1 to 1,000,000, not '0'"
        ),
        ("tasks:\n  - weight: 1000001\n    requests:\n      - get: /", "2:13: a weight is a whole number"),
        ("tasks:\n  - weight: 1.5\n    requests:\n      - get: /", "2:13: a weight is a whole number"),
        ("tasks:\n  - weight: -1\n    requests:\n      - get: /", "2:13: a weight is a whole number"),
        ("requests:\n  - get: items", "2:10: the path 'items' does not begin with /"),
        ("requests:\n  - get: https://example.com/", "2:10: the path 'https://example.com/' does not begin with /"),
        ("requests:\n  - get: /a b", "2:10: a path has no spaces; write %20"),
        ("requests:\n  - get: \"/a#b\"", "2:10: the part of a URL from # on is not sent"),
        ("requests:\n  - get: \"/a\\r\\nb\"", "2:10: the path holds a control character"),
        ("requests:\n  - get: ''", "2:10: the path '' does not begin with /"),
        ("requests:\n  - method: 'GE T'\n    path: /", "2:13: 'GE T' is not a method"),
        ("requests:\n  - method: CONNECT\n    path: /", "2:13: CONNECT is for proxies"),
        (request + "headers: { 'a b': x }", "3:16: 'a b' is not a header's name"),
        (request + "headers: { ':path': x }", "3:16: ':path' is not a header's name"),
        (request + "headers: { Host: x }", "3:16: the header 'host' is set by the client itself"),
        (request + "headers: { content-length: 3 }", "3:16: the header 'content-length' is set by the client itself"),
        (request + "headers: { a: \"x\\ny\" }", "3:19: the value of the header 'a' has a line end"),
        (request + "headers: { a: }", "3:19: the header 'a' has no value"),
        (request + "name: ''", "3:11: a name has 1 to 200 characters"),
        (request + "check: { status: 99 }", "3:22: '99' is not a list of statuses; write one as 200-299,304 or 2xx"),
        (request + "check: { status: 300-200 }", "3:22: '300-200' is not a list of statuses"),
        (request + "check: { status: '200,' }", "3:22: '200,' is not a list of statuses"),
        (request + "check: { status: 0xx }", "3:22: '0xx' is not a list of statuses"),
        (request + "check: { latency: 250 }", "3:23: '250' has no unit"),
        (request + "check: { latency: 0 }", "3:23: no response takes no time"),
        (request + "check: { body: { json: a } }", "3:28: 'a' is not a JSON pointer; write one as /items/0/id"),
        (
            request + "check: { body: { regex: '(' } }",
            "3:29: '(' is not a POSIX extended regular expression: Unmatched ( or \\("
        ),
        (
            request + "check: { body: { contains: a, json: /a } }",
            "3:20: a check of a body has one of contains, regex and json"
        ),
        (request + "check: { body: { equals: a } }", "3:20: a check of a body has one of contains, regex and json"),
        (request + "check: { body: { contains: a, equals: b } }", "3:35: 'equals' belongs to json"),
        (request + "check: { body: [] }", "3:20: 'body' is an empty list"),
        (request + "extract: { a: { json: /~2 } }", "3:27: the JSON pointer '/~2' has a ~ alone"),
        (request + "extract: { a: { json: /a, header: b } }", "3:19: an extraction has one of json, header and regex"),
        (request + "extract: { a: {} }", "3:19: an extraction has one of json, header and regex"),
        (request + "extract: { a: /a }", "3:19: an extraction has keys with values, but this is text"),
        (request + "extract: { a: { header: 'x y' } }", "3:29: 'x y' is not a header's name"),
        (request + "extract: { 1a: { json: /a } }", "3:16: '1a' cannot be a variable's name"),
        (request + "extract: { user: { json: /a } }", "3:16: 'user' is built in"),
        ("requests:\n  - head: /\n    check: { body: { contains: x } }", "3:14: the response to HEAD has no body"),
        ("requests:\n  - head: /\n    extract: { a: { json: /a } }", "3:21: the response to HEAD has no body"),
        // YAML
        ("requests:\n  - get: /\n   name: x", "3:4: did not find expected '-' indicator"),
        ("requests:\n\t- get: /", "2:1: found character that cannot start any token"),
        ("a: &x 1", "1:4: anchors (&) are not supported"),
        ("a: *x", "1:4: aliases (*) are not supported"),
        ("a: !!int 1", "1:4: tags (!) are not supported"),
        ("requests: !x\n  - get: /", "1:11: tags (!) are not supported"),
        ("%YAML 1.1\n---\na: 1", "1:1: directives (%) are not supported"),
        (request + "\n---\nb: 2", "4:1: a second document begins here"),
        ("? [a]\n: 1", "1:3: a key must be text"),
        ("requests: [{get: /${x}}]", "1:"),
    ])
    func `What is wrong is said with its place and a remedy`(_ text: String, _ expected: String) throws {
        let problems = problems(text)
        let first = try #require(problems.first)
        #expect(first.hasPrefix("shop.yaml:\(expected)"), "\(problems)")
    }

    @Test func `Several problems are reported at once, up to 20`() {
        let text = "wait: x\nrequests:\n  - get: a\n  - post: /\n    think: y\n    headers: { 'a b': c }"
        #expect(
            problems(text).map { String($0.prefix(14)) } == [
                "shop.yaml:1:7:", "shop.yaml:3:10", "shop.yaml:5:12", "shop.yaml:6:16",
            ])
        let many = "requests:\n" + String(repeating: "  - get: a\n", count: 100)
        let error = #expect(throws: ScenarioErrors.self) { try scenario(many) }
        #expect(error?.problems.count == 20 && error?.isCutShort == true)
        #expect(error?.description.hasSuffix("\nfurther problems are not shown") == true)
    }

    @Test func `A message has no control characters`() {
        for text in ["\"a\\e[2Jb\": 1", "requests:\n  - get: \"\\e[2J\"", "requests:\n  - get: /${a\u{202e}b}"] {
            let problems = problems(text)
            #expect(!problems.isEmpty)
            #expect(problems.allSatisfy { !$0.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x202e } })
        }
    }

    // MARK: Variables

    @Test(arguments: [
        ("requests:\n  - get: /${x}", "2:10: unknown variable 'x'; define it under 'variables'"),
        (
            "variables: { tenant: a }\nrequests:\n  - get: /${tenat}",
            "3:10: unknown variable 'tenat'; did you mean 'tenant'?"
        ),
        ("requests:\n  - get: /${usr}", "2:10: unknown variable 'usr'; did you mean 'user'?"),
        ("requests:\n  - get: /${x", "2:10: a ${ has no }"),
        ("requests:\n  - get: /${}", "2:10: ${} names no variable"),
        ("requests:\n  - get: /${xml:user}", "2:10: 'xml' in ${xml:user} is not a way to write a value"),
        ("requests:\n  - get: /${json:user}", "2:10: json: in ${json:user} is for bodies and headers"),
        (request + "body: ${x}", "3:11: unknown variable 'x'"),
        (request + "headers: { a: '${x}' }", "3:19: unknown variable 'x'"),
        (request + "check: { body: { contains: '${x}' } }", "3:32: unknown variable 'x'"),
        (request + "check: { body: { json: /a, equals: '${x}' } }", "3:40: unknown variable 'x'"),
        ("variables: { a: x, b: '${a}' }\n" + request, "1:23: a variable cannot use another, 'a'"),
        ("variables: { user: x }\n" + request, "1:14: 'user' is built in; choose another name"),
        ("variables: { a.b: x }\n" + request, "1:14: 'a.b' cannot be a variable's name"),
        ("variables: { a: x }\n" + request + "extract: { a: { json: /a } }", "4:16: 'a' is defined under 'variables'"),
        // The same request, and a later one.
        (
            "requests:\n  - get: /${a}\n    extract: { a: { json: /a } }",
            "2:10: 'a' has no value yet: only this request or a later one of the task extracts it"
        ),
        (
            "requests:\n  - get: /${a}\n  - get: /\n    extract: { a: { json: /a } }",
            "2:10: 'a' has no value yet"
        ),
        // A task's value does not come before on-start.
        (
            "on-start:\n  - get: /${a}\nrequests:\n  - get: /\n    extract: { a: { json: /a } }",
            "2:10: 'a' has no value yet"
        ),
        // Another class's value.
        (
            "users:\n  - requests:\n      - get: /\n        extract: { a: { json: /a } }\n  - requests:\n      - get: /${a}",
            "6:14: unknown variable 'a'"
        ),
    ])
    func `A variable that nothing defines by then is an error`(_ text: String, _ expected: String) throws {
        let problems = problems(text)
        #expect(problems.first?.hasPrefix("shop.yaml:\(expected)") == true, "\(problems)")
    }

    @Test func `Values of earlier requests, of on-start and of other tasks are known`() throws {
        let text = """
            on-start:
              - get: /login
                extract: { token: { header: x-token } }
              - get: /${token}
            tasks:
              - requests:
                  - get: /${token}/${late}
                    extract: { a: { json: /a } }
                  - get: /${a}
              - requests:
                  - get: /${a}
                    extract: { late: { json: /b } }
            """
        #expect(problems(text) == [])
    }

    @Test(arguments: [
        ("account: { csv: b.csv }", "1:30: 'b.csv' cannot be read: No such file or directory"),
        ("account: { pick: random }", "1:23: the variable 'account' names no file"),
        (
            "account: { csv: a.csv, pick: rand }",
            "1:43: 'rand' is not a way to pick a row; there are 'each-user', 'in-turn'"
        ),
        ("account: { csv: a.csv, pik: random }", "1:37: unknown key 'pik'; did you mean 'pick'?"),
        ("account: { csv: a.csv }", "2:19: the CSV file of 'account' has no column 'nme'; did you mean 'name'?"),
        ("account: [a]", "1:23: the variable 'account' is text, but this is a list"),
    ])
    func `A CSV variable that is wrong is said with its place`(_ variable: String, _ expected: String) {
        let text = "variables: { \(variable) }\nrequests: [{ get: '/${account.nme}' }]"
        let found = problems(text, files: ["a.csv": "name\nx\n"])
        #expect(found.first?.hasPrefix("shop.yaml:\(expected)") == true, "\(found)")
    }

    @Test func `A CSV file's own problem has its name and line`() {
        let text = "variables: { a: { csv: a.csv } }\nrequests: [{ get: '/${a.x}' }]"
        #expect(
            problems(text, files: ["a.csv": "x,y\n1\n"]) == [
                "a.csv:2: this row has 1 field, but the first line 2 names"
            ])
        #expect(
            problems("variables: { a: { csv: a.csv } }\nrequests: [{ get: '/${a}' }]", files: ["a.csv": "x\n1\n"])
                .first?
                .hasPrefix("shop.yaml:2:19: 'a' is a CSV file; write ${a.COLUMN}") == true)
    }

    // MARK: Hostile input

    @Test func `Deep nesting is refused`() {
        let deep = "a: " + String(repeating: "[", count: 100_000)
        #expect(problems(deep).first?.hasSuffix("mappings and lists are nested more than 32 deep") == true)
        let block = (0..<1_000).map { String(repeating: " ", count: $0) + "a:" }.joined(separator: "\n")
        #expect(problems(block).first?.hasSuffix("mappings and lists are nested more than 32 deep") == true)
    }

    @Test func `A NUL, a control character and what is not UTF-8 are refused with their place`() {
        func problem(_ bytes: [UInt8]) -> String? {
            let error = #expect(throws: ScenarioErrors.self) {
                try Scenario.read(bytes, name: "x") { _ throws(ScenarioFileError) in [] }
            }
            return error?.problems.first?.description
        }
        #expect(problem(Array("é: \u{0}".utf8))?.hasPrefix("x:1:4: there is a NUL byte") == true)
        #expect(problem(Array("a\nb\u{1b}".utf8))?.hasPrefix("x:2:2: there is a control character (") == true)
        #expect(problem(Array("a\néb".utf8) + [0xc3, 0x28])?.hasPrefix("x:2:3: this is not UTF-8") == true)
        #expect(problem([0xff, 0xfe, 0x61, 0x00])?.hasPrefix("x:1:1: this is not UTF-8") == true)
        #expect(problem(Array("requests: [{ get: \"/\\0\" }]".utf8))?.hasPrefix("x:1:19: the text holds a NUL") == true)
        #expect(problem(Array("a: \u{80}".utf8)) != nil)
    }

    @Test func `A byte order mark is no part of the text`() throws {
        #expect(try scenario("\u{feff}requests:\n  - get: /").steps.count == 1)
    }

    @Test func `Files that are too large, or have too many values, are refused`() {
        #expect(
            problems(String(repeating: "#\n", count: 9 << 20)) == [
                "shop.yaml: the file is larger than 16 MB; move long data to CSV files"
            ])
        let many = "requests: [" + String(repeating: "a,", count: 600_000) + "]"
        #expect(problems(many).first?.hasSuffix("there are more than 500,000 values") == true)
    }

    @Test func `A huge text is read`() throws {
        let body = String(repeating: "x", count: 2 << 20)
        #expect(try scenario("requests:\n  - post: /\n    body: \(body)").steps.count == 1)
        #expect(problems("requests:\n  - get: /\(body)").first?.hasSuffix("the path is longer than 64 KiB") == true)
    }

    @Test func `A constant that is repeated often is refused before it takes all memory`() {
        let constant = String(repeating: "x", count: 1 << 20)
        let text =
            "variables: { a: \(constant) }\nrequests:\n  - post: /\n    body: \"\(String(repeating: "${a}", count: 100_000))\""
        #expect(problems(text).first?.containsBytes(of: "larger than 64 MB") == true)
    }

    @Test func `Whatever is cut off or changed is an error or a scenario, never a crash`() {
        let bytes = Array(Self.shop.utf8)
        var random = SplitMix64(seed: 7)
        func read(_ bytes: [UInt8]) {
            _ = try? Scenario.read(bytes, name: "x") { _ throws(ScenarioFileError) in Array("name,password\na,b\n".utf8)
            }
        }
        for count in 0..<bytes.count { read(Array(bytes[..<count])) }
        for _ in 0..<2_000 {
            var changed = bytes
            for _ in 0..<3 {
                changed[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next() % 128)
            }
            read(changed)
        }
    }
}
