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
}
