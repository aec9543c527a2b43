import H2Client
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Measure

/// The state machine, with time as a number.
@Suite(.inTurn)
struct LocustWorkerTests {
    private static let names: LiveNames = {
        let request = HTTPRequest(method: .get, scheme: "https", authority: "localhost", path: "/a")
        return LiveNames(BenchPlan(origin: try! Origin("https://localhost/"), requests: [.init(request)]))
    }()

    private func made(drain: Double = 1) -> LocustWorker {
        LocustWorker(identity: "me", master: "m:1", names: Self.names, drain: drain)
    }

    /// A worker that a master has greeted at time 0.
    private func greeted(drain: Double = 1) -> LocustWorker {
        var worker = made(drain: drain)
        _ = worker.begin(at: 0)
        _ = worker.received(message("ack", ["index": 3]), at: 0)
        return worker
    }

    private func message(_ type: String, _ data: MessagePack = .null) -> [UInt8] {
        MessagePack.array([.string(type), data, "me"]).encoded
    }

    private func job(_ counts: [MessagePack.Entry], at time: Double, stopTimeout: MessagePack = .null) -> [UInt8] {
        message(
            "spawn",
            [
                "timestamp": .double(time), "user_classes_count": .map(counts), "host": "https://localhost",
                "stop_timeout": stopTimeout, "parsed_options": ["headless": true],
            ])
    }

    private func status(users: Int = 0, inFlight: Int = 0, ended: Int = 0) -> LocustWorker.Status {
        var status = LocustWorker.Status()
        var figures = LiveFigures()
        (figures.users, figures.inFlight) = (users, inFlight)
        if ended > 0 {
            var part = LiveFigures.Part()
            part.ended = ended
            figures.parts[.init(name: 0, status: 200)] = part
        }
        status.figures = figures
        status.wallTime = 1_000
        return status
    }

    /// The types of the messages among the actions, and the other actions in words.
    private func told(_ actions: [LocustWorker.Action]) -> [String] {
        actions.map { action in
            switch action {
            case .send(let bytes), .sendNow(let bytes):
                guard case .array(let parts)? = MessagePack(bytes), parts.count == 3, parts[2] == "me" else {
                    return "?"
                }
                return parts[0].text ?? "?"
            case .setUsers(let count): return "users=\(count)"
            case .dropFigures: return "drop"
            case .reconnect: return "reconnect"
            case .abandon: return "abandon"
            case .say: return "say"
            case .end(let ending): return "end \(ending)"
            }
        }
    }

    private func data(_ type: String, in actions: [LocustWorker.Action]) -> MessagePack? {
        for action in actions {
            let bytes: [UInt8]
            switch action {
            case .send(let message), .sendNow(let message): bytes = message
            default: continue
            }
            if case .array(let parts)? = MessagePack(bytes), parts[0].text == type { return parts[1] }
        }
        return nil
    }

    // MARK: - Connecting

    @Test func `A worker asks every 5 seconds, says once that nobody answers, and gives up after five minutes`() {
        var worker = made()
        #expect(told(worker.begin(at: 0)) == ["client_ready"])
        #expect(told(worker.tick(status(), at: 4.9)) == [])
        #expect(told(worker.tick(status(), at: 5)) == ["say", "client_ready"])
        #expect(told(worker.tick(status(), at: 10)) == ["reconnect", "client_ready"])
        #expect(told(worker.tick(status(), at: 299.9)) == ["reconnect", "client_ready"])
        #expect(told(worker.tick(status(), at: 305)) == ["end noMaster"])
        #expect(told(worker.tick(status(), at: 400)) == [])
    }

    @Test func `A worker introduces itself as one without Locust's version`() {
        var worker = made()
        #expect(data("client_ready", in: worker.begin(at: 0)) == -1)
    }

    @Test func `An acknowledged worker is ready, sends heartbeats each second and reports each three`() {
        var worker = greeted()
        #expect(!worker.needsFigures(at: 2.9))
        let first = worker.tick(status(), at: 0.05)
        #expect(told(first) == ["heartbeat"])
        #expect(data("heartbeat", in: first)?["state"] == "ready")
        #expect(told(worker.tick(status(), at: 1)) == [])
        #expect(told(worker.tick(status(), at: 1.06)) == ["heartbeat"])
        #expect(worker.needsFigures(at: 3))
        #expect(told(worker.tick(status(), at: 3)) == ["heartbeat", "stats"])
        #expect(!worker.needsFigures(at: 3.1))
    }

    // MARK: - Users

