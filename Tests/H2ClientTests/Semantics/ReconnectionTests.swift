import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct ReconnectionTests {
    /// Returns the lowest or the highest number of each range.
    private struct Constant: RandomNumberGenerator {
        var value: UInt64
        mutating func next() -> UInt64 { value }
    }

    /// With 0 the standard library would ask forever.
    private var lowest = Constant(value: 1)

    private static let second: UInt64 = 1_000_000_000

    private func reconnection(
        time: Duration = .seconds(3), longest: Duration = .seconds(60), failures: Int? = nil
    ) -> Reconnection {
        Reconnection(
            ServerSentEvents.Settings(
                reconnectionTime: time, maximumReconnectionTime: longest, maximumFailures: failures))
    }

    @Test func `The wait doubles with each failure, up to the longest`() {
        var (reconnection, random) = (reconnection(), lowest)
        let waits = (0..<7).map { _ in reconnection.waitAfterFailure(using: &random)! / Self.second }
        #expect(waits == [3, 6, 12, 24, 48, 60, 60])
    }

    @Test func `A connection with an event, or one that lasted, starts from the beginning`() {
        var (reconnection, random) = (reconnection(), lowest)
        for _ in 0..<4 { _ = reconnection.waitAfterFailure(using: &random) }
        reconnection.answered()
        reconnection.received()
        #expect(reconnection.waitAfterEnd(lasted: 0, using: &random) == 3 * Self.second)
        for _ in 0..<4 { _ = reconnection.waitAfterFailure(using: &random) }
        reconnection.answered()
        #expect(reconnection.waitAfterEnd(lasted: 60 * Self.second, using: &random) == 3 * Self.second)
    }

    @Test func `Answers without events lead to longer waits, but never to the end`() {
        var (reconnection, random) = (reconnection(time: .zero, failures: 2), lowest)
        var waits: [UInt64] = []
        for _ in 0..<12 {
            reconnection.answered()
            waits.append(reconnection.waitAfterEnd(lasted: 0, using: &random) / 1_000_000)
        }
        #expect(waits.prefix(4) == [100, 200, 400, 800])
        #expect(waits.last == 60_000)
        reconnection.answered()
        reconnection.received()
        #expect(reconnection.waitAfterEnd(lasted: 0, using: &random) == 0)
    }

    @Test func `Too many failures in a row end it, and an answer counts anew`() {
        var (reconnection, random) = (reconnection(failures: 2), lowest)
        #expect(reconnection.waitAfterFailure(using: &random) != nil)
        reconnection.answered()
        #expect(reconnection.waitAfterFailure(using: &random) != nil)
        #expect(reconnection.waitAfterFailure(using: &random) == nil)
        var none = self.reconnection(failures: 0)
        #expect(none.waitAfterFailure(using: &random) == nil)
    }

    @Test(arguments: [Duration.zero, .seconds(-5), .seconds(5), .seconds(86_400), .seconds(Int64.max)])
    func `No wait is shorter than the server asks for, or overflows`(_ time: Duration) {
        for value in [1, UInt64.max] {
            var (reconnection, random) = (reconnection(time: time), Constant(value: value))
            for _ in 0..<100 {
                let wait = reconnection.waitAfterFailure(using: &random)!
                #expect(wait >= time.clampedNanoseconds)
            }
        }
    }

    @Test(arguments: H2Error.Code.allCases)
    func `A cause that stays ends it`(_ code: H2Error.Code) {
        let passing: Set<H2Error.Code> = [
            .resolveFailed, .connectFailed, .streamReset, .notProcessed, .connectionClosed, .connectionDraining,
            .timeout,
            .proxyFailed, .tlsFailed,
        ]
        #expect(Reconnection.mayHelp(H2Error(code, message: "")) == passing.contains(code))
    }

    @Test func `The time limit of a whole connection and a cancellation end it`() {
        #expect(!Reconnection.mayHelp(CancellationError()))
        #expect(
            !Reconnection.mayHelp(
                H2Error(.timeout, cause: .timeout(.wholeRequest, after: .seconds(1)), message: "")))
        #expect(
            Reconnection.mayHelp(H2Error(.timeout, cause: .timeout(.betweenBytes, after: .seconds(1)), message: "")))
    }
}
