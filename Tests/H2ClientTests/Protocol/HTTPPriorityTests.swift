import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct PriorityTests {
    @Test(
        arguments: [
            (HTTPPriority(), "u=3"), (HTTPPriority(urgency: 0, isIncremental: true), "u=0, i"),
            (HTTPPriority(urgency: 7), "u=7"),
            (HTTPPriority(urgency: -5), "u=0"), (HTTPPriority(urgency: 99), "u=7"),
        ])
    func `A priority is a structured field, its urgency within 0 and 7`(_ priority: HTTPPriority, _ text: String) {
        #expect(priority.fieldValue == text)
    }
}
