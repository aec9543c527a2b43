import Foundation
import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// h2get as a worker of a real Locust master, steered by the endpoints of its web page.
@Suite(.inTurnFirst, .timeLimit(.minutes(5)))
struct LocustTests {
    /// The newest version, and one about a year older: those of Scripts/setup.
    static let versions = ["2.47.0", "2.42.6"]

    @Test(arguments: versions)
    func `Four workers follow the master up and down, and the totals are the origin's to the request`(
        _ version: String
    ) async throws {
        try await LocustMaster.run(version) { master in
            let workers = try (0..<4).map { number in
                try master.worker(["--think-time", "1s", "--hdr", master.folder.path("\(number).hdr")])
            }
            try await master.until("four workers") { $0.workers.count == 4 }
            for (users, connections) in [(1_000, 12), (200, 4), (500, 8)] {
                try await master.swarm(users, rate: 1_000)
                try await master.until("\(users) users") { $0.userCount == users && $0.state == "running" }
                try await eventually("\(connections) connections") {
                    master.served.origin.statistics.connectionsOpen == connections
                }
                #expect(try await master.statistics().workers.map(\.users).allSatisfy { $0 == users / 4 })
            }
            try await master.stop()
            let statistics = try await master.until("all stopped") { $0.state == "stopped" && $0.userCount == 0 }
            #expect(statistics.requests > 1_000)
            #expect(statistics.failures == 0)
            #expect(statistics.requests == master.served.origin.statistics.requests)
            #expect(master.served.origin.statistics.streamsPeak <= 1_000)
            #expect(statistics.workers.allSatisfy { $0.state == "ready" && $0.memory > 1 << 20 })
            for worker in workers { kill(worker.pid, SIGTERM) }
            for worker in workers { #expect(worker.wait(seconds: 20) == .signalled(SIGTERM)) }
            // The logs of all workers hold as many latencies.
            let merged = try await Program.run(["bench", "merge"] + (0..<4).map { master.folder.path("\($0).hdr") })
            #expect(merged.status == 0, "\(merged.errors)")
            #expect(merged.text.contains("\(statistics.requests)".grouped), "\(merged.text)")
        }
    }

    @Test func `A test goes on without a worker that was killed, and workers find a master that restarts`() async throws
    {
        try await LocustMaster.run(Self.versions[0]) { master in
            let workers = try (0..<2).map { _ in try master.worker(["--think-time", "50ms"]) }
            try await master.until("two workers") { $0.workers.count == 2 }
            try await master.swarm(20, rate: 100)
            try await master.until("20 users") { $0.userCount == 20 && $0.state == "running" }
            kill(workers[0].pid, SIGKILL)
            _ = workers[0].wait(seconds: 10)
            try await master.until("a missing worker") { $0.workers.contains { $0.state == "missing" } }
            #expect(try await master.statistics().userCount == 10)
            try master.restart()
            // It has forgotten the test: the worker's users end.
            try await master.until("the other worker") { $0.workers.count == 1 && $0.userCount == 0 }
            try await eventually("no users", within: .seconds(60)) { master.served.origin.statistics.streamsOpen == 0 }
            let before = master.served.origin.statistics.requests
            try await master.swarm(5, rate: 100)
            try await master.until("5 users") { $0.userCount == 5 && $0.state == "running" }
            try await master.stop()
            let statistics = try await master.until("all stopped") { $0.state == "stopped" && $0.userCount == 0 }
            #expect(statistics.requests == master.served.origin.statistics.requests - before)
            kill(workers[1].pid, SIGTERM)
            #expect(workers[1].wait(seconds: 20) == .signalled(SIGTERM))
        }
    }

    @Test func `Users of one kind have connections of their own, and those of another a rate`() async throws {
        try await LocustMaster.run(Self.versions[0]) { master in
            let alone = try master.worker(["--user", "connection", "--think-time", "50ms"])
            try await master.until("a worker") { $0.workers.count == 1 }
            try await master.swarm(12, rate: 100)
            try await master.until("12 users") { $0.userCount == 12 && $0.state == "running" }
            try await eventually("12 connections") { master.served.origin.statistics.connectionsOpen == 12 }
            kill(alone.pid, SIGINT)
            #expect(alone.wait(seconds: 20) == .signalled(SIGINT))
            try await master.until("no worker") { $0.workers.isEmpty }
            let rated = try master.worker(["--user", "rate=20"])
            try await master.until("a worker") { $0.workers.count == 1 }
            try await master.swarm(3, rate: 100)
            try await master.until("3 users") { $0.userCount == 3 && $0.state == "running" }
            try await Task.sleep(for: .seconds(3))
            let begun = try await master.statistics().requests
            // 60 a second, less what the last report lacks; never more than the rate.
            #expect((30...400).contains(begun), "\(begun)")
            kill(rated.pid, SIGINT)
            #expect(rated.wait(seconds: 20) == .signalled(SIGINT))
        }
    }

    @Test func `Failures are told with their causes, and other statuses than 200 to 399 are failures`() async throws {
        try await LocustMaster.run(Self.versions[1]) { master in
            let worker = try master.worker(["--think-time", "50ms"], path: "/status/503")
            try await master.until("a worker") { $0.workers.count == 1 }
            try await master.swarm(2, rate: 10)
            let statistics = try await master.until("failures") { $0.failures > 0 }
            #expect(statistics.failures == statistics.requests)
            #expect(statistics.errors == ["unexpected status 503"])
            kill(worker.pid, SIGINT)
            _ = worker.wait(seconds: 20)
        }
    }
}

extension String {
    /// A number's digits with commas between each three.
    fileprivate var grouped: String {
        String(
            reversed().enumerated().flatMap { index, digit in
                index > 0 && index % 3 == 0 ? [",", digit] : [digit]
            }.reversed())
    }
}

/// A Locust master, an origin, and what the web page's endpoints tell.
///
/// Invariant behind `@unchecked Sendable`: one test uses it, one call after the other.
private final class LocustMaster: @unchecked Sendable {
    let served: Served
    var folder: TemporaryFolder { served.folder }
    private let version: String
    private let ports: [Int]
    private let client: HTTPClient
    private var process: ChildProcess?
    private var workers: [ChildProcess] = []

