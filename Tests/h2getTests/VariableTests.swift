import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn, .timeLimit(.minutes(5))) struct VariableTests {
    @Test(
        arguments: [
            ("{{a}}", " x\"y\n"), ("1{{a:trim}}2{{a:trim}}", "1x\"y2x\"y"), ("{{a:trim:url}}", "x%22y"),
            ("{{a:json}}", " x\\\"y\\n"), ("{{a:trim:b64}}", "eCJ5"), ("{{none}}", ""), ("\\{{a}}", "{{a}}"),
            ("{{ a }}", "{{ a }}"), ("{{}}", "{{}}"), ("plain } {", "plain } {"), ("{{b:b64}}", "YWI="),
            ("{{empty:b64:trim}}", ""),
        ])
    func `Values take the place of names`(_ text: String, _ expanded: String) throws {
        let arguments = try parsed(
            .fetch, ["--variable", "a= x\"y\n", "--variable", "b=ab", "--variable", "empty=", "--expand-data", text])
        #expect(try arguments.text(.data) == expanded)
    }

    @Test func `Values come from files, stdin and the environment, and lines of a configuration file take them`()
        async throws
    {
        let served = try Served { $0.security = .cleartext }
        _ = try served.folder.write(" from a file\n", to: "f")
        _ = try served.folder.write(
            "variable = file@f\nvariable = %HOME\nexpand-data = \"{{file:trim}}|{{given}}|{{HOME}}|{{std:trim}}\"\n",
            to: "config")
        let result = try await served.get(
            ["--variable", "given=1", "--variable", "std@-", "-K", "config", "--expand-url", served.url("/{{path}}")],
            input: Data("in\n".utf8))
        // The path has no value.
        #expect(result.status == 0 || result.status == 22, "\(result.errors)")
        let told = try await served.get(
            ["--variable", "given=1", "--variable", "std@-", "-K", "config", "--variable", "path=echo", "--expand-url"]
                + [served.url("/{{path}}")], input: Data("in\n".utf8))
        #expect(told.text == "from a file|1|\(getenv("HOME").map { String(cString: $0) } ?? "")|in", "\(told.errors)")
        #expect(try parsed(.fetch, ["--variable", "%H2GET_NONE=d", "--expand-data={{H2GET_NONE}}"]).text(.data) == "d")
    }

    @Test(
        arguments: [
            (["--variable", "a b=c"], "letters, digits"), (["--variable", "=c"], "letters, digits"),
            (["--variable", "a"], "has no value"),
            (["--variable", "%H2GET_NONE"], "the environment has no H2GET_NONE"),
            (["--variable", "a@"], "file's name"), (["--variable", "a=1", "--expand-data", "{{a:up}}"], "no function"),
            (["--expand-data", "{{a"], "a }} is missing"), (["--expand-fail"], "has no value to expand"),
            (["--expand-data"], "needs a value"), (["--expand-nonsense", "x"], "is not an option"),
        ] as [([String], String)])
    func `What cannot be expanded is refused`(_ words: [String], _ message: String) {
        let failure = #expect(throws: Failure.self) { _ = try parsed(.fetch, words) }
        #expect(failure?.status == .usage && failure?.message.contains(message) == true, "\(failure?.message ?? "")")
    }

    @Test func `A variable is there in all parts, and stdin is read once`() throws {
        let parts = try FetchPlan(
            parsed(
                .fetch,
                [
                    "--variable", "a=1", "--expand-data", "{{a}}", "http://h/", "-:", "--expand-data", "{{a}}2",
                    "http://h/",
                ])
        ).parts
        #expect(parts.map(\.body) == [.bytes([0x31]), .bytes([0x31, 0x32])])
    }
}