    @Test func `A job sets the users of all classes together, and is confirmed with each`() {
        var worker = greeted()
        let actions = worker.received(job([.init("A", 30), .init("B", 12)], at: 100), at: 1)
        #expect(told(actions) == ["spawning", "drop", "users=42", "spawning_complete"])
        let done = data("spawning_complete", in: actions)
        #expect(done?["user_count"] == 42)
        #expect(done?["user_classes_count"] == ["A": 30, "B": 12])
        let beat = worker.tick(status(users: 42), at: 1.1)
        #expect(data("heartbeat", in: beat)?["state"] == "running")
        // Up and down, without a new test. A class that is not named keeps its users.
        #expect(
            told(worker.received(job([.init("A", 1)], at: 101), at: 2)) == [
                "spawning", "users=13", "spawning_complete",
            ])
    }

    @Test func `A job that was overtaken changes nothing`() {
        var worker = greeted()
        _ = worker.received(job([.init("A", 5)], at: 100), at: 1)
        #expect(told(worker.received(job([.init("A", 4)], at: 100), at: 1)) == ["spawning"])
        #expect(told(worker.received(job([.init("A", 4)], at: 99), at: 1)) == ["spawning"])
    }

    @Test(
        arguments: [
            ["timestamp": .double(1)], ["user_classes_count": ["A": 1]],
            ["timestamp": "x", "user_classes_count": ["A": 1]],
            ["timestamp": .double(1), "user_classes_count": ["A": -1]],
            ["timestamp": .double(1), "user_classes_count": ["A": "many"]],
            ["timestamp": .double(1), "user_classes_count": ["A": 10_000_001]],
            ["timestamp": .double(1), "user_classes_count": ["A": 9_000_000, "B": 9_000_000]],
            .null, 5,
        ] as [MessagePack])
    func `A job that makes no sense is told of, and changes nothing`(_ job: MessagePack) {
        var worker = greeted()
        #expect(told(worker.received(message("spawn", job), at: 1)) == ["say"])
    }

    @Test func `Bytes that are no message are told of once`() {
        var worker = greeted()
        #expect(told(worker.received([0xc1], at: 1)) == ["say"])
        #expect(told(worker.received([0xc1], at: 1)) == [])
        #expect(told(worker.received(MessagePack.array(["ack"]).encoded, at: 1)) == [])
        #expect(told(worker.received(message("news", ["a": 1]), at: 1)) == [])
    }

    // MARK: - The end of a test

    @Test func `On stop users finish, what they did is reported, and then the worker is ready again`() {
        var worker = greeted(drain: 5)
        _ = worker.received(job([.init("A", 10)], at: 100), at: 1)
        #expect(told(worker.received(message("stop"), at: 2)) == ["users=0"])
        #expect(worker.needsFigures(at: 2.05))
        _ = worker.tick(status(users: 0, inFlight: 3, ended: 7), at: 2.05)
        let last = worker.tick(status(ended: 3), at: 2.1)
        #expect(told(last) == ["stats", "client_stopped", "client_ready"])
        #expect(data("stats", in: last)?["user_count"] == 0)
        #expect(told(worker.received(job([.init("A", 1)], at: 101), at: 3)).contains("drop"))
    }

    @Test func `A stop waits for requests as long as the drain or Locust's own time-out allows`() {
        for (timeout, end) in [(MessagePack.null, 7.0), (.double(20), 22.0), (.int(1), 7.0)] {
            var worker = greeted(drain: 5)
            _ = worker.received(job([.init("A", 10)], at: 100, stopTimeout: timeout), at: 1)
            _ = worker.received(message("stop"), at: 2)
            #expect(!told(worker.tick(status(inFlight: 1), at: end - 0.1)).contains("abandon"))
            // Then they are cut off, and their ends awaited for a moment.
            #expect(told(worker.tick(status(inFlight: 1), at: end)).contains("abandon"))
            #expect(!told(worker.tick(status(inFlight: 1), at: end + 0.05)).contains("client_stopped"))
            #expect(told(worker.tick(status(inFlight: 1), at: end + 0.13)).contains("client_stopped"))
        }
    }

    @Test func `A quitting master gets the last report within its half second`() {
        var worker = greeted(drain: 60)
        _ = worker.received(job([.init("A", 10)], at: 100), at: 1)
        #expect(told(worker.received(message("quit"), at: 2)) == ["users=0"])
        _ = worker.tick(status(inFlight: 1, ended: 5), at: 2.1)
        #expect(told(worker.tick(status(inFlight: 1, ended: 5), at: 2.31)) == ["abandon", "stats"])
        #expect(told(worker.tick(status(inFlight: 1, ended: 5), at: 2.44)) == ["stats", "quit", "end quit"])
        #expect(told(worker.received(message("spawn"), at: 3)) == [])
    }

    @Test func `A master that quits while users finish for a stop is not kept waiting`() {
        var worker = greeted(drain: 60)
        _ = worker.received(job([.init("A", 10)], at: 100), at: 1)
        _ = worker.received(message("stop"), at: 2)
        _ = worker.received(message("quit"), at: 3)
        _ = worker.received(message("quit"), at: 3.2)
        #expect(told(worker.tick(status(inFlight: 1), at: 3.31)).contains("abandon"))
        #expect(told(worker.tick(status(inFlight: 1), at: 3.45)).suffix(3) == ["stats", "quit", "end quit"])
    }

    @Test func `An interrupted worker reports and leaves`() {
        var worker = greeted()
        _ = worker.received(job([.init("A", 10)], at: 100), at: 1)
        #expect(told(worker.interrupt(at: 2)) == ["users=0"])
        #expect(told(worker.received(job([.init("A", 10)], at: 101), at: 2)) == [])
        #expect(told(worker.tick(status(ended: 1), at: 2.05)).suffix(3) == ["stats", "quit", "end interrupted"])
        var early = made()
        _ = early.begin(at: 0)
        #expect(told(early.interrupt(at: 1)) == ["users=0", "quit", "end interrupted"])
    }

    @Test func `Load that ends by itself is an exception at the master`() {
        var worker = greeted()
        _ = worker.received(job([.init("A", 10)], at: 100), at: 1)
        let actions = worker.failed("certificate rejected")
        #expect(told(actions) == ["exception", "quit", "end quit"])
        #expect(data("exception", in: actions)?["msg"] == "certificate rejected")
    }

    // MARK: - A master that goes away

    @Test func `A silent master is asked again, and one that has restarted gets a worker without users`() {
        var worker = greeted()
        _ = worker.received(job([.init("A", 10)], at: 100), at: 1)
        _ = worker.received(message("heartbeat"), at: 2)
        #expect(!told(worker.tick(status(), at: 12)).contains("client_ready"))
        #expect(told(worker.tick(status(), at: 12.1)) == ["say", "client_ready"])
        #expect(!told(worker.tick(status(), at: 42)).contains("client_ready"))
        #expect(told(worker.tick(status(), at: 42.2)).contains("client_ready"))
        #expect(told(worker.received(message("ack", ["index": 0]), at: 43)) == ["say", "users=0"])
        // Its clock may be behind.
        #expect(told(worker.received(job([.init("A", 3)], at: 50), at: 44)).contains("users=3"))
    }

    @Test func `A master that was only slow finds its users at work`() {
        var worker = greeted()
        _ = worker.received(job([.init("A", 10)], at: 100), at: 1)
        _ = worker.tick(status(), at: 11.5)
        #expect(told(worker.received(message("heartbeat"), at: 12)) == [])
        #expect(told(worker.received(message("ack", ["index": 0]), at: 12)) == [])
        let beat = worker.tick(status(), at: 13)
        #expect(data("heartbeat", in: beat)?["state"] == "running")
    }

    @Test func `Users stop after a minute without a master`() {
        var worker = greeted()
        _ = worker.received(job([.init("A", 10)], at: 100), at: 1)
        _ = worker.tick(status(), at: 12)
        #expect(!told(worker.tick(status(), at: 60.9)).contains("users=0"))
        #expect(told(worker.tick(status(), at: 61.1)).starts(with: ["users=0", "say"]))
        #expect(!told(worker.tick(status(), at: 70)).contains("users=0"))
        // The old master comes back: it greets the worker anew.
        _ = worker.received(message("heartbeat"), at: 71)
        #expect(told(worker.received(message("ack"), at: 72)).contains("say"))
    }

    @Test func `The master may ask for a new connection, but not again and again`() {
        var worker = greeted()
        #expect(told(worker.received(message("reconnect"), at: 1)) == ["reconnect"])
        #expect(told(worker.received(message("reconnect"), at: 2)) == [])
        #expect(told(worker.received(message("reconnect"), at: 6)) == ["reconnect"])
    }

    @Test func `A job that follows a stop at once is done after it`() {
        var worker = greeted()
        _ = worker.received(job([.init("A", 10)], at: 100), at: 1)
        _ = worker.received(message("stop"), at: 2)
        #expect(told(worker.received(job([.init("A", 4)], at: 101), at: 2.01)) == [])
        #expect(
            told(worker.tick(status(), at: 2.1)).suffix(7)
                == ["stats", "client_stopped", "client_ready", "spawning", "drop", "users=4", "spawning_complete"])
    }

    @Test func `Stops that follow each other do not put the end off`() {
        var worker = greeted(drain: 5)
        _ = worker.received(job([.init("A", 10)], at: 100), at: 1)
        for step in 0..<60 { _ = worker.received(message("stop"), at: 2 + Double(step) / 10) }
        #expect(told(worker.tick(status(inFlight: 1), at: 7.1)).contains("abandon"))
        // A signal is stronger than a stop.
        _ = worker.interrupt(at: 7.15)
        #expect(told(worker.tick(status(inFlight: 1), at: 7.4)).last == "end interrupted")
    }

    @Test func `Bad jobs are told of once, and classes are limited`() {
        var worker = greeted()
        let many = (0...1_000).map { MessagePack.Entry(.string("class \($0)"), 1) }
        #expect(told(worker.received(job(many, at: 100), at: 1)) == ["say"])
        #expect(
            told(worker.received(job([.init(.string(String(repeating: "a", count: 1_001)), 1)], at: 101), at: 1)) == [])
        #expect(told(worker.received(job(Array(many.dropLast()), at: 102), at: 1)).contains("users=1000"))
    }

    @Test func `Times that are no numbers change nothing`() {
        var worker = greeted()
        #expect(told(worker.received(job([.init("A", 1)], at: .infinity), at: 1)) == ["say"])
        _ = worker.received(job([.init("A", 1)], at: 5, stopTimeout: .double(.nan)), at: 1)
        _ = worker.received(message("stop"), at: 2)
        #expect(told(worker.tick(status(inFlight: 1), at: 3.1)).contains("abandon"))
    }

    // MARK: - Reports

    @Test func `A report has what Locust's entries have`() throws {
        let counts = LiveCounts(Self.names, keepsSeconds: true)
        for milliseconds in [4, 147, 3_432, 58_760] as [UInt64] {
            counts.record(request: 0, status: 200, latency: milliseconds * 1_000_000, bytes: 10, at: 0)
        }
        counts.record(request: 0, status: 500, latency: 2_000_000, bytes: 1, at: 0, failure: "unexpected status 500")
        counts.record(request: 0, status: 0, latency: 1_000_000, bytes: 0, at: 0, failure: "timeout")
        let data = LocustReport(counts.take(), Self.names).data(since: 999.5, classes: [.init(name: "A", count: 2)])
        guard case .array(let entries)? = data["stats"] else {
            Issue.record("no entries")
            return
        }
        let entry = try #require(entries.first)
        #expect(entries.count == 1)
        #expect(entry["name"] == "/a")
        #expect(entry["method"] == "GET")
        #expect(entry["num_requests"] == 6)
        #expect(entry["num_failures"] == 2)
        #expect(entry["num_none_requests"] == 0)
        #expect(entry["start_time"] == .double(999.5))
        #expect(entry["total_content_length"] == 41)
        #expect(entry["min_response_time"] == .double(1))
        #expect(entry["max_response_time"] == .double(58_760))
        #expect(entry["total_response_time"] == .double(62_346))
        #expect(
            entry["response_times"]
                == .map([.init(1, 1), .init(2, 1), .init(4, 1), .init(150, 1), .init(3_400, 1), .init(59_000, 1)]))
        let total = try #require(data["stats_total"])
        #expect(total["name"] == "Aggregated")
        #expect(total["num_requests"] == 6)
        guard case .map(let seconds)? = total["num_reqs_per_sec"], case .map(let failed)? = total["num_fail_per_sec"]
        else {
            Issue.record("no seconds")
            return
        }
        #expect(seconds.compactMap(\.value.number).reduce(0, +) == 6)
        #expect(failed.compactMap(\.value.number).reduce(0, +) == 2)
        guard case .map(let errors)? = data["errors"] else {
            Issue.record("no errors")
            return
        }
        #expect(errors.map { $0.value["error"] } == ["timeout", "unexpected status 500"])
        #expect(errors.map { $0.value["occurrences"] } == [1, 1])
        #expect(data["user_count"] == 2)
        // Everything was taken.
        #expect(counts.take().parts.isEmpty)
    }

    @Test func `An empty report is one of nothing`() {
        let data = LocustReport(LiveFigures(), Self.names).data(since: 1, classes: [])
        #expect(data["stats"] == [])
        #expect(data["stats_total"]?["num_requests"] == 0)
        #expect(data["stats_total"]?["min_response_time"] == .null)
        #expect(data["errors"] == [:])
    }
}
