import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

@testable import H2Measure

/// Scenarios against an origin that knows what each user must send.
@Suite(.measuring, .timeLimit(.minutes(5)))
struct BenchScenarioTests {
    /// What the origin was asked.
    private final class Asked: Sendable {
        private let paths = Mutex<[String]>([])
        var all: [String] { paths.withLock { $0 } }
        func note(_ path: String) { paths.withLock { $0.append(path) } }
    }

    private func scenario(_ text: String) throws -> Scenario {
        try Scenario.read(Array(text.utf8), name: "test.yaml") { file throws(ScenarioFileError) in
            guard file == "accounts.csv" else { throw ScenarioFileError("not there") }
            return Array("name,password\nanna,a1\nbert,b2\n".utf8)
        }
    }

    private func plan(
        _ origin: MeasuredOrigin, _ scenario: Scenario, _ extent: BenchPlan.Extent, connections: Int = 1,
        streams: Int = 1, _ change: (inout BenchPlan) -> Void = { _ in }
    ) throws -> BenchPlan {
        try origin.plan("/", extent, connections: connections, streams: streams) {
            $0.api = .async
            $0.scenario = scenario
            $0.requests = scenario.requests($0.requests[0].request)
            $0.requests[0].request.headerFields[.userAgent] = "test"
            change(&$0)
        }
    }

    @Test func `Users log in with a row of their own, and use what the server gave them`() async throws {
        let asked = Asked()
        var configuration = OriginServer.Configuration()
        configuration.routes["/login"] = { request in
            asked.note("login \(String(decoding: request.body, as: UTF8.self))")
            let name = request.body.prefix { $0 != 0x3a }
            return .init(
                headerFields: [HTTPField.Name("x-token")!: "token-of-\(String(decoding: name, as: UTF8.self))"],
                body: Array(#"{"items": [{"id": "i/1"}, {"id": "x y"}]}"#.utf8))
        }
        configuration.routes["/items/"] = { request in
            asked.note("\(request.path) \(request.headerFields[.authorization] ?? "")")
            return .init(text: "fine")
        }
        let scenario = try scenario(
            """
            variables:
              account: { csv: accounts.csv }
            on-start:
              - post: /login
                body: '${account.name}:${account.password}'
                extract:
                  token: { header: x-token }
                  item: { json: /items/1/id }
            requests:
              - get: /items/${item}
                name: item
                headers: { authorization: 'Bearer ${token}' }
                check: { body: { contains: fine } }
            """)
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await Bench(plan(origin, scenario, .requests(40), streams: 2)).run()
            #expect(result.requests.done == 40)
            #expect(result.requests.failed == 0)
            expectBalance(result)
        }
        let all = asked.all
        #expect(all.count == 40)
        #expect(all.filter { $0.hasPrefix("login") }.sorted() == ["login anna:a1", "login bert:b2"])
        #expect(
            Set(all.filter { $0.hasPrefix("/items") })
                == ["/items/x%20y Bearer token-of-anna", "/items/x%20y Bearer token-of-bert"])
    }

    @Test func `A value that is not there fails the request, and the rest of the task is left out`() async throws {
        let scenario = try scenario(
            """
            requests:
              - get: /bytes/3
                extract: { id: { json: /id } }
              - get: /never/${id}
            """)
        try await MeasuredOrigin.run { origin in
            let result = try await Bench(plan(origin, scenario, .requests(10))).run()
            #expect(result.requests.failed == 10)
            #expect(result.errors == ["nothing at '/id'": 10])
            #expect(origin.server.statistics.requests == 10)
            expectBalanceOfChecks(result)
        }
    }

    @Test func `Checks count as failures by their cause, and what is not sent is a failure, too`() async throws {
        let scenario = try scenario(
            """
            requests:
              - get: /status/404
              - get: /bytes/5
                check: { body: { contains: nothing of the kind } }
              - get: /echo
                extract: { all: { regex: '()' } }
              - get: ${all}
            """)
        try await MeasuredOrigin.run { origin in
            let result = try await Bench(plan(origin, scenario, .requests(8))).run()
            #expect(result.requests.sent == 8)
            #expect(result.requests.done == 2)
            #expect(result.errors["unexpected status 404"] == 2)
            #expect(result.errors["the path does not begin with /"] == 2)
            #expect(result.errors.values.reduce(0, +) == 6)
            #expect(origin.server.statistics.requests == 6)
        }
    }

