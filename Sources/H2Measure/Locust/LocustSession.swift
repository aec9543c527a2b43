import H2Client
import H2Platform
import Synchronization

/// A worker of a Locust master: the protocol's state machine, its connection, and the measurement that it steers.
package final class LocustSession: Sendable {
    private enum Event: Sendable {
        case message([UInt8])
        case tick
        case interrupt
        case loadEnded(String)
    }

    private static let tickPeriod = Duration.milliseconds(50)
    /// Messages of the master that may wait; more than that are an attack, and are dropped.
    private static let maximumMessages = 50

    private let endpoint: String
    private let master: String
    private let plan: BenchPlan
    private let control: BenchControl
    private let reader: Int
    private let say: @Sendable (String) -> Void
    private let identity: String
    private let events: AsyncStream<Event>
    private let source: AsyncStream<Event>.Continuation
    private let waitingMessages = Atomic<Int>(0)

    /// - Parameters:
    ///   - endpoint: where the master listens, for example `tcp://127.0.0.1:5557`.
    ///   - master: its host and port, for messages.
    ///   - plan: the measurement that `control` steers. It has users, and collects figures.
    ///   - reader: the number under which the session takes these figures.
    ///   - say: tells the user a sentence.
    package init(
        endpoint: String, master: String, _ plan: BenchPlan, _ control: BenchControl, reader: Int,
        say: @escaping @Sendable (String) -> Void
    ) {
        (self.endpoint, self.master, self.plan, self.control) = (endpoint, master, plan, control)
        (self.reader, self.say) = (reader, say)
        identity = Self.makeIdentity()
        (events, source) = AsyncStream.makeStream()
    }

    /// The name of this machine and a random number, as Locust's own workers have it. The master spreads users over machines by
    /// what comes before the underscore.
    private static func makeIdentity() -> String {
        var name = [UInt8](repeating: 0, count: 65)
        let hasName = name.withUnsafeMutableBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { $0.baseAddress.map { gethostname($0, 64) } == 0 }
        }
        let host = hasName ? String(decoding: name.prefix { $0 != 0 }, as: UTF8.self) : "h2get"
        let digits = (0..<2).map { _ in
            let text = String(UInt64.random(in: 0...UInt64.max), radix: 16)
            return String(repeating: "0", count: 16 - text.utf8.count) + text
        }
        return "\(String(host.map { $0 == "_" ? "-" : $0 }))_\(digits.joined())"
    }

    /// Ends the session: users finish their requests, and the master learns that the worker leaves.
    package func interrupt() { source.yield(.interrupt) }

    /// The measurement has ended by itself.
    package func loadEnded(because why: String) { source.yield(.loadEnded(why)) }

    /// Serves the master until it quits, the user interrupts, or the measurement ends. The measurement is not stopped.
    /// - Throws: `H2Error` (`invalidConfiguration`, `localIO`) if ZeroMQ cannot be used.
    package func run() async throws -> LocustWorker.Ending {
        var worker = LocustWorker(
            identity: identity, master: master, names: LiveNames(plan), drain: plan.drain.inSeconds)
        var dealer = try connect()
        let clock = Task { [source] in
            while (try? await Task.sleep(for: Self.tickPeriod)) != nil { source.yield(.tick) }
        }
        defer { clock.cancel() }
        var processor = ProcessorShare(loops: plan.threads)
        var actions = worker.begin(at: Self.now)
        var waiting = events.makeAsyncIterator()
        while true {
            for action in actions {
                switch action {
                case .send(let message): dealer.send(message)
                case .sendNow(let message): dealer.send(message, mayWait: false)
                case .setUsers(let count): control.setUsers(count)
                case .abandon: control.abandon()
                case .dropFigures: _ = control.takeFigures(for: reader)
                case .reconnect:
                    await dealer.close()
                    // The master must have noticed, or it ignores another connection of the same identity.
                    try? await Task.sleep(for: .milliseconds(300))
                    dealer = try connect()
                case .say(let text): say(text)
                case .end(let ending):
                    await dealer.close()
                    return ending
                }
            }
            let now = Self.now
            switch await waiting.next() {
            case .message(let bytes)?:
                waitingMessages.subtract(1, ordering: .relaxed)
                actions = worker.received(bytes, at: now)
            case .interrupt?, nil: actions = worker.interrupt(at: now)
            case .loadEnded(let why)?: actions = worker.failed(why)
            case .tick?:
                var status = LocustWorker.Status()
                if worker.needsFigures(at: now) { status.figures = control.takeFigures(for: reader) }
                status.processor = processor.percent(at: now)
                status.residentBytes = ProcessClocks.usage.residentBytes
                status.wallTime = ProcessClocks.wallSeconds
                actions = worker.tick(status, at: now)
            }
        }
    }

    private func connect() throws -> ZeroMQDealer {
        try ZeroMQDealer(endpoint: endpoint, identity: identity) { [self] message in
            guard waitingMessages.load(ordering: .relaxed) < Self.maximumMessages else { return }
            waitingMessages.add(1, ordering: .relaxed)
            source.yield(.message(message))
        }
    }

    private static var now: Double { Double(H2EventLoop.monotonicNanoseconds()) / 1e9 }
}

/// The process's use of its loops' processors, over the last second.
private struct ProcessorShare {
    private let loops: Int
    private var since = 0.0
    private var used = 0.0
    private var last = 0.0

    init(loops: Int) { self.loops = loops }

    mutating func percent(at now: Double) -> Double {
        guard now - since >= 1 else { return last }
        let usage = ProcessClocks.usage
        let total = usage.user + usage.system
        if since > 0 { last = ((total - used) / (now - since) / Double(loops) * 1_000).rounded() / 10 }
        (since, used) = (now, total)
        return last
    }
}
