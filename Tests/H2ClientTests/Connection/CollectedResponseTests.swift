import H2Platform
import HTTPTypes
import H2ClientTesting
import Synchronization
import H2TestSupport
import Testing

@testable import H2Client

/// Whole responses, whose readers no loop keeps apart.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct CollectedResponseTests {
    private enum Reading: CaseIterable { case collect, next, discard, write }

    /// What a reader came to.
    private enum Outcome: Equatable {
        case bytes([UInt8])
        case count(Int)
        case refused
    }

    /// A response that was whole when its head was delivered.
    private static func whole(_ bytes: [UInt8], on connection: HTTP2Connection) throws -> HTTPResponseBody {
        let exchange = try Exchange(connection: connection.connection, body: .empty, options: RequestOptions())
        (exchange.body, exchange.bodyReceived, exchange.phase) = (bytes, bytes.count, .ended)
        return HTTPResponseBody(exchange: exchange, guardian: nil)
    }

    private static func deliver(_ body: HTTPResponseBody) async {
        _ = await withUnsafeContinuation { continuation in
            body.exchange.waiter = .head(continuation)
            body.exchange.deliverHeadOrBody()
        }
    }

    private static func read(_ body: HTTPResponseBody, _ reading: Reading, _ file: CInt) async throws -> Outcome {
        do {
            switch reading {
            case .collect: return .bytes(try await body.collect(upTo: 1_000))
            case .next:
                var iterator = body.makeAsyncIterator()
                return .bytes(try await iterator.next().map(Array.init) ?? [])
            case .discard: return .count(try await body.discard())
            case .write: return .count(try await body.write(to: file))
            }
        } catch let error as H2Error where error.code == .invalidRequest && error.message.contains("read already") {
            return .refused
        }
    }

    /// Holds two tasks until both are at the same turn. Where the pool's threads are taken by others, there are fewer turns.
    private final class Pace: Sendable {
        private let first = Atomic<Int>(-1)
        private let second = Atomic<Int>(-1)
        private let end: Atomic<Int>
        private let deadline = ContinuousClock.now + .seconds(5)

        init(turns: Int) { end = Atomic(turns) }

        var turns: Int { end.load(ordering: .acquiring) }

        func meet(_ isFirst: Bool, at turn: Int) async {
            // Before the turn is begun: the second is not past it.
            if isFirst, turn % 64 == 63, turn < turns, ContinuousClock.now > deadline {
                end.store(turn + 1, ordering: .releasing)
            }
            if isFirst { first.store(turn, ordering: .releasing) } else { second.store(turn, ordering: .releasing) }
            var spins = 0
            while (isFirst ? second.load(ordering: .acquiring) : first.load(ordering: .acquiring)) < turn {
                spins += 1
                if spins % 200 == 0 { await Task.yield() }
            }
        }
    }

    @Test func `Two tasks that read it at once never both get its bytes, whatever way they read`() async throws {
        var served = OriginServer.Configuration()
        served.security = .cleartext
        let server = try OriginServer.start(served)
        let loop = H2EventLoop()
        defer {
            server.stopNow()
            loop.shutdown()
        }
        let connection = try await HTTP2Connection.connect(
            to: Origin(scheme: .http, host: "127.0.0.1", port: server.port), on: loop)
        let file = try #require(tmpfile())
        defer { fclose(file) }
        let descriptor = fileno(file)

        let tries = 20_000
        // A write takes a thread, so it comes once in a while.
        let pairs = [Reading.collect, .next, .discard].flatMap { a in
            [Reading.collect, .next, .discard].map { (a, $0) }
        }
        let writing = Reading.allCases.flatMap { [(Reading.write, $0), ($0, .write)] }
        let plan = (0..<tries).map {
            $0 % 16 == 0 ? writing[$0 / 16 % writing.count] : pairs[$0 % pairs.count]
        }
        let bodies = try await loop.run {
            Result {
                try (0..<tries).map { try Self.whole([UInt8](repeating: UInt8($0 % 251), count: 40), on: connection) }
            }
        }.get()
        for body in bodies { await Self.deliver(body) }
        let areAllWhole = bodies.allSatisfy { $0.exchange.isWhole }
        #expect(areAllWhole)

        let pace = Pace(turns: tries)
        func reading(isFirst: Bool) -> Task<[Outcome], any Error> {
            Task.detached {
                var outcomes: [Outcome] = []
                var turn = -1
                while turn + 1 < pace.turns {
                    turn += 1
                    await pace.meet(isFirst, at: turn)
                    let way = isFirst ? plan[turn].0 : plan[turn].1
                    outcomes.append(try await Self.read(bodies[turn], way, descriptor))
                }
                return outcomes
            }
        }
        let (first, second) = (reading(isFirst: true), reading(isFirst: false))
        let (a, b) = try await (first.value, second.value)

        var (refused, written) = (0, 0)
        #expect(a.count == b.count && a.count >= 64)
        for turn in 0..<min(a.count, b.count) {
            let expected = [UInt8](repeating: UInt8(turn % 251), count: 40)
            var delivered = 0
            for outcome in [a[turn], b[turn]] {
                switch outcome {
                case .bytes(let bytes):
                    delivered += bytes.count
                    if !bytes.isEmpty, bytes != expected { Issue.record("turn \(turn), \(plan[turn]): other bytes") }
                case .count(let count): delivered += count
                case .refused: refused += 1
                }
            }
            if delivered != 40 { Issue.record("turn \(turn), \(plan[turn]): \(a[turn]) and \(b[turn])") }
            for (outcome, reading) in [(a[turn], plan[turn].0), (b[turn], plan[turn].1)] {
                if reading == .write, case .count(let count) = outcome { written += count }
            }
        }
        // Two that want all of it: one of them is refused, at the latest because the other has had it.
        let exclusive = plan.prefix(a.count).count {
            $0.0 != .next && $0.0 != .discard && $0.1 != .next && $0.1 != .discard
        }
        #expect(refused >= exclusive)
        #expect(lseek(descriptor, 0, SEEK_END) == off_t(written))
        connection.closeNow()
    }
}