    @Test func `Requests wait as the scenario says, and names are those of its steps`() async throws {
        let scenario = try scenario(
            """
            wait: 40ms
            requests:
              - get: /bytes/1
                name: first
                think: 20ms
              - get: /bytes/2?user=${user}
            """)
        #expect(LiveNames(try planned(scenario)).all.map(\.path) == ["first", "/bytes/2?user=${user}"])
        try await MeasuredOrigin.run { origin in
            let result = try await Bench(plan(origin, scenario, .requests(8))).run()
            #expect(result.requests.done == 8)
            // Four thinks, and three waits between tasks, and no more than that on top of what a busy machine takes.
            #expect(result.elapsed >= 0.2)
        }
    }

    private func planned(_ scenario: Scenario) throws -> BenchPlan {
        var plan = BenchPlan(
            origin: try Origin("https://localhost/"),
            requests: scenario.requests(HTTPRequest(method: .get, scheme: "https", authority: "localhost", path: "/")))
        plan.scenario = scenario
        return plan
    }

    @Test func `Users of a scenario come and go, and each request is counted once`() async throws {
        let scenario = try scenario(
            """
            users:
              - name: A
                weight: 2
                wait: 1ms..3ms
                requests: [{ get: '/bytes/1?${random}' }]
              - name: B
                wait: 2s
                requests: [{ get: /bytes/2 }]
            """)
        try await MeasuredOrigin.run { origin in
            let control = BenchControl()
            var bench = Bench(
                try plan(origin, scenario, .untilStopped) {
                    $0.users = BenchPlan.Users(perConnection: 4)
                    $0.collectsFigures = true
                })
            bench.control = control
            let measuring = bench
            let running = Task { try await measuring.run() }
            var sum = LiveFigures()
            for (users, connections) in [(12, 3), (3, 1), (7, 2), (0, 0)] {
                control.setUsers(users)
                try await eventually("\(connections) connections") {
                    sum.addCounts(control.takeFigures())
                    return origin.server.statistics.connectionsOpen == connections
                }
                try await Task.sleep(for: .milliseconds(100))
            }
            control.stop()
            let result = try await running.value
            sum.addCounts(control.takeFigures())
            #expect(result.requests.failed == 0)
            #expect(result.requests.done > 20)
            #expect(sum.parts.values.reduce(0) { $0 + $1.ended } == result.requests.done)
            #expect(origin.server.statistics.requests == result.requests.done)
            expectBalance(result)
        }
    }

    @Test func `The same seed has the same users`() async throws {
        let scenario = try scenario(
            """
            tasks:
              - { weight: 3, requests: [{ get: '/bytes/1?${random}' }] }
              - { requests: [{ get: '/bytes/2?${random}' }] }
            """)
        var runs: [[String]] = []
        for seed in [7, 7, 8] as [UInt64] {
            let asked = Asked()
            var configuration = OriginServer.Configuration()
            configuration.routes["/bytes/"] = { request in
                asked.note("\(request.path)?\(request.query ?? "")")
                return .init(text: "x")
            }
            try await MeasuredOrigin.run(configuration) { origin in
                _ = try await Bench(plan(origin, scenario, .requests(30)) { $0.scenarioSeed = seed }).run()
            }
            runs.append(asked.all)
        }
        #expect(runs[0].count == 30)
        #expect(runs[0] == runs[1])
        #expect(runs[0] != runs[2])
    }

    @Test func `A request that a connection's end left unanswered is sent again by the same user`() async throws {
        let asked = Asked()
        var configuration = OriginServer.Configuration()
        configuration.faults.goAwayAfterRequests = 5
        configuration.routes["/user/"] = { request in
            asked.note(request.path)
            return .init(text: "x")
        }
        let scenario = try scenario("requests: [{ get: '/user/${user}/${iteration}' }]")
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await Bench(plan(origin, scenario, .requests(100), streams: 3)).run()
            #expect(result.requests.done == 100)
            expectBalance(result)
        }
        // Nothing was left out: a request that GOAWAY cut off came again.
        #expect(Set(asked.all).count == 100)
    }

    /// As `expectBalance`, where responses failed for reasons of the scenario.
    private func expectBalanceOfChecks(_ result: BenchResult) {
        #expect(result.requests.sent == result.requests.done + result.requests.failed + result.requests.aborted)
        #expect(result.errors.values.reduce(0, +) == result.requests.failed)
    }
}
