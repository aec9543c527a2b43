import H2Measure
import H2TestSupport
import Testing

@Suite(.inTurn) struct QuantityTextTests {
    @Test(
        arguments: [
            ("10", 10_000_000_000), ("10s", 10_000_000_000), ("250ms", 250_000_000), ("30us", 30_000), ("30µs", 30_000),
            ("5ns", 5), ("2m", 120_000_000_000), ("1h", 3_600_000_000_000), ("0", 0), ("0.5s", 500_000_000), ("", nil),
            ("s", nil), ("-1s", nil), ("1e3s", nil), ("1 s", nil), ("nan", nil), ("1d", nil), ("1.2.3s", nil),
            ("0x1s", nil), ("99999999999999999999s", nil), ("87600h", 315_360_000_000_000_000), ("87601h", nil),
        ] as [(String, UInt64?)])
    func `A time has a unit or is seconds`(_ text: String, _ nanoseconds: UInt64?) {
        #expect(QuantityText.nanoseconds(text) == nanoseconds)
    }

    @Test func `What a number alone is depends on the option`() {
        #expect(QuantityText.nanoseconds("7", bare: .milliseconds) == 7_000_000)
        #expect(QuantityText.nanoseconds("7", bare: .refused) == nil)
        #expect(QuantityText.nanoseconds("7ms", bare: .refused) == 7_000_000)
    }

    @Test func `Numbers, rates and parts have their units`() {
        #expect(QuantityText.whole("10K", thousand: 1_000) == 10_000)
        #expect(QuantityText.whole("10k", thousand: 1_024) == 10_240)
        #expect(QuantityText.whole("99999999999G", thousand: 1_000) == nil)
        #expect(QuantityText.rate("1.5K/s") == 1_500)
        #expect(QuantityText.rate("x/s") == nil)
        #expect(QuantityText.part("0.5%") == 0.005)
        #expect(QuantityText.part("0.5") == nil)
    }
}
