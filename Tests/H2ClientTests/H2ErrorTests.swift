import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct H2ErrorTests {
    @Test func `An error reads as what happened and what to try`() {
        let error = H2Error(.timeout, message: "it took too long", remedy: "allow more time")
        #expect("\(error)" == "it took too long; allow more time")
        #expect("\(H2Error(.timeout, message: "it took too long"))" == "it took too long")
    }

    @Test func `Only HTTP-2 causes have an HTTP-2 code`() {
        #expect(H2Error(.streamReset, cause: .http2(.cancel, debugText: "x"), message: "").http2Code == .cancel)
        #expect(H2Error(.localIO, cause: .errno(5), message: "").http2Code == nil)
    }

    @Test func `A refused stream may be sent again, unless we refused it, and ENHANCE_YOUR_CALM never`() {
        func reset(_ code: H2Error.HTTP2Code, by initiator: H2Error.Initiator, headArrived: Bool = false) -> H2Error {
            .reset(stream: 1, code: code, by: initiator, headArrived: headArrived)
        }
        #expect(reset(.refusedStream, by: .remote).isRetryable)
        #expect(!reset(.refusedStream, by: .remote, headArrived: true).isRetryable)
        #expect(!reset(.refusedStream, by: .local).isRetryable)
        #expect(!reset(.enhanceYourCalm, by: .remote).isRetryable)
    }

    @Test(arguments: [H2Error.Phase.queued, .firstByte, .betweenBytes, .wholeRequest])
    func `A timeout names its limit, and only one in the queue is surely not processed`(_ phase: H2Error.Phase) {
        let error = H2Error.timeout(phase, .milliseconds(250), stream: 5)
        #expect(error.cause == .timeout(phase, after: .milliseconds(250)))
        #expect(error.message.contains("0.25"))
        #expect(!error.remedy.isEmpty)
        #expect(error.isRetryable == (phase == .queued))
    }

    @Test func `An errno is given with its words`() {
        #expect(describeErrno(2).contains("No such file"))
        #expect(describeErrno(2).contains("errno 2"))
    }
}
