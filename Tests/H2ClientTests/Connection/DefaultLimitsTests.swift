import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct DefaultLimitsTests {
    @Test func `Long limits are taken from the options, which are empty then`() throws {
        var options = HTTPClient.Configuration.defaultRequestOptions
        let limits = try #require(DefaultLimits(takenFrom: &options))
        #expect(
            limits.firstByte == .seconds(60) && limits.sending == .seconds(60) && limits.betweenBytes == .seconds(60))
        #expect(limits.period == 3_000_000_000)
        #expect(options.areDefaults)
    }

    @Test func `Other options stay`() throws {
        var options = RequestOptions(timeout: .seconds(30), firstByteTimeout: .seconds(20))
        let limits = try #require(DefaultLimits(takenFrom: &options))
        #expect(limits.firstByte == .seconds(20) && limits.betweenBytes == nil)
        #expect(options.timeout == .seconds(30) && options.firstByteTimeout == nil)
    }

    @Test func `Short limits, or none, are left to each request`() {
        var short = RequestOptions(firstByteTimeout: .seconds(60), bodyProgressTimeout: .milliseconds(9_999))
        #expect(DefaultLimits(takenFrom: &short) == nil)
        #expect(short.firstByteTimeout == .seconds(60))
        var none = RequestOptions(timeout: .seconds(60))
        #expect(DefaultLimits(takenFrom: &none) == nil)
    }
}