    struct Statistics {
        struct Worker {
            var state: String
            var users: Int
            var memory: Int
        }

        var state: String
        var userCount: Int
        var workers: [Worker]
        var requests: Int
        var failures: Int
        var errors: [String]
    }

    /// Ends everything that was started, whatever happens.
    static func run(_ version: String, _ body: (LocustMaster) async throws -> Void) async throws {
        let master = try LocustMaster(version)
        defer { master.end() }
        try master.start()
        try await body(master)
    }

    private init(_ version: String) throws {
        self.version = version
        served = try Served()
        ports = [try LoopbackPort.unused(), try LoopbackPort.unused()]
        client = HTTPClient()
        guard access(program, X_OK) == 0 else {
            try RealServer.skip("Locust \(version) is not installed (Scripts/setup test installs it)")
            return
        }
        // The master only counts such users; what they do is h2get's business.
        try folder.write(
            """
            from locust import User, constant, task

            class Shopper(User):
                weight = 3
                wait_time = constant(1)
                @task
                def nothing(self): pass

            class Browser(User):
                wait_time = constant(1)
                @task
                def nothing(self): pass
            """, to: "locustfile.py")
    }

    private var program: String {
        let home = ProcessInfo.processInfo.environment["XDG_CACHE_HOME"] ?? NSHomeDirectory() + "/.cache"
        return "\(home)/h2client/locust-\(version)/bin/locust"
    }

    private func start() throws {
        process = try ChildProcess(
            program,
            [
                "-f", folder.path("locustfile.py"), "--master", "--master-bind-host", "127.0.0.1",
                "--master-bind-port", "\(ports[0])", "--web-host", "127.0.0.1", "--web-port", "\(ports[1])",
            ], output: .file(folder.path("master.log")), errors: .file(folder.path("master.log")))
    }

    func restart() throws {
        kill()
        try start()
    }

    private func kill() {
        guard let process else { return }
        Glibc.kill(process.pid, SIGKILL)
        _ = process.wait(seconds: 10)
        self.process = nil
    }

    private func end() {
        for worker in workers {
            guard worker.poll() == nil else { continue }
            Glibc.kill(worker.pid, SIGKILL)
            _ = worker.wait(seconds: 10)
        }
        kill()
    }

    func worker(_ arguments: [String], path: String = "/bytes/100") throws -> ChildProcess {
        let worker = try ChildProcess(
            Program.path,
            [
                "bench", served.url(path), "--cacert", folder.path("ca.pem"), "--locust-master",
                "127.0.0.1:\(ports[0])",
            ] + arguments, in: folder.root, output: .file(folder.path("worker.log")),
            errors: .file(folder.path("worker.log")))
        workers.append(worker)
        return worker
    }

    // MARK: - The web page's endpoints

    func swarm(_ users: Int, rate: Int) async throws {
        let form = "user_count=\(users)&spawn_rate=\(rate)&host=\(served.url("/"))"
        let response = try await client.post(
            "\(site)/swarm", body: .bytes(Array(form.utf8)),
            headerFields: [.contentType: "application/x-www-form-urlencoded"])
        #expect(response.status == .ok, "\(response.text)")
    }

    func stop() async throws {
        // A GET until 2.43, a POST since.
        for method in [HTTPRequest.Method.get, .post] {
            let response = try await client.send(method, "\(site)/stop")
            _ = try await response.body.collect(upTo: 1 << 20)
            if response.status == .ok { return }
        }
        Issue.record("the master cannot be stopped")
    }

    func statistics() async throws -> Statistics {
        let body = Data(try await client.get("\(site)/stats/requests").body)
        let json = try #require(try JSONSerialization.jsonObject(with: body) as? [String: Any])
        let workers = json["workers"] as? [[String: Any]] ?? []
        let entries = json["stats"] as? [[String: Any]] ?? []
        let errors = json["errors"] as? [[String: Any]] ?? []
        let total = entries.first { $0["name"] as? String == "Aggregated" }
        return Statistics(
            state: json["state"] as? String ?? "", userCount: json["user_count"] as? Int ?? -1,
            workers: workers.map {
                Statistics.Worker(
                    state: $0["state"] as? String ?? "", users: $0["user_count"] as? Int ?? -1,
                    memory: $0["memory_usage"] as? Int ?? 0)
            }, requests: total?["num_requests"] as? Int ?? -1, failures: total?["num_failures"] as? Int ?? -1,
            errors: errors.compactMap { $0["error"] as? String })
    }

    /// Asks until the condition holds.
    @discardableResult
    func until(
        _ what: String, within seconds: Int = 60, _ condition: (Statistics) -> Bool
    ) async throws -> Statistics {
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            if let statistics = try? await statistics(), condition(statistics) { return statistics }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw ProcessFailure("\(what): not within \(seconds) s\n\(try folder.read("master.log"))")
    }

    private var site: String { "http://127.0.0.1:\(ports[1])" }
}
