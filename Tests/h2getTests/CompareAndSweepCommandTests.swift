import H2Client
import H2Measure
import HTTPTypes
import H2TestSupport
import Testing

@testable import h2get

private let url = "https://localhost/"

private func compare(_ arguments: String...) throws -> CompareSettings {
    try CompareSettings(try parsed(.compare, arguments))
}

private func sweep(_ arguments: String...) throws -> SweepSettings {
    try SweepSettings(try parsed(.sweep, arguments))
}

private func merge(_ arguments: [String]) throws {
    _ = try BenchMerge(try parsed(.merge, arguments))
}

private func refusal(_ work: () throws -> Void) -> String? {
    do {
        try work()
        return nil
    } catch let failure as Failure {
        return "\(failure.status.rawValue) \(failure.message)"
    } catch {
        return "other: \(error)"
    }
}

@Suite(.inTurn) struct CompareAndSweepCommandTests {
    @Test func `A comparison of one URL has defaults`() throws {
        let settings = try compare(url)
        let plan = try #require(settings.plans.first)
        #expect(settings.plans.count == 1)
        #expect(plan.targets.map(\.origin.description) == ["https://localhost"])
        #expect(plan.targets[0].requests.map(\.request.path) == ["/"])
        #expect(plan.requests == 100 && plan.connections == 6 && plan.streams == 100 && plan.rounds == 5)
        #expect(plan.conditions.isDirect && plan.seed > 0)
    }

