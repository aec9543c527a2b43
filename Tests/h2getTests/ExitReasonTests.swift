import H2Client
import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct ExitReasonTests {
    @Test(arguments: [
        (H2Error.Code.invalidURL, ExitReason.badURL), (.invalidRequest, .usage), (.resolveFailed, .resolveFailed),
        (.connectFailed, .connectFailed), (.tlsFailed, .tlsFailed), (.certificateRejected, .notVerified),
        (.tlsConfiguration, .authorityFile), (.http2NotNegotiated, .http2), (.streamReset, .stream),
        (.notProcessed, .http2), (.connectionDraining, .http2), (.timeout, .timeout), (.bodyTooLarge, .tooBig),
    ])
    func `Each error has curl's number`(_ code: H2Error.Code, _ status: ExitReason) {
        #expect(ExitReason(H2Error(code, message: "m"), during: .request) == status)
    }

    @Test func `The numbers are curl's`() {
        #expect(ExitReason.connectFailed.rawValue == 7)
        #expect(ExitReason.statusRefused.rawValue == 22)
        #expect(ExitReason.writeFailed.rawValue == 23)
        #expect(ExitReason.timeout.rawValue == 28)
        #expect(ExitReason.notVerified.rawValue == 60)
        #expect(ExitReason.stream.rawValue == 92)
    }

    @Test func `A broken protocol is told by what it ended`() {
        let stream = H2Error(.protocolViolation, scope: .stream(5), message: "m")
        let connection = H2Error(.protocolViolation, scope: .connection, message: "m")
        #expect(ExitReason(stream, during: .response) == .stream)
        #expect(ExitReason(connection, during: .response) == .http2)
    }

    @Test func `A connection that ends means other things before and after the head`() {
        let plain = H2Error(.connectionClosed, scope: .connection, message: "m")
        let reset = H2Error(.connectionClosed, scope: .connection, cause: .errno(104), message: "m")
        let goAway = H2Error(
            .connectionClosed, scope: .connection, cause: .http2(.enhanceYourCalm, debugText: ""), message: "m")
        #expect(ExitReason(plain, during: .request) == .emptyReply)
        #expect(ExitReason(plain, during: .response) == .partial)
        #expect(ExitReason(reset, during: .request) == .receiveFailed)
        #expect(ExitReason(goAway, during: .request) == .http2)
    }

    @Test func `Local trouble is reading before the head and writing after it`() {
        let error = H2Error(.localIO, message: "m")
        #expect(ExitReason(error, during: .request) == .readFailed)
        #expect(ExitReason(error, during: .response) == .writeFailed)
    }

    @Test func `The line names the code, the server's words and what to try`() {
        let error = H2Error(
            .streamReset, scope: .stream(5), initiator: .remote, cause: .http2(.refusedStream, debugText: "busy"),
            message: "stream 5 reset by server", remedy: "the library's advice")
        #expect(
            Failure(error, during: .request).message
                == "stream 5 reset by server (error 0x7 REFUSED_STREAM), server says \"busy\"; "
                + "try it again, with a lower --parallel-max")
        var complete = error
        complete.cause = .http2(.internalError, debugText: "busy")
        complete.message = "stream 5 reset by server (error 0x2 INTERNAL_ERROR: busy)"
        #expect(Failure(complete, during: .request).message == "\(complete.message); the library's advice")
        complete.remedy = "raise ConnectionConfiguration.Limits.something"
        #expect(Failure(complete, during: .request).message == complete.message)
    }
}
