import H2Measure
import H2TestSupport
import Testing

@Suite(.inTurn) struct ChartTextTests {
    @Test(arguments: [
        (0, "0"), (850, "850 ns"), (1_000, "1.00 µs"), (12_340, "12.3 µs"), (999_700, "1.00 ms"),
        (123_400_000, "123 ms"),
        (1_500_000_000, "1.50 s"), (449_000_000_000, "449 s"), (725_000_000_000, "12 min 5 s"),
        (7_380_000_000_000, "2 h 3 min"),
    ])
    func `Times have three digits and their unit`(_ nanoseconds: Double, _ text: String) {
        #expect(ChartUnit.nanoseconds.text(nanoseconds) == text)
    }

    @Test func `Numbers and bytes have their units`() {
        #expect(ChartUnit.count.text(7) == "7")
        #expect(ChartUnit.count.text(10.84) == "10.8")
        #expect(ChartUnit.count.text(12_340) == "12.3k")
        #expect(ChartUnit.count.text(2_500_000) == "2.50M")
        #expect(ChartUnit.bytes.text(512) == "512 B")
        #expect(ChartUnit.bytes.text(1_480) == "1.48 kB")
        #expect(ChartUnit.bytes.text(1_509_321_760) == "1.51 GB")
        #expect(ChartUnit.part.text(0.874) == "87.4 %")
        #expect(ChartUnit.seconds.text(0.25) == "250 ms")
        #expect(ChartUnit.seconds.text(125) == "2 min 5 s")
    }

    @Test(arguments: [ChartUnit.nanoseconds, .seconds, .count, .bytes, .part, .percentile])
    func `What is no number is a dash`(_ unit: ChartUnit) {
        #expect(unit.text(.nan) == "–")
        #expect(unit.text(.infinity) == "–")
        #expect(!unit.text(1e300).isEmpty)
        #expect(!unit.text(-1e300).isEmpty)
    }

    @Test func `Chosen values are written without zeros behind the point`() {
        #expect(ChartUnit.seconds.short(20) == "20 s")
        #expect(ChartUnit.seconds.short(2.5) == "2.5 s")
        #expect(ChartUnit.nanoseconds.short(100e6) == "100 ms")
        #expect(ChartUnit.count.short(1000) == "1k")
    }

    @Test func `Large numbers in tables have all their digits`() {
        #expect(ChartUnit.number(10.84) == "10.8")
        #expect(ChartUnit.number(6) == "6")
        #expect(ChartUnit.number(16_996.4) == "16,996")
        #expect(ChartUnit.number(.nan) == "–")
        #expect(grouped(0) == "0")
        #expect(grouped(-1_234_567) == "-1,234,567")
        #expect(grouped(Int.min) == "-9,223,372,036,854,775,808")
    }

    @Test func `Fixed digits are rounded`() {
        #expect(ChartUnit.fixed(2.345, decimals: 1) == "2.3")
        #expect(ChartUnit.fixed(-0.04, decimals: 1) == "0.0")
        #expect(ChartUnit.fixed(0.05, decimals: 2) == "0.05")
        #expect(ChartUnit.plain(99.99) == "99.99")
        #expect(ChartUnit.plain(100) == "100")
    }

    @Test func `Markup is escaped`() {
        #expect(Markup.escaped("<a href=\"x\">'&'</a>") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;")
        #expect(Markup.escaped("\u{0}\u{1B}[31m\u{202E}\u{9B}") == "\u{FFFD}\u{FFFD}[31m\u{FFFD}\u{FFFD}")
        #expect(Markup.escaped("größer\n😀") == "größer\n😀")
        #expect(Markup.element("a", ["b": "\"><c>"], "x") == "<a b=\"&quot;&gt;&lt;c&gt;\">x</a>")
    }
}
