import H2Platform
import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn) struct JSONPointerTests {
    private func value(_ pointer: String, _ json: String) throws -> String? {
        try JSONPointer(pointer).value(in: Array(json.utf8)).map { String(decoding: $0, as: UTF8.self) }
    }

    /// RFC 6901 section 5.
    private static let example = #"""
        {
           "foo": ["bar", "baz"],
           "": 0,
           "a/b": 1,
           "c%d": 2,
           "e^f": 3,
           "g|h": 4,
           "i\\j": 5,
           "k\"l": 6,
           " ": 7,
           "m~n": 8
        }
        """#

    @Test(arguments: [
        ("/foo", #"["bar", "baz"]"#), ("/foo/0", "bar"), ("/foo/1", "baz"), ("/", "0"), ("/a~1b", "1"), ("/c%d", "2"),
        ("/e^f", "3"), ("/g|h", "4"), (#"/i\j"#, "5"), (#"/k"l"#, "6"), ("/ ", "7"), ("/m~0n", "8"),
    ])
    func `The examples of RFC 6901 have their values`(_ pointer: String, _ expected: String) throws {
        #expect(try value(pointer, Self.example) == expected)
    }

    @Test func `The empty pointer means the whole document`() throws {
        #expect(try value("", Self.example) == Self.example)
        #expect(try value("", "  12 \n") == "12")
        #expect(try value("", #""a\tb""#) == "a\tb")
    }

    @Test(arguments: [
        ("/foo/2", "an index beyond the end"), ("/foo/-", "the element after the last"), ("/foo/00", "a leading zero"),
        ("/foo/01", "a leading zero"), ("/foo/x", "a name in an array"), ("/foo/0/x", "a part of a text"),
        ("/bar", "a name that is not there"), ("//x", "a part of a number"),
        ("/foo/99999999999999999999", "a long index"),
    ])
    func `What is not there is nil`(_ pointer: String, _ what: Comment) throws {
        #expect(try value(pointer, Self.example) == nil, what)
    }

    @Test(arguments: [
        ("/a/b/c", #"{"a":{"b":{"c":"x"}}}"#, "x"),
        ("/a/1/c", #"{"x":[1,{"c":0}],"a":[{"c":1},{"b":{"c":2},"c":3}]}"#, "3"),
        ("/2/1", "[[1,2],[3,4],[5,6]]", "6"),
        ("/1", "[[],{},3]", "{}"),
        ("/a", #"{"a":-0.5e+10}"#, "-0.5e+10"),
        ("/a", #"{"a":true}"#, "true"),
        ("/a", #"{"a":null}"#, "null"),
        ("/a", #"{"a":{ "b" : [ ] }}"#, #"{ "b" : [ ] }"#),
        ("/b", #"{"a":{"b":1},"b":2}"#, "2"),
        ("/a", #"{"a":1,"a":2}"#, "1"),
        ("/é", #"{"\u00e9":1}"#, "1"),
        ("/\u{1f600}", #"{"\ud83d\uDE00":1}"#, "1"),
        ("/0", "\u{feff}[7]", "7"),
    ])
    func `A value is found wherever it is`(_ pointer: String, _ json: String, _ expected: String) throws {
        #expect(try value(pointer, json) == expected)
    }

    @Test(arguments: [
        (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"), (#""\u0041\u00df\u6771""#, "Aß東"),
        (#""\ud83d\ude00""#, "\u{1f600}"),
        (#""""#, ""),
    ])
    func `A text has no escapes`(_ json: String, _ expected: String) throws {
        #expect(try value("", json) == expected)
    }

    @Test(arguments: [
        #""\ud83d""#, #""\ude00""#, #""\ud83dx""#, #""\ud83d\n""#, #""\ud83d\u0041""#, #""\ud83d\ud83d""#,
    ])
    func `Half a surrogate pair is no text`(_ json: String) throws {
        #expect(try value("", json) == nil)
    }

    @Test(arguments: [
        "", " ", "{", "[", #"{"a":1"#, #"{"a":1}}"#, #"{"a":1} x"#, #"{"a":1,}"#, "{a:1}", #"{"a" 1}"#,
        #"{"a":1 "b":2}"#,
        #"{"a":1,"b":[1,]}"#, #"{"a":1,"b":[1 2]}"#, #"{"a":1,"b":]}"#, #"{"a":1,"b":01}"#, #"{"a":1,"b":1.}"#,
        #"{"a":1,"b":.5}"#, #"{"a":1,"b":+1}"#, #"{"a":1,"b":1e}"#, #"{"a":1,"b":-}"#, #"{"a":1,"b":tru}"#,
        #"{"a":1,"b":NaN}"#, #"{"a":1,"b":"\x"}"#, #"{"a":1,"b":"\u12g4"}"#, #"{"a":1,"b":"x}"#,
        "{\"a\":1,\"b\":\"\n\"}",
        #"{"a":1,"b":'x'}"#, #"{"a":1]"#, #"{"a":1,"b":[}]}"#, #"{"a":1,"b":"\"#, #"{"a":1,"b":"\u00"#,
    ])
    func `A malformed document has no values`(_ json: String) throws {
        #expect(try value("/a", json) == nil)
    }

    @Test func `Documents are at most 512 deep`() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(try value("", nested(512)) == nested(512))
        #expect(try value("", nested(513)) == nil)
        #expect(try value("", String(repeating: "[", count: 1_000_000)) == nil)
        let path = String(repeating: "/0", count: 511)
        #expect(try value(path, nested(512)) == "[]")
    }

    @Test(arguments: [
        ("items", "write one as /items/0/id"), ("/a~", "write ~0 for ~"), ("/a~2b", "write ~0 for ~"),
        ("#/a", "is not a JSON pointer"),
    ])
    func `A pointer that is none is refused`(_ text: String, _ message: String) throws {
        let problem = try #require(throws: TextProblem.self) { try JSONPointer(text) }
        #expect(problem.message.containsBytes(of: message), "\(problem.message)")
    }
}