    @Test func `Each option of compare is in its plan`() throws {
        let plan = try #require(
            try compare(
                "-n50", "-c", "4", "-m10", "--rounds", "3", "--seed", "7", "--loss", "1%", "-HX-A: 1", "--sni", "s",
                "--connect-to", "127.0.0.1", url + "{a,b}"
            ).plans.first)
        #expect(
            plan.requests == 50 && plan.connections == 4 && plan.streams == 10 && plan.rounds == 3 && plan.seed == 7)
        #expect(plan.conditions.loss == 0.01 && plan.conditions.roundTrip == 0)
        #expect(plan.configuration.tls.serverName == "s" && plan.configuration.connectTo?.host == "127.0.0.1")
        #expect(plan.targets[0].requests.map(\.request.path) == ["/a", "/b"])
        #expect(plan.targets[0].requests[0].request.headerFields.map(\.value) == ["h2get/\(version)", "1"])
        #expect(try !compare("-k", url).plans[0].configuration.tls.verifiesPeer)
        #expect(try compare("--cacert", "f", url).plans[0].configuration.tls.caFile == "f")
    }

    @Test func `Several distances are several comparisons of the same work`() throws {
        let plans = try compare("--rtt", "0,10ms,0.15s", "--loss", "2%", url).plans
        #expect(plans.map(\.conditions.roundTrip) == [0, 10_000_000, 150_000_000])
        #expect(plans.allSatisfy { $0.conditions.loss == 0.02 && $0.seed == plans[0].seed })
    }

    @Test func `URLs with and without TLS are two targets`() throws {
        let plan = try compare("http://h:1/a", "https://h/b", "http://h:1/c", "-k").plans[0]
        #expect(plan.targets.map(\.origin.description) == ["http://h:1", "https://h"])
        #expect(plan.targets[0].requests.map(\.request.path) == ["/a", "/c"])
        #expect(!plan.configuration.tls.verifiesPeer)
    }

    @Test func `Each option of sweep is in its plan`() throws {
        let plain = try sweep(url).plan
        // As for bench, which is to check what a sweep finds.
        #expect(
            plain.configuration.windows.stream == 1 << 30 - 1 && plain.configuration.windows.connection == 1 << 30 - 1)
        #expect(plain.streams == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] && plain.connections == [1])
        #expect(plain.time == .seconds(1) && plain.warmUp == .milliseconds(200) && plain.limits.isEmpty)
        #expect(plain.protocols == .tls(["h2", "http/1.1"]) && plain.threads == 1)
        let plan = try sweep(
            "--streams", "1..8,100", "--connections", "2,1", "-D", "500ms", "--warm-up-time", "0", "-t2", "-p", "h2c",
            "--slo", "p99=50ms", "--slo", "p50=5ms,p99.9=1s", "-H", "X-A: 1", "http://h/[1-3]"
        ).plan
        #expect(plan.streams == [1, 2, 4, 8, 100] && plan.connections == [1, 2] && plan.threads == 2)
        #expect(plan.time == .milliseconds(500) && plan.warmUp == .zero && plan.protocols == .cleartextHTTP2)
        #expect(plan.limits.map(\.description) == ["p99 ≤ 50.0 ms", "p50 ≤ 5.00 ms", "p99.9 ≤ 1.00 s"])
        #expect(plan.requests.map(\.request.path) == ["/1", "/2", "/3"])
    }

    @Test func `A sweep of HTTP/1.1 is over connections`() throws {
        let plan = try sweep("--h1", url).plan
        #expect(plan.protocols == .tls(["http/1.1"]) && plan.streams == [1])
        #expect(plan.connections == [1, 2, 4, 8, 16, 32, 64, 128, 256])
        #expect(
            try sweep("-p", "http/1.1", "--connections", "3", "--streams", "1", "http://h/").plan.connections == [3])
    }

    @Test(
        arguments: [
            ([], "2 no URL given; 'h2get compare --help' lists the options"), (["-c", "1", url], "use 2 to 10000"),
            (["--rtt", "10", url], "write it with its unit"), (["--rtt", "5ms,5ms", url], "stands there twice"),
            (["--rtt", "11s", url], "longer than any on earth"), (["--loss", "1", url], "write it in percent"),
            (["--loss", "60%", url], "nothing would arrive"), (["--rounds", "0", url], "use 1 to 1000"),
            (["--seed", "x", url], "not a valid value for --seed"), (["-D", "5", url], "'h2get compare --help'"),
            ([url, "https://b/"], "give URLs of one https:// origin, of one http:// origin, or of one of each"),
            (["--connect-to", "h", url, "http://h/"], "with https:// and http:// leave it out"),
            (["-k", "http://h/"], "-k is about TLS"), (["--svg", "f", "--html", "f", url], "both write to f"),
            (["-s", "-v", url], "cannot be combined"), (["-H", "@-", "-H", "@-", url], "both read stdin"),
        ] as [([String], String)])
    func `What cannot be compared is refused with a reason`(_ arguments: [String], _ message: String) {
        let refusal = refusal { _ = try CompareSettings(try parsed(.compare, arguments)) }
        #expect(refusal?.contains(message) == true, "\(refusal ?? "no refusal")")
    }

    @Test(
        arguments: [
            ([], "2 no URL given; 'h2get sweep --help' lists the options"), (["--streams", "8..1", url], "is empty"),
            (["--streams", "0", url], "from 1 to"), (["--connections", "x", url], "write numbers from 1 to 100000"),
            (["--slo", "50ms", url], "write a percentile and its limit"),
            (["--slo", "p10=1ms", url], "not a percentile"),
            (["-t", "2", url], "have only --connections 1"), (["--h1", "--streams", "1..4", url], "use --connections"),
            (["-p", "h2c", url], "leave it out"), ([url, "https://b/"], "measure one at a time"),
            (["--json", "f", "--html", "f", url], "both write to f"), (["-n", "5", url], "'h2get sweep --help'"),
            (["-s", "-v", url], "cannot be combined"), (["--sni", "x", "http://h/"], "--sni is about TLS"),
        ] as [([String], String)])
    func `What cannot be swept is refused with a reason`(_ arguments: [String], _ message: String) {
        let refusal = refusal { _ = try SweepSettings(try parsed(.sweep, arguments)) }
        #expect(refusal?.contains(message) == true, "\(refusal ?? "no refusal")")
    }

    @Test(
        arguments: [
            ([], "2 no log given"), (["-"], "name files, or /dev/stdin"),
            (["-o", "-", "--hgrm", "-", "f"], "to stdout"),
            (["--json", "f"], "'h2get bench merge --help'"),
        ] as [([String], String)])
    func `What cannot be merged is refused with a reason`(_ arguments: [String], _ message: String) {
        let refusal = refusal { try merge(arguments) }
        #expect(refusal?.contains(message) == true, "\(refusal ?? "no refusal")")
    }

    @Test func `What was not measured is a failure`() {
        var result = CompareResult()
        result.cells = [.init(.keepAlive, .tls, .couldNot(why: "no HTTP/1.1"))]
        #expect(CompareRun.failure(of: [result]) == Failure(.stream, "no way could be measured: no HTTP/1.1"))
        result.cells.append(.init(.http2(connections: 1), .tls, .ran([CompareFigures()])))
        #expect(CompareRun.failure(of: [result]) == nil)
        result.isInterrupted = true
        #expect(CompareRun.failure(of: [result])?.status == .interrupted)

        var sweep = SweepResult()
        var point = SweepPoint(SweepSetting(connections: 1, streams: 1))
        point.errors = ["cause": 3]
        sweep.curves = [SweepCurve(connections: 1, points: [point], stop: .errors("cause"))]
        #expect(SweepRun.failure(of: sweep) == Failure(.stream, "not one request was answered: cause"))
        point.responses = 1
        sweep.curves[0].points.append(point)
        #expect(SweepRun.failure(of: sweep) == nil)
        sweep.curves[0].stop = .interrupted
        #expect(SweepRun.failure(of: sweep)?.status == .interrupted)
    }

    @Test func `The progress of a comparison counts all distances`() throws {
        let plan = try compare("--rtt", "0,10ms,50ms", url).plans[1]
        let progress = Compare.Progress(
            round: 1, rounds: 5, done: 6, all: 36, way: .keepAlive, security: .tls, secondsLeft: 10)
        #expect(
            CompareProgressLine(plan, number: 2, of: 3).text(progress, later: 30)
                == "2 of 3: 10.0 ms round trip  round 1 of 5  42/108 measured (38 %)  ETA 40 s  now: keep-alive")
        #expect(
            CompareProgressLine(plan, number: 1, of: 1).text(progress, later: 0)
                == "round 1 of 5  6/36 measured (16 %)  ETA 10 s  now: keep-alive")
    }
}
