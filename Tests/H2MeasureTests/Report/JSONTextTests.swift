import Foundation
import H2Measure
import H2TestSupport
import Testing

@Suite(.inTurn) struct JSONTextTests {
    @Test func `Names keep their order and lists of values take a line`() {
        let value: JSONText = ["b": 1, "a": [1, "x", true, .null], "c": ["d": ["e": [:]]], "f": [], "g": [[1], [2]]]
        #expect(
            value.text == """
                {
                  "b": 1,
                  "a": [1, "x", true, null],
                  "c": {
                    "d": {"e": {}}
                  },
                  "f": [],
                  "g": [
                    [1],
                    [2]
                  ]
                }

                """)
    }

    @Test func `A list that is too long for a line takes one for each value`() {
        let value = JSONText.array((0..<60).map { .integer($0) })
        #expect(value.text.hasPrefix("[\n  0,\n  1,\n"))
        #expect(value.text.hasSuffix("  59\n]\n"))
    }

    @Test(arguments: [
        ("\"\\/", #""\"\\/""#), ("\u{0}\u{1f}\n\r\t", #""\u0000\u001f\n\r\t""#), ("ü漢😀", "\"ü漢😀\""),
        ("\u{7f}\u{2028}\u{202e}\u{9b}", #""\u007f\u2028\u202e\u009b""#),
    ])
    func `Strings are escaped`(_ text: String, _ expected: String) {
        #expect(JSONText.string(text).text == expected + "\n")
    }

    @Test(arguments: [
        (1.0, "1"), (-0.5, "-0.5"), (0.1, "0.1"), (1e-9, "1e-09"), (1e300, "1e+300"), (1.5e16, "1.5e+16"),
        (.infinity, "null"), (-.infinity, "null"), (.nan, "null"), (.leastNonzeroMagnitude, "5e-324"),
    ])
    func `Numbers are short and never infinite`(_ value: Double, _ expected: String) {
        #expect(JSONText.number(value).text == expected + "\n")
    }

    @Test func `Numbers read back as they were`() {
        for _ in 0..<1000 {
            let value = Double(bitPattern: .random(in: 0...UInt64.max))
            guard value.isFinite else { continue }
            #expect(Double(JSONText.number(value).text.dropLast()) == value)
        }
    }

    @Test func `Another reader finds the same in it`() throws {
        let strange = String(String.UnicodeScalarView((0..<0x3000).compactMap(Unicode.Scalar.init)))
        let numbers: [Double] = [1e-9, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 123_456_789.123]
        let value: JSONText = [
            "text": .string(strange), "numbers": .array(numbers.map { .number($0) }), "least": .integer(.min),
        ]
        let read = try #require(try JSONSerialization.jsonObject(with: Data(value.text.utf8)) as? [String: Any])
        #expect(read["text"] as? String == strange)
        #expect(read["numbers"] as? [Double] == numbers)
        #expect(read["least"] as? Int == .min)
    }
}
