import H2Client
import H2Measure
import H2TestSupport
import Testing

@testable import h2get

private func expanded(_ pattern: String) throws -> [String] { Array(try URLGlob(pattern)) }

private func refusal(_ pattern: String) -> String? {
    do {
        _ = try URLGlob(pattern)
        return nil
    } catch let failure as Failure {
        return failure.status == .usage ? failure.message : "status \(failure.status)"
    } catch {
        return "other: \(error)"
    }
}

@Suite(.inTurn) struct URLGlobTests {
    @Test(
        arguments: [
            ("http://a/", ["http://a/"]),
            ("[1-3]", ["1", "2", "3"]),
            ("[8-11]", ["8", "9", "10", "11"]),
            ("[008-011]", ["008", "009", "010", "011"]),
            ("[00-100:50]", ["00", "50", "100"]),
            ("[1-10:4]", ["1", "5", "9"]),
            ("[5-5]", ["5"]),
            ("[0-2]", ["0", "1", "2"]),
            ("[1-3:99]", ["1"]),
            ("[a-d]", ["a", "b", "c", "d"]),
            ("[A-Z:10]", ["A", "K", "U"]),
            ("{one,two}", ["one", "two"]),
            ("{one}", ["one"]),
            ("x{,a}y", ["xy", "xay"]),
            ("{a,b}[1-2]", ["a1", "a2", "b1", "b2"]),
            ("[1-2]/{x,y}/[a-b]", ["1/x/a", "1/x/b", "1/y/a", "1/y/b", "2/x/a", "2/x/b", "2/y/a", "2/y/b"]),
            ("", [""]),
        ])
    func `A pattern stands for its URLs, the last part changing fastest`(_ pattern: String, _ urls: [String]) throws {
        #expect(try expanded(pattern) == urls)
        #expect(try URLGlob(pattern).count == urls.count)
    }

    @Test(arguments: [
        (#"\[1-3\]"#, "[1-3]"), (#"\{a,b\}"#, "{a,b}"), (#"a\\b"#, #"a\b"#), (#"a\b"#, #"a\b"#), (#"a\"#, #"a\"#),
        ("http://[::1]:80/", "http://[::1]:80/"), ("http://[fe80::1%25eth0]/", "http://[fe80::1%25eth0]/"),
        ("http://[::ffff:127.0.0.1]/", "http://[::ffff:127.0.0.1]/"), ("a,b", "a,b"), ("ü/日本", "ü/日本"),
    ])
    func `Escapes and addresses stay as they are`(_ pattern: String, _ url: String) throws {
        #expect(try expanded(pattern) == [url])
    }

    @Test func `Escapes work inside a list`() throws {
        #expect(try expanded(#"{a\,b,c\}d,\[}"#) == ["a,b", "c}d", "["])
    }

    @Test func `An address and a range can stand in one URL`() throws {
        #expect(try expanded("http://[::1]/[1-2]") == ["http://[::1]/1", "http://[::1]/2"])
    }

    @Test(
        arguments: [
            ("a[1-", "'[' without ']', at character 2"), ("a{b", "'{' without '}', at character 2"),
            ("a]", "']' without its beginning, at character 2"), ("a}b", "'}' without its beginning"),
            ("{a,{b,c}}", "'{' inside a list, which cannot be nested, at character 4"),
            ("{a,[1-2]}", "'[' inside a list, which cannot be nested"), ("{a]}", "']' inside a list"),
            ("{}", "nothing between the braces"), ("[9-1]", "ends before it begins"),
            ("[z-a]", "ends before it begins"),
            ("[a-Z]", "neither [1-9], [01-99:2] nor [a-z]"), ("[a-9]", "neither"), ("[1]", "neither"),
            ("[]", "neither"),
            ("[1-2-3]", "neither"), ("[-1-2]", "neither"), ("[1-3:0]", "a step that is not a number above 0"),
            ("[1-3:x]", "a step that is not a number"), ("[1-3:]", "a step"), ("[ab-cd]", "neither"),
            ("[0-9223372036854775807]", "too large"), ("[1-99999999999999999999]", "neither"),
            ("[0-99999999999][0-99999999999]", "more URLs than can be counted"),
        ])
    func `A wrong pattern is refused with its place`(_ pattern: String, _ message: String) {
        #expect(refusal(pattern)?.contains(message) == true, "\(refusal(pattern) ?? "no refusal")")
        #expect(refusal(pattern)?.contains("'\(pattern)'") == true)
    }

    @Test func `A large pattern costs nothing until it is asked for`() throws {
        let glob = try URLGlob("http://h/[1-1000000]/[1-1000000]")
        #expect(glob.count == 1_000_000_000_000)
        #expect(glob[0] == "http://h/1/1")
        #expect(glob[1_000_000] == "http://h/2/1")
        #expect(glob[999_999_999_999] == "http://h/1000000/1000000")
    }

    // MARK: - What is measured

    private func urls(
        _ patterns: String..., inputFile: String? = nil, base: String? = nil
    ) -> (paths: [String], origin: String, refusal: String?) {
        do {
            let urls = try MeasuredURLs(
                patterns: patterns, inputFile: inputFile, base: base, command: .bench)
            return (urls.targets.map(\.path), urls.origin.description, nil)
        } catch {
            return ([], "", (error as? Failure).map { "\($0.status.rawValue) \($0.message)" } ?? "\(error)")
        }
    }

    @Test func `URLs keep their order and have one origin`() {
        let several = urls("https://h:1/{b,a}", "https://h:1/c?d#e")
        #expect(several.paths == ["/b", "/a", "/c?d"] && several.origin == "https://h:1")
        let other = urls("https://h/", "http://h/").refusal
        #expect(other?.hasPrefix("2 http://h is another origin than https://h") == true)
        #expect(other?.contains("-B https://h") == true)
        #expect(urls("https://h/", "https://h:443/", "HTTPS://H/").refusal == nil)
    }

    @Test func `A list's URLs come after those of the command line, as they are`() throws {
        let folder = try TemporaryFolder()
        let list = try folder.write("# two\nhttp://h/1\n\n  http://h/{a,b} \r\nhttp://h/3", to: "list")
        #expect(urls("http://h/0", inputFile: list).paths == ["/0", "/1", "/{a,b}", "/3"])
        let empty = try folder.write("# none\n", to: "empty")
        #expect(urls(inputFile: empty).refusal?.contains("no URL in \(empty)") == true)
        #expect(urls(inputFile: folder.path("absent")).refusal?.hasPrefix("26 cannot read") == true)
    }

    @Test func `A base takes the place of every origin, and makes paths enough`() {
        let based = urls("https://other:9/a", "/b", base: "http://h:80")
        #expect(based.paths == ["/a", "/b"] && based.origin == "http://h")
        #expect(urls("/b").refusal?.hasPrefix("3 ") == true)
        #expect(urls("/b", base: "http://h/path").refusal?.contains("write -B http://h") == true)
        #expect(urls("/b", base: "unix:/run/s").refusal?.contains("with bench --unix-socket") == true)
        #expect(urls("/b", base: "h:80").refusal?.contains("no scheme") == true)
    }

    @Test func `A million URLs are enough`() {
        #expect(urls("http://h/[1-1000001]").refusal?.contains("stands for 1000001 URLs, and 1000000 can be") == true)
        #expect(
            urls("http://h/", "http://h/[1-1000000]").refusal?.contains("1000000 URLs, after 1 others") == true)
        #expect(urls().refusal?.contains("no URL given; 'h2get bench --help'") == true)
    }
}
