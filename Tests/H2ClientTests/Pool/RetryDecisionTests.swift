import HTTPTypes
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct RetryDecisionTests {
    private typealias Situation = RetryDecision.Situation

    private static let idempotent: [HTTPRequest.Method] = [.get, .head, .options, .trace, .put, .delete]
    private static let others: [HTTPRequest.Method] = [.post, .patch, .connect, HTTPRequest.Method("PURGE")!]

    private func situation(
        _ method: HTTPRequest.Method = .get, _ change: (inout Situation) -> Void = { _ in }
    ) -> Situation {
        var situation = Situation(method: method)
        change(&situation)
        return situation
    }

    private func decide(
        _ error: any Error, _ situation: Situation, _ policy: HTTPClient.RetryPolicy = .init()
    ) -> RetryDecision {
        .decide(.failed(error), situation, policy)
    }

    private func decide(
        _ status: Int, _ retryAfter: UInt64?, _ situation: Situation,
        _ policy: HTTPClient.RetryPolicy = .withStatuses
    ) -> RetryDecision {
        .decide(.response(status: status, retryAfter: retryAfter), situation, policy)
    }

    private func decide(_ status: Int, _ situation: Situation) -> RetryDecision { decide(status, nil, situation) }

    private func error(
        _ code: H2Error.Code, _ http2: H2Error.HTTP2Code? = nil, by initiator: H2Error.Initiator = .remote,
        isRetryable: Bool = false
    ) -> H2Error {
        H2Error(
            code, scope: .stream(1), initiator: initiator, cause: http2.map { .http2($0, debugText: "") } ?? .unknown,
            message: "\(code)", isRetryable: isRetryable)
    }

    private func goAway(_ code: H2Error.HTTP2Code, last: Int32 = 0) -> H2Error {
        ConnectionSnapshot.GoAway(lastStreamID: last, code: code, debugText: "").notProcessed(3)
    }

    // MARK: - Nothing was processed

    @Test(arguments: idempotent + others) func `A refused stream is sent again after a backoff, whatever its method`(
        method: HTTPRequest.Method
    ) {
        let refused = H2Error.reset(stream: 1, code: .refusedStream, by: .remote)
        for attempts in 1...3 {
            #expect(decide(refused, situation(method) { $0.attempts = attempts }) == .after(atLeast: 0))
        }
        #expect(decide(refused, situation(method) { $0.attempts = 4 }) == .no(.attemptsAreUsedUp))
    }

    @Test(arguments: idempotent + others)
    func `What a graceful end left unprocessed is sent again at once and is not counted, a thousand times`(
        method: HTTPRequest.Method
    ) {
        for failure in [
            goAway(.noError), error(.connectionDraining, isRetryable: true), error(.notProcessed, isRetryable: true),
            error(.connectionClosed, isRetryable: true), error(.connectionClosed, by: .user, isRetryable: true),
        ] {
            for (attempts, replays) in [(1, 0), (4, RetryDecision.replayLimit - 1), (9, 50)] {
                let situation = situation(method) {
                    ($0.attempts, $0.replays, $0.connectionServed) = (attempts, replays, true)
                }
                #expect(decide(failure, situation) == .atOnce(counts: false))
            }
            let tired = situation(method) { ($0.replays, $0.connectionServed) = (RetryDecision.replayLimit, true) }
            #expect(decide(failure, tired) == .no(.replaysAreUsedUp))
        }
    }

    @Test func `Where the connection served nothing it counts, at once the first time and then after a backoff`() {
        for failure in [goAway(.noError), error(.connectionClosed, isRetryable: true)] {
            let decisions = (1...5).map { attempts in decide(failure, situation(.post) { $0.attempts = attempts }) }
            #expect(
                decisions == [
                    .atOnce(counts: true), .after(atLeast: 0), .after(atLeast: 0), .no(.attemptsAreUsedUp),
                    .no(.attemptsAreUsedUp),
                ])
        }
    }

    @Test(arguments: [H2Error.HTTP2Code.internalError, .protocolError, .cancel])
    func `GOAWAY with a complaint counts, and what it left unprocessed is sent again after a backoff`(
        code: H2Error.HTTP2Code
    ) {
        for served in [false, true] {
            #expect(decide(goAway(code), situation(.post) { $0.connectionServed = served }) == .after(atLeast: 0))
        }
    }

    @Test func `A connection on which the peer broke the protocol before the request was sent counts`() {
        let situation = situation(.post) { $0.connectionServed = true }
        #expect(decide(error(.protocolViolation, isRetryable: true), situation) == .after(atLeast: 0))
        #expect(decide(error(.protocolViolation), self.situation { $0.wasReused = true }) == .no(.wouldNotHelp))
    }

    // MARK: - It may have been processed

    @Test(arguments: idempotent)
    func `An idempotent request is sent again when its reused connection closed before the first byte`(
        method: HTTPRequest.Method
    ) {
        let closed = error(.connectionClosed)
        let reused = situation(method) { ($0.wasReused, $0.connectionServed) = (true, true) }
        #expect(decide(closed, reused) == .atOnce(counts: true))
        #expect(decide(error(.connectionClosed, .noError), reused) == .atOnce(counts: true))
        #expect(decide(error(.connectionClosed, .internalError), reused) == .after(atLeast: 0))
        var changed = reused
        changed.attempts = 2
        #expect(decide(closed, changed) == .after(atLeast: 0))
        changed.attempts = 4
        #expect(decide(closed, changed) == .no(.attemptsAreUsedUp))
        changed = reused
        changed.responseBegan = true
        #expect(decide(closed, changed) == .no(.responseBegan))
        #expect(decide(closed, situation(method)) == .no(.connectionWasNew))
        #expect(decide(closed, situation(method) { $0.connectionServed = true }) == .atOnce(counts: true))
        var stale = reused
        (stale.isHTTP1, stale.attempts) = (true, 4)
        #expect(decide(closed, stale) == .atOnce(counts: false))
        stale.replays = RetryDecision.staleLimit
        #expect(decide(closed, stale) == .no(.attemptsAreUsedUp))
        var bold = HTTPClient.RetryPolicy()
        bold.retriesOnNewConnections = true
        #expect(decide(closed, situation(method), bold) == .after(atLeast: 0))
        #expect(decide(error(.connectionClosed, by: .local), reused) == .no(.endedByUs))
        #expect(decide(error(.connectionClosed, by: .user), reused) == .no(.endedByUs))
        var policy = HTTPClient.RetryPolicy()
        policy.retriesIdempotent = false
        #expect(decide(closed, reused, policy) == .no(.mayHaveBeenProcessed))
    }

    @Test(arguments: others) func `A request that is not idempotent is not`(method: HTTPRequest.Method) {
        let reused = situation(method) { ($0.wasReused, $0.connectionServed) = (true, true) }
        #expect(decide(error(.connectionClosed), reused) == .no(.mayHaveBeenProcessed))
    }

    @Test(arguments: [H2Error.HTTP2Code.cancel, .internalError, .noError, .protocolError, .streamClosed])
    func `A stream that was reset otherwise may have been processed`(code: H2Error.HTTP2Code) {
        for initiator in [H2Error.Initiator.local, .remote] {
            let reset = H2Error.reset(stream: 1, code: code, by: initiator)
            guard case .no = decide(reset, situation { $0.wasReused = true }) else {
                Issue.record("\(code) by \(initiator)")
                continue
            }
        }
        let late = H2Error.reset(stream: 1, code: .refusedStream, by: .remote, headArrived: true)
        #expect(decide(late, situation()) == .no(.mayHaveBeenProcessed))
    }

    // MARK: - Never

    @Test(arguments: idempotent + others) func `ENHANCE_YOUR_CALM is obeyed, of a stream and of GOAWAY`(
        method: HTTPRequest.Method
    ) {
        let failures = [
            H2Error.reset(stream: 1, code: .enhanceYourCalm, by: .remote), goAway(.enhanceYourCalm),
            error(.connectionClosed, .enhanceYourCalm), error(.connectionClosed, .enhanceYourCalm, isRetryable: true),
            error(.connectionDraining, .enhanceYourCalm, isRetryable: true),
        ]
        for failure in failures {
            let situation = situation(method) { ($0.wasReused, $0.connectionServed) = (true, true) }
            #expect(decide(failure, situation) == .no(.serverWantsCalm))
        }
    }

    @Test func `Cancellation is obeyed`() {
        #expect(decide(CancellationError(), situation { $0.wasReused = true }) == .no(.cancelled))
    }

    @Test(arguments: [
        H2Error.Phase.resolve, .connect, .tls, .settings, .queued, .firstByte, .betweenBytes, .wholeRequest,
    ])
    func `A time limit of connecting or of the request is final, even where the server saw nothing`(
        phase: H2Error.Phase
    ) {
        for isRetryable in [false, true] {
            let timeout = H2Error(
                .timeout, cause: .timeout(phase, after: .seconds(1)), message: "", isRetryable: isRetryable)
            let situation = situation { ($0.wasReused, $0.connectionServed) = (true, true) }
            #expect(decide(timeout, situation) == .no(.timedOut))
        }
    }

    @Test(arguments: [H2Error.Phase.ping, .writeStall, .close])
    func `A connection that fell silent gives back what it had not sent, and no more`(phase: H2Error.Phase) {
        for (isRetryable, expected) in [(true, RetryDecision.atOnce(counts: false)), (false, .no(.timedOut))] {
            let timeout = H2Error(
                .timeout, cause: .timeout(phase, after: .seconds(1)), message: "", isRetryable: isRetryable)
            let situation = situation { ($0.wasReused, $0.connectionServed) = (true, true) }
            #expect(decide(timeout, situation) == expected)
        }
    }

    @Test(arguments: [
        H2Error.Code.resolveFailed, .connectFailed, .tlsFailed, .certificateRejected, .tlsConfiguration,
        .http2NotNegotiated, .invalidURL, .invalidRequest, .limitExceeded, .bodyTooLarge, .localIO,
    ]) func `Failures to connect, and those of this side, are final`(code: H2Error.Code) {
        for isRetryable in [false, true] {
            let situation = situation { ($0.wasReused, $0.connectionServed) = (true, true) }
            #expect(decide(error(code, isRetryable: isRetryable), situation) == .no(.wouldNotHelp))
        }
    }

    // MARK: - Elsewhere

    @Test func `HTTP_1_1_REQUIRED goes to HTTP/1.1, once`() {
        let reset = H2Error.reset(stream: 1, code: .http11Required, by: .remote)
        for method in Self.idempotent + Self.others {
            #expect(decide(reset, situation(method)) == .overHTTP1)
            #expect(decide(goAway(.http11Required), situation(method) { $0.attempts = 9 }) == .overHTTP1)
        }
        #expect(decide(reset, situation { $0.isHTTP1 = true }) == .no(.wouldNotHelp))
        let cutOff = error(.connectionClosed, .http11Required)
        #expect(decide(cutOff, situation(.get)) == .overHTTP1)
        #expect(decide(cutOff, situation(.post)) == .no(.mayHaveBeenProcessed))
    }

    @Test(arguments: idempotent + others)
    func `421 on a shared connection goes to one of the origin's own, and is final there`(method: HTTPRequest.Method) {
        for policy in [HTTPClient.RetryPolicy(), .withStatuses] {
            #expect(decide(421, nil, situation(method) { $0.isCoalesced = true }, policy) == .onOwnConnection)
        }
        var policy = HTTPClient.RetryPolicy()
        policy.statuses = [421]
        #expect(decide(421, nil, situation(method), policy) == .no(.statusIsFinal))
    }

    @Test(arguments: idempotent + others)
    func `417 to an expectation is answered by one repeat without it, uncounted`(method: HTTPRequest.Method) {
        for policy in [HTTPClient.RetryPolicy(), .withStatuses] {
            let expecting = situation(method) { ($0.expectedContinue, $0.attempts) = (true, 4) }
            #expect(decide(417, nil, expecting, policy) == .withoutExpectation)
            #expect(decide(417, nil, situation(method), policy) == .no(.statusIsFinal))
        }
        let gone = situation(method) { ($0.expectedContinue, $0.bodyCanBeSentAgain) = (true, false) }
        #expect(decide(417, nil, gone) == .no(.bodyCannotBeSentAgain))
        #expect(decide(417, nil, situation(method) { $0.expectedContinue = true }, .never) == .no(.retryingIsOff))
    }

    // MARK: - Statuses

    @Test(arguments: [429, 502, 503, 504]) func `Statuses of the policy are asked again after a backoff`(status: Int) {
        for method in Self.idempotent {
            for attempts in 1...3 {
                #expect(decide(status, situation(method) { $0.attempts = attempts }) == .after(atLeast: 0))
            }
            #expect(decide(status, situation(method) { $0.attempts = 4 }) == .no(.attemptsAreUsedUp))
            #expect(decide(status, nil, situation(method), .init()) == .no(.statusIsFinal))
        }
        for method in Self.others { #expect(decide(status, situation(method)) == .no(.mayHaveBeenProcessed)) }
    }

    @Test(arguments: [200, 204, 301, 400, 404, 408, 500, 501, 0, -1]) func `Other statuses are final`(status: Int) {
        #expect(decide(status, 5, situation()) == .no(.statusIsFinal))
    }

    @Test func `Retry-After is honoured up to the longest wait, and returned beyond`() {
        let second: UInt64 = 1_000_000_000
        #expect(decide(503, 0, situation()) == .after(atLeast: 0))
        #expect(decide(503, 10 * second, situation()) == .after(atLeast: 10 * second))
        #expect(decide(503, 10 * second + 1, situation()) == .no(.waitIsTooLong))
        #expect(decide(503, .max, situation()) == .no(.waitIsTooLong))
        var patient = HTTPClient.RetryPolicy.withStatuses
        patient.maximumRetryAfter = .seconds(60)
        #expect(decide(503, 60 * second, situation(), patient) == .after(atLeast: 60 * second))
        #expect(decide(503, 60 * second + 1, situation(), patient) == .no(.waitIsTooLong))
    }

    // MARK: - Whatever it is

    @Test func `What holds for every failure in every situation`() {
        var failures: [H2Error] = [goAway(.noError), goAway(.enhanceYourCalm), goAway(.internalError)]
        for code in H2Error.Code.allCases {
            for http2 in [nil] + (0...14).map({ H2Error.HTTP2Code(rawValue: $0) }) {
                for initiator in [H2Error.Initiator.local, .remote, .user] {
                    for isRetryable in [false, true] {
                        failures.append(error(code, http2, by: initiator, isRetryable: isRetryable))
                    }
                }
            }
        }
        var unsafe = 0
        var again = 0
        for failure in failures {
            for bits in 0..<64 {
                for (attempts, replays) in [(1, 0), (3, 0), (4, 0), (1, RetryDecision.replayLimit)] {
                    for method in [HTTPRequest.Method.get, .post] {
                        var situation = Situation(method: method)
                        situation.bodyCanBeSentAgain = bits & 1 == 0
                        situation.isHTTP1 = bits & 2 != 0
                        situation.isCoalesced = bits & 4 != 0
                        situation.wasReused = bits & 8 != 0
                        situation.connectionServed = bits & 16 != 0
                        situation.responseBegan = bits & 32 != 0
                        (situation.attempts, situation.replays) = (attempts, replays)
                        let decision = decide(failure, situation)
                        if case .no = decision { continue }
                        again += 1
                        let isStale =
                            failure.code == .connectionClosed && situation.isHTTP1 && situation.wasReused
                            && replays < RetryDecision.staleLimit
                        let isUnsafe =
                            !situation.bodyCanBeSentAgain || situation.responseBegan
                            || failure.http2Code == .enhanceYourCalm
                            || method == .post && !failure.isRetryable
                                && !(failure.code == .streamReset && failure.http2Code == .http11Required)
                            || decision == .onOwnConnection || decision == .overHTTP1 && situation.isHTTP1
                            || decision == .atOnce(counts: true) && attempts > 1
                            || decision == .after(atLeast: 0) && attempts >= 4
                            || decision == .atOnce(counts: false) && !isStale
                                && (replays >= RetryDecision.replayLimit || !failure.isRetryable
                                    || !situation.connectionServed)
                            || decide(failure, situation, .never) != .no(.retryingIsOff)
                        if isUnsafe {
                            unsafe += 1
                            Issue.record("\(failure) \(failure.code) \(situation): \(decision)")
                            if unsafe > 5 { return }
                        }
                    }
                }
            }
        }
        #expect(again > 1_000)
    }

    @Test func `A body that cannot be sent again, and a policy that sends nothing twice, are obeyed everywhere`() {
        let refused = H2Error.reset(stream: 1, code: .refusedStream, by: .remote)
        let gone = situation { ($0.bodyCanBeSentAgain, $0.isCoalesced) = (false, true) }
        #expect(decide(refused, gone) == .no(.bodyCannotBeSentAgain))
        #expect(decide(503, gone) == .no(.bodyCannotBeSentAgain))
        #expect(decide(421, gone) == .no(.bodyCannotBeSentAgain))
        var off = HTTPClient.RetryPolicy.withStatuses
        off.maximumAttempts = 1
        let shared = situation { $0.isCoalesced = true }
        for policy in [off, .never] { #expect(decide(refused, shared, policy) == .no(.retryingIsOff)) }
        #expect(decide(503, nil, shared, off) == .no(.retryingIsOff))
        #expect(decide(421, nil, shared, off) == .no(.retryingIsOff))
    }

    // MARK: - Early data

    @Test(arguments: idempotent + others)
    func `Only a request that was sent early is sent again after 425, whatever the policy`(
        method: HTTPRequest.Method
    ) {
        let early = situation(method) { ($0.wasEarly, $0.attempts, $0.replays) = (true, 9, RetryDecision.replayLimit) }
        for policy in [HTTPClient.RetryPolicy.never, .init(), .withStatuses] {
            #expect(decide(425, nil, early, policy) == .withoutEarlyData)
        }
        #expect(decide(425, nil, situation(method), .never) == .no(.statusIsFinal))
        #expect(decide(503, nil, early, .never) != .withoutEarlyData)
    }

    @Test(arguments: idempotent + others)
    func `A request lost in an early handshake is sent again, unless the certificate was rejected or its body is gone`(
        method: HTTPRequest.Method
    ) {
        let lost = situation(method) { $0.lostInHandshake = true }
        for code in [H2Error.Code.tlsFailed, .connectionClosed, .notProcessed, .timeout, .http2NotNegotiated] {
            #expect(decide(error(code), lost, .never) == .withoutEarlyData)
        }
        #expect(decide(error(.certificateRejected), lost) == .no(.wouldNotHelp))
        let gone = situation(method) { ($0.lostInHandshake, $0.bodyCanBeSentAgain) = (true, false) }
        #expect(decide(error(.tlsFailed), gone) == .no(.bodyCannotBeSentAgain))
        #expect(decide(CancellationError(), lost) == .no(.cancelled))
    }
}
