import Foundation
import H2Client
import H2ClientTesting
import H2Measure
import H2TestSupport
import HTTPTypes
import Testing

@testable import h2get

/// The options of `bench` about Locust and Prometheus.
@Suite(.inTurn) struct LocustOptionTests {
    private static let url = "https://localhost/"
    private static let master = ["--locust-master", "m"]

    private func settings(_ arguments: [String]) throws -> BenchSettings {
        try BenchSettings(try parsed(.bench, arguments))
    }

    @Test func `A master without a port is asked at Locust's own`() throws {
        let settings = try settings(Self.master + [Self.url])
        #expect(settings.locust?.endpoint == "tcp://m:5557")
        #expect(settings.plan.users == BenchPlan.Users(perConnection: 100))
        #expect(settings.plan.extent == .untilStopped)
        #expect(settings.plan.collectsFigures)
        // As for Locust's own users.
        #expect(settings.plan.expectation?.statuses == Set(200...399))
    }

    @Test(arguments: [
        ("10.1.2.3:1", "tcp://10.1.2.3:1"), ("[::1]:9", "tcp://[::1]:9"), ("[::1]", "tcp://[::1]:5557"),
        ("locust-master.load.svc:5558", "tcp://locust-master.load.svc:5558"),
    ])
    func `A master has a host, and may have a port`(_ text: String, _ endpoint: String) throws {
        #expect(try settings(["--locust-master", text, Self.url]).locust?.endpoint == endpoint)
    }

    @Test func `Users are streams, connections, or have a rate`() throws {
        func users(_ arguments: String...) throws -> BenchPlan.Users? {
            try settings(Self.master + arguments + [Self.url]).plan.users
        }
        #expect(try users("--user", "stream", "--users-per-connection", "7") == .init(perConnection: 7))
        #expect(try users("--user", "connection") == .init(perConnection: 1))
        #expect(try users("--user", "rate=4") == .init(perConnection: 100, period: .milliseconds(250)))
        #expect(try users("--user", "rate=0.5") == .init(perConnection: 100, period: .seconds(2)))
        #expect(try users("--h1") == .init(perConnection: 1))
        #expect(try settings(Self.master + ["-t", "4", Self.url]).plan.threads == 4)
        let expected = try settings(Self.master + ["--expect-status", "404", Self.url])
        #expect(expected.plan.expectation?.statuses == [404])
    }

