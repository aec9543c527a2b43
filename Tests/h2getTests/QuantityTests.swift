import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct QuantityTests {
    @Test(
        arguments: [
            ("1", 1), ("1000", 1_000), ("10K", 10_000), ("10k", 10_000), ("2M", 2_000_000), ("1G", 1_000_000_000),
            ("0", nil), ("", nil), ("K", nil), ("-1", nil), ("1.5K", nil), ("1e3", nil), ("1 K", nil), ("+1", nil),
            ("99999999999G", nil), ("10KB", nil), ("2G", nil),
        ] as [(String, Int?)])
    func `A count is in thousands`(_ text: String, _ count: Int?) {
        #expect((try? Quantity.count(in: 1...1_000_000_000)(text)) == count)
    }

    @Test(
        arguments: [("16384", 16_384), ("16K", 16_384), ("1M", 1 << 20), ("16383", nil), ("17M", nil)]
            as [(String, Int?)])
    func `A size is in powers of 1,024`(_ text: String, _ size: Int?) {
        #expect((try? Quantity.size(in: 16_384...16_777_215)(text)) == size)
    }

    @Test(
        arguments: [
            ("10", .seconds(10)), ("10s", .seconds(10)), ("0.5s", .milliseconds(500)), ("250ms", .milliseconds(250)),
            ("1.5", .milliseconds(1_500)), ("2m", .seconds(120)), ("1h", .seconds(3_600)), ("0", .zero),
            ("0.25ms", .microseconds(250)), ("250us", .microseconds(250)), ("1ns", .nanoseconds(1)),
            ("168h", .seconds(604_800)), ("169h", nil), ("", nil), ("s", nil),
            ("-1s", nil), ("1e3", nil), ("nan", nil), ("1d", nil), ("1.2.3", nil), ("0x10", nil),
        ] as [(String, Duration?)])
    func `A time is in seconds unless it says otherwise`(_ text: String, _ time: Duration?) {
        #expect((try? Quantity.time(text)) == time)
    }

    @Test(
        arguments: [
            ("100", .constant(100)), ("100/s", .constant(100)), ("0.5", .constant(0.5)), ("10K/s", .constant(10_000)),
            ("100..2K", .range(100, 2_000)), ("0..5/s", .range(0, 5)), ("10..1", .range(10, 1)), ("0", nil),
            ("1..0", nil), ("..5", nil), ("5..", nil), ("1..2..3", nil), ("5/m", nil), ("-1", nil), ("inf", nil),
            ("200M", nil),
        ] as [(String, ArrivalRate?)])
    func `A rate is a number a second, or goes from one to another`(_ text: String, _ rate: ArrivalRate?) {
        #expect((try? ArrivalRate(text: text)) == rate)
    }
}
