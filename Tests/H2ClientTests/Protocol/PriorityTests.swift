import Testing

@testable import H2Client

@Suite struct PriorityTests {
    @Test(
        arguments: [
            (Priority(), "u=3"), (Priority(urgency: 0, isIncremental: true), "u=0, i"), (Priority(urgency: 7), "u=7"),
            (Priority(urgency: -5), "u=0"), (Priority(urgency: 99), "u=7"),
        ])
    func `A priority is a structured field, its urgency within 0 and 7`(_ priority: Priority, _ text: String) {
        #expect(priority.fieldValue == text)
    }
}