    @Test(
        arguments: [
            (["--user", "rate=5"], "goes with --locust-master"),
            (["--users-per-connection", "5"], "goes with --locust-master"),
            (master + ["-n", "5"], "leave out -n"), (master + ["-D", "5s"], "leave out -D"),
            (master + ["-c", "5"], "leave out -c"), (master + ["-m", "5"], "leave out -m"),
            (master + ["--request-rate", "5"], "leave out --request-rate"),
            (master + ["--rps", "5"], "leave out --rps"),
            (master + ["--stages", "5:1s"], "leave out --stages"), (master + ["-r", "5"], "leave out -r"),
            (master + ["--warm-up-time", "5s"], "leave out --warm-up-time"),
            (master + ["--start-at", "99999999"], "leave out --start-at"),
            (master + ["-T", "5s"], "leave out -T"),
            (master + ["-N", "5s"], "leave out -N"), (master + ["--keep-trying"], "leave out --keep-trying"),
            (master + ["--user", "thread"], "use stream, connection or rate=N"),
            (master + ["--user", "rate="], "write a number a second"), (master + ["--user", "rate=0"], "above 0"),
            (master + ["--user", "rate=5", "--think-time", "1s"], "leave out --think-time"),
            (master + ["--user", "connection", "--users-per-connection", "2"], "leave out --users-per-connection"),
            (master + ["--h1", "--users-per-connection", "2"], "one request at a time"),
            (["--locust-master", ""], "write HOST or HOST:PORT"),
            (["--locust-master", "m:x"], "write HOST or HOST:PORT"),
            (["--locust-master", "m:99999"], "write HOST or HOST:PORT"),
            (["--locust-master", "http://m"], "write HOST or HOST:PORT"),
            (["--locust-master", "m/path"], "write HOST or HOST:PORT"),
            (["--locust-master", "a@m"], "write HOST or HOST:PORT"),
            (["--locust-master", "::1"], "write HOST or HOST:PORT"),
            (["--metrics-listen", ""], "write PORT or ADDR:PORT"),
            (["--metrics-listen", "x"], "write PORT or ADDR:PORT"),
            (["--metrics-listen", ":9100"], "write PORT or ADDR:PORT"),
            (["--metrics-listen", "localhost:9100"], "write PORT or ADDR:PORT"),
            (["--metrics-listen", "65536"], "write PORT or ADDR:PORT"),
            (["--metrics-listen", "::1:9"], "write PORT or ADDR:PORT"),
            (["--metrics-prefix", "k6_"], "goes with --metrics-listen"),
            (["--metrics-listen", "0", "--metrics-prefix", "9_"], "use letters, digits"),
            (["--metrics-listen", "0", "--metrics-prefix", ""], "use letters, digits"),
            (["--scenario", "/nowhere.yaml"], "/nowhere.yaml: cannot be read: No such file or directory"),
            (["--first-user", "5"], "goes with --scenario"), (["--seed", "5"], "--arrivals poisson, or --scenario"),
            (["--align-clock"], "is for the times of the --hdr log"),
        ] as [([String], String)])
    func `What does not go together is refused with a reason`(_ arguments: [String], _ message: String) throws {
        do {
            _ = try settings(arguments + [Self.url])
            Issue.record("no refusal")
        } catch let failure as Failure {
            #expect(failure.status == .usage)
            #expect(failure.message.contains(message), "\(failure.message)")
        }
    }

