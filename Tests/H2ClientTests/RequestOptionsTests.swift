import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct RequestOptionsTests {
    @Test func `Options are values: a copy that is changed leaves the other alone`() {
        var first = RequestOptions()
        #expect(first.areDefaults)
        first.timeout = .seconds(1)
        var second = first
        second.timeout = .seconds(2)
        second.priority = HTTPPriority(urgency: 1)
        #expect(first.timeout == .seconds(1))
        #expect(first.priority == nil)
        #expect(second.timeout == .seconds(2))
        #expect(!first.areDefaults)
    }

    @Test func `Every option can be given when options are created`() throws {
        let origin = try Origin("https://example.com")
        let options = RequestOptions(
            timeout: .seconds(1), queueTimeout: .seconds(2), firstByteTimeout: .seconds(3), sendTimeout: .seconds(4),
            bodyProgressTimeout: .seconds(5), origin: origin, priority: HTTPPriority(urgency: 6),
            expectContinue: .seconds(7), onInformational: { _ in })
        #expect(options.timeout == .seconds(1) && options.queueTimeout == .seconds(2))
        #expect(options.firstByteTimeout == .seconds(3) && options.sendTimeout == .seconds(4))
        #expect(options.bodyProgressTimeout == .seconds(5) && options.origin == origin)
        #expect(options.priority?.urgency == 6 && options.expectContinue == .seconds(7))
        #expect(options.onInformational != nil)
        let other = RequestOptions(timeout: .seconds(9)).over(options)
        #expect(other.timeout == .seconds(9) && other.sendTimeout == .seconds(4))
    }
}
