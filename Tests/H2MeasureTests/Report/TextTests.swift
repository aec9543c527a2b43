@testable import H2Measure
import H2TestSupport
import Testing

@Suite(.inTurn) struct ReportTextTests {
    @Test(arguments: [
        ("plain, ü and 漢", "plain, ü and 漢"), ("a\u{1b}[31mb", "a\\x1b[31mb"), ("a\r\nb\t\0", "a\\x0d\\x0ab\\x09\\x00"),
        ("\u{7f}\u{9b}1m", "\\x7f\\u{9b}1m"), ("a\u{202e}b", "a\\u{202e}b"),
    ])
    func `Nothing that a server sends can steer a terminal`(_ text: String, _ expected: String) {
        #expect(printable(text) == expected)
    }

    @Test(arguments: [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"),
        (123_456_789, "123.5 MB"), (5_000_000_000_000, "5.0 TB"),
    ])
    func `Bytes are written in powers of a thousand`(_ count: Int, _ expected: String) {
        #expect(byteCount(count) == expected)
    }

    @Test func `Numbers have so many decimals`() {
        #expect(fixed(1.005, 1) == "1.0")
        #expect(fixed(0.0449, 2) == "0.04")
        #expect(fixed(-1.5, 1) == "-1.5")
        #expect(fixed(9.99, 1) == "10.0")
        #expect(fixed(3.7, 0) == "4")
        #expect(fixed(.infinity, 1) == "?")
        #expect(fixed(9e14, 6) == "?")
    }

    @Test(arguments: [
        (0.0, "0 ns"), (999.4, "999 ns"), (999.6, "1.00 µs"), (1234, "1.23 µs"), (12_345, "12.3 µs"),
        (123_456, "123 µs"), (999_499, "999 µs"), (999_500, "1.00 ms"), (9_994_000, "9.99 ms"), (9_996_000, "10.0 ms"),
        (999_600_000, "1.00 s"), (2.5e9, "2.50 s"), (599e9, "599 s"), (750e9, "12.5 min"), (-1, "?"), (.nan, "?"),
    ])
    func `Times have three digits and their unit`(_ nanoseconds: Double, _ expected: String) {
        #expect(timeText(nanoseconds: nanoseconds) == expected)
    }

    @Test(arguments: [
        (0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567"), (Int.min, "-9,223,372,036,854,775,808"),
    ])
    func `Counts are grouped by thousands`(_ count: Int, _ expected: String) {
        #expect(grouped(count) == expected)
    }

    @Test func `Lines are broken at spaces and long words anywhere`() {
        #expect(wrapped("one two three", width: 20) == ["one two three"])
        #expect(wrapped("one two three four five", width: 14, indent: 2) == ["one two three", "  four five"])
        let long = wrapped(String(repeating: "x", count: 50) + " y", width: 20, indent: 2)
        #expect(long.allSatisfy { $0.count <= 20 })
        #expect(long.joined().filter { $0 == "x" }.count == 50)
    }
}