    @Test func `A scenario says what is sent, and the URL where to`() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("requests: [{ get: /a }, { post: '/b?${user}', body: x }]", to: "s.yaml")
        let settings = try settings(
            [
                "--scenario", file, "--seed", "7", "--first-user", "1000", "-n", "10", "-c", "2", "-m", "3", "-H",
                "x-a: b", Self.url,
            ])
        let plan = settings.plan
        #expect(plan.scenario?.steps.count == 2)
        #expect(plan.api == .async && plan.scenarioSeed == 7 && plan.firstUser == 1_000)
        #expect(plan.requests.map { $0.request.method } == [.get, .post])
        #expect(plan.requests.map { $0.request.path } == ["/a", "/b?${user}"])
        #expect(plan.requests.allSatisfy { $0.request.headerFields[HTTPField.Name("x-a")!] == "b" })
        // Its own checks apply, for users of Locust, too.
        #expect(try self.settings(["--scenario", file] + Self.master + [Self.url]).plan.expectation == nil)
        for (option, message) in [
            (["-X", "POST"], "leave out -X"), (["-d", "/dev/null"], "leave out -d"), (["-I"], "leave out -I"),
            (["--request-rate", "5"], "leave out --request-rate"), (["--think-time", "1s"], "leave out --think-time"),
            (["--api", "direct"], "leave out --api"), (["https://localhost/b"], "give one URL"),
            (["--expect-status", "200"], "leave out --expect-status"),
        ] {
            do {
                _ = try self.settings(["--scenario", file, Self.url] + option)
                Issue.record("no refusal: \(option)")
            } catch let failure as Failure {
                #expect(failure.message.contains(message), "\(failure.message)")
            }
        }
        #expect(throws: Failure.self) { try self.settings(["--scenario", file, "https://localhost/path"]) }
    }

    @Test func `Everything that is wrong with a scenario has a line`() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("users:\n  - weights: 3\n    requests:\n      - get: items\n", to: "bad.yaml")
        let result = try await Program.run(["bench", "--scenario", file, Self.url])
        #expect(result.status == 2)
        let lines = result.errors.split(separator: "\n")
        #expect(lines.count == 2, "\(result.errors)")
        #expect(lines.allSatisfy { $0.hasPrefix("h2get: (2) \(file):") })
        #expect(result.errors.contains("unknown key 'weights'; did you mean 'weight'?"))
    }

    @Test(arguments: ["1", "0,1,2", "0,x", "0,", "0,1e99", "--,1"])
    func `A merge has one clock for each log`(_ text: String) throws {
        #expect(throws: Failure.self) {
            try BenchMerge(try parsed(.merge, ["--clock-offset", text, "a.hlog", "b.hlog"]))
        }
        _ = try BenchMerge(try parsed(.merge, ["--clock-offset", "0,-1.5", "a.hlog", "b.hlog"]))
    }

    @Test func `Figures are served on loopback unless an address is given`() throws {
        func metrics(_ text: String) throws -> MetricsSettings? {
            try settings(["--metrics-listen", text, Self.url]).metrics
        }
        #expect(try metrics("9100")?.address == "127.0.0.1")
        #expect(try metrics("0.0.0.0:9100")?.address == "0.0.0.0")
        #expect(try metrics("[::]:9100")?.address == "::")
        #expect(try metrics("[::1]:0")?.port == 0)
        #expect(try metrics("1")?.prefix == "h2get_")
        #expect(try settings([Self.url]).metrics == nil)
        #expect(try settings([Self.url]).plan.collectsFigures == false)
    }

    @Test func `Prometheus finds the figures while a measurement runs, and nothing else`() async throws {
        let served = try Served()
        let port = try LoopbackPort.unused()
        let site = "http://127.0.0.1:\(port)"
        let running = Task {
            try await Program.run(
                [
                    "bench", "--cacert", served.folder.path("ca.pem"), "-D", "8s", "-c", "2", "-m", "3", "--think-time",
                    "10ms", "--metrics-listen", "\(port)", "--metrics-prefix", "k6_", served.url("/bytes/10"),
                ])
        }
        let client = HTTPClient()
        var text = ""
        try await eventually("figures", within: .seconds(60)) {
            guard let response = try? await client.get("\(site)/metrics"), response.status == .ok else { return false }
            #expect(response.headerFields[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
            text = response.text
            return text.contains("k6_http_reqs_total{") && text.contains("k6_connections 2\n")
        }
        #expect(text.contains("k6_vus 6\n"), "\(text)")
        #expect(text.contains(#"k6_http_req_duration_seconds_bucket{method="GET",name="/bytes/10",status="200""#))
        for path in ["/", "/stats", "/bytes/10", "/metrics/x"] {
            #expect(try await client.get("\(site)\(path)").status == .notFound, "\(path)")
        }
        #expect(try await client.post("\(site)/metrics", body: .empty).status == .methodNotAllowed)
        let result = try await running.value
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.contains("h2get: figures for Prometheus at \(site)/metrics"))
    }

    @Test func `A port that is taken is told of before anything is sent`() async throws {
        let served = try Served()
        let result = try await Program.run(
            [
                "bench", "--cacert", served.folder.path("ca.pem"), "--metrics-listen", "\(served.origin.port)",
                served.url("/"),
            ])
        #expect(result.status == 2)
        #expect(result.errors.contains("cannot listen on 127.0.0.1 port \(served.origin.port)"), "\(result.errors)")
        #expect(served.origin.statistics.connectionsAccepted == 0)
    }

    @Test func `A worker says that nobody answers, and a signal ends it at once`() async throws {
        let served = try Served()
        let port = try LoopbackPort.unused()
        let log = served.folder.path("errors")
        let worker = try ChildProcess(
            Program.path,
            [
                "bench", "--cacert", served.folder.path("ca.pem"), "--locust-master", "127.0.0.1:\(port)",
                served.url("/"),
            ],
            errors: .file(log))
        let hasTold = await Program.eventually {
            (try? served.folder.read("errors").contains("no Locust master answers at 127.0.0.1:\(port) yet")) == true
        }
        #expect(hasTold)
        kill(worker.pid, SIGINT)
        #expect(worker.wait(seconds: 20) == .signalled(SIGINT))
        #expect(served.origin.statistics.connectionsAccepted == 0)
    }
}
