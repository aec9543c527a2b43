import H2Platform
import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn) struct ScenarioRegexTests {
    private func match(_ pattern: String, _ text: String) throws -> String? {
        try ScenarioRegex(pattern, captures: true).match(in: Array(text.utf8)).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    @Test(arguments: [
        (#"name="csrf" value="([^"]+)""#, #"<input name="csrf" value="a1b2">"#, "a1b2"),
        ("[0-9]+", "id 42, 43", "42"), ("(a)(b)", "ab", "a"), ("x|y", "ay", "y"), ("^b", "b", "b"), ("a*", "", ""),
        ("(é)+", "caféé", "é"), ("f.*", "café", "fé"), (#"\$\{[a-z]+\}"#, "${abc}", "${abc}"),
    ])
    func `The first group is taken, or the whole match`(_ pattern: String, _ text: String, _ expected: String) throws {
        #expect(try match(pattern, text) == expected)
        #expect(try ScenarioRegex(pattern, captures: false).matches(Array(text.utf8)))
    }

    @Test(arguments: [("x", ""), ("x", "abc"), ("^b", "ab"), ("x+(y)", "xx")])
    func `No match is nil`(_ pattern: String, _ text: String) throws {
        #expect(try match(pattern, text) == nil)
        #expect(try !ScenarioRegex(pattern, captures: false).matches(Array(text.utf8)))
    }

    @Test func `A group without a part in the match is nil`() throws {
        #expect(try match("a(b)?", "a") == nil)
    }

    @Test func `Bytes behind a NUL are seen`() throws {
        #expect(try match("b+", "a\u{0}bb") == "bb")
    }

    @Test(arguments: ["(", "[a", "a{2,1}", "*a(", "a{99999}", "[[:nix:]]", "[z-a]"])
    func `What regcomp refuses is refused with its text`(_ pattern: String) throws {
        let problem = try #require(throws: TextProblem.self) { try ScenarioRegex(pattern, captures: true) }
        #expect(!problem.message.isEmpty)
    }

    @Test(arguments: [
        "((((a{1,255}){1,255}){1,255}){1,255})",
        String(repeating: "(", count: 40) + "a" + String(repeating: "+)", count: 40),
        "a{10001}", "[a]{9999}[b]{9999}", "((a{100,}){100,}){2}",
    ])
    func `Repetitions that take all memory are refused`(_ pattern: String) throws {
        let problem = try #require(throws: TextProblem.self) { try ScenarioRegex(pattern, captures: true) }
        #expect(problem.message.containsBytes(of: "repeats too much"), "\(problem.message)")
    }

    @Test func `Ordinary repetitions are allowed`() throws {
        #expect(
            try match("([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})", "id=0f8fad5b-d9cb-469f-a165-70867728950e;") != nil)
        #expect(try match("[]{9999}[]{2}", "]{") == "]{")
    }

    @Test func `Back references and long expressions are refused`() {
        #expect(throws: TextProblem.self) { try ScenarioRegex(#"(a*)\1"#, captures: true) }
        #expect(throws: TextProblem.self) { try ScenarioRegex(String(repeating: "(", count: 100_000), captures: true) }
        #expect(throws: TextProblem.self) { try ScenarioRegex("", captures: true) }
    }
}
