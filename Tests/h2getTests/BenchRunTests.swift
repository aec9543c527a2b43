import H2Client
import H2Measure
import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct BenchRunTests {
    private func plan(_ change: (inout BenchPlan) -> Void = { _ in }) throws -> BenchPlan {
        var plan = BenchPlan(origin: try Origin("https://localhost/"), requests: [])
        change(&plan)
        return plan
    }

    private func failure(
        _ protocols: BenchPlan.Protocols = .tls(["h2"]), _ change: (inout BenchResult) -> Void
    ) throws
        -> Failure?
    {
        var result = BenchResult()
        change(&result)
        return BenchRun.failure(of: result, try plan { $0.protocols = protocols })
    }

    @Test func `Answered is answered, with whatever status, and what the deadline cut off is no failure`() throws {
        let ended = try failure {
            $0.requests.sent = 10
            $0.requests.done = 8
            $0.requests.aborted = 2
            $0.statuses[500] = 8
        }
        #expect(ended == nil)
    }

    @Test func `Failed requests are 92, with what they failed with most often`() throws {
        let several = try failure {
            $0.requests.sent = 10
            $0.requests.done = 4
            $0.requests.failed = 6
            $0.errors = ["rare": 1, "frequent": 5]
        }
        #expect(several == Failure(.stream, "6 of 10 requests failed, most often: frequent"))
        let one = try failure(.cleartextHTTP2) {
            $0.requests.sent = 1
            $0.requests.failed = 1
            $0.errors = ["the server broke the protocol": 1]
        }
        #expect(one?.status == .stream)
        #expect(one?.message.hasPrefix("1 of 1 request failed: the server broke the protocol; does the server") == true)
        #expect(one?.message.hasSuffix("use --h1") == true)
        // A server that resets streams speaks HTTP/2.
        let other = try failure(.cleartextHTTP2) {
            $0.requests.sent = 1
            $0.requests.failed = 1
            $0.errors = ["stream reset by the server: INTERNAL_ERROR": 1]
        }
        #expect(other?.message == "1 of 1 request failed: stream reset by the server: INTERNAL_ERROR")
    }

    @Test func `A condition on errors decides how many may fail`() throws {
        var result = BenchResult()
        (result.requests.sent, result.requests.done, result.requests.failed) = (1_000, 999, 1)
        #expect(BenchRun.failure(of: result, try plan())?.status == .stream)
        #expect(BenchRun.failure(of: result, try plan(), judgesErrors: true) == nil)
        // Where nothing was answered at all there is nothing to decide.
        (result.requests.done, result.requests.failed) = (0, 1_000)
        #expect(BenchRun.failure(of: result, try plan(), judgesErrors: true)?.status == .stream)
    }

    @Test func `Nothing in time is 28, no connection left 16, and Ctrl-C 130`() throws {
        #expect(try failure { $0.requests.sent = 3 }?.status == .timeout)
        #expect(try failure { _ in }?.message.hasPrefix("nothing was sent") == true)
        let lost = try failure {
            $0.requests.done = 3
            $0.end = .gaveUp("connection refused")
        }
        #expect(lost?.status == .http2 && lost?.message.hasSuffix("connection refused") == true)
        #expect(try failure { $0.end = .interrupted }?.status == .interrupted)
        let cutOff = try failure {
            $0.requests.sent = 3
            $0.requests.aborted = 3
            $0.end = .expired("its connections were open for 300 ms (-T)")
        }
        #expect(cutOff?.status == .timeout && cutOff?.message.hasSuffix("(-T); use a longer limit") == true)
        // -T and -N did what they were told to.
        let expired = try failure {
            $0.requests.done = 3
            $0.end = .expired("every connection came to its time limit (-T, -N)")
        }
        #expect(expired == nil)
    }

    @Test(
        arguments: [
            (
                H2Error(.certificateRejected, cause: .certificate(.init(.wrongHost)), message: "m"),
                ExitReason.notVerified, "--sni"
            ),
            (
                H2Error(.certificateRejected, cause: .certificate(.init(.unknownAuthority)), message: "m"),
                .notVerified, "--cacert FILE"
            ),
            (H2Error(.timeout, cause: .timeout(.connect, after: .seconds(1)), message: "m"), .timeout, "a lower -c"),
            (H2Error(.protocolViolation, scope: .connection, message: "m"), .http2, "use --h1"),
            (H2Error(.connectFailed, cause: .errno(111), message: "m"), .connectFailed, "m"),
        ])
    func `An error that prevents measuring names options of bench`(
        _ error: H2Error, _ status: ExitReason, _ advice: String
    ) {
        let failure = Failure(measuring: error, .cleartextHTTP2)
        #expect(failure.status == status)
        #expect(failure.message.contains(advice), "\(failure.message)")
        for option in ["--connect-timeout", "-m;", "--http2-prior-knowledge", "--output-dir", "HOST:PORT:HOST:PORT"] {
            #expect(!failure.message.contains(option))
        }
    }

    // MARK: - Progress

    private func line(
        _ extent: BenchPlan.Extent, warmUp: Duration = .zero, _ change: (inout Bench.Progress) -> Void
    )
        throws -> String
    {
        var progress = Bench.Progress()
        change(&progress)
        return BenchProgressLine(
            try plan {
                $0.extent = extent
                $0.warmUp = warmUp
            }
        ).text(progress)
    }

    @Test func `So many requests are shown as a part of all, and how long the rest will take`() throws {
        let line = try line(.requests(100_000)) {
            $0.elapsed = 12.34
            $0.done = 45_670
            $0.failed = 8
            $0.inFlight = 100
            $0.rate = 9_876.4
            $0.p50 = 1_200_000
            $0.p99 = 3_400_000
        }
        #expect(
            line
                == "12.3 s  45,678/100,000 (45 %)  9,876 req/s  p50 1.20 ms  p99 3.40 ms  100 in flight  8 errors  ETA 6 s"
        )
    }

    @Test func `A wait for the time to begin is shown`() throws {
        #expect(try line(.time(.seconds(600))) { $0.beginsIn = 541 } == "begins in 9 min 1 s")
    }

    @Test func `A time is shown as a part of all`() throws {
        let line = try line(.time(.seconds(600))) {
            $0.elapsed = 59.96
            $0.done = 1_000
            $0.rate = 17
            $0.failed = 1
        }
        #expect(line == "60.0 s of 600 s (9 %)  1,000 done  17 req/s  0 in flight  1 error  ETA 9 min 1 s")
    }

    @Test func `Before the first response it says what it does, and never that all is done before it is`() throws {
        #expect(try line(.requests(1)) { _ in } == "connecting")
        #expect(try line(.requests(1), warmUp: .seconds(1)) { _ in } == "warming up")
        let almost = try line(.requests(1_000)) {
            $0.elapsed = 1
            $0.done = 999
        }
        #expect(almost.contains("(99 %)") && !almost.contains("ETA"))
        let hours = try line(.requests(1_000_000)) {
            $0.elapsed = 1
            $0.done = 1
            $0.rate = 100
        }
        #expect(hours.hasSuffix("ETA 2 h 46 min"))
    }
}
