import Foundation
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// An HTTP/1.1 connection over a simulated wire, and a script at the other end. Virtual time: nothing here waits.
///
/// Invariant behind `@unchecked Sendable`: all of it runs on its world's loop, which is the test's thread.
final class HTTP1ConnectionRig: @unchecked Sendable {
    let world = SimulatedWorld()
    let wire: SimulatedWire
    private(set) var connection: HTTP1Connection!
    /// What the client sent.
    private(set) var received = ""
    private(set) var isClosedByClient = false
    /// Answers each head that arrives, with what stands before its empty line; nil answers nothing.
    var answer: (String) -> String? = { _ in nil }
    private var unanswered = ""

    /// - Parameters:
    ///   - latency: one way, nanoseconds.
    ///   - piece: bytes that arrive together, at most.
    init(
        _ configuration: ConnectionConfiguration = ConnectionConfiguration(), latency: Int = 1_000_000,
        piece: Int = 1 << 20,
        room: Int = 1 << 20
    ) {
        var shape = SimulatedWire.Shape()
        shape.latency = latency...latency
        shape.piece = piece
        shape.room = room
        wire = SimulatedWire(world, shape: shape)
        wire.onReceive = { [unowned self] in take($0) }
        wire.onClose = { [unowned self] in isClosedByClient = true }
        let (world, wire) = (world, LoopBound(wire))
        connection = world.onLoop {
            HTTP1Connection(
                over: wire.value, to: try! Origin(scheme: .http, host: "rig.example"), configuration: configuration,
                on: world.loop)
        }
        settle()
    }

    /// A rig that answers every request with its number in a body of a stated length.
    convenience init(counting configuration: ConnectionConfiguration) {
        self.init(configuration)
        var count = 0
        answer = { _ in
            count += 1
            return Self.ok("\(count)")
        }
    }

    deinit {
        // Whatever still arrives must not find a rig that is going.
        wire.onReceive = { _ in }
        wire.onClose = {}
        // A dropped connection posts its end to the loop, which nobody would turn any more.
        connection = nil
        world.run()
    }

    static func ok(_ body: String, _ fields: String = "") -> String {
        "HTTP/1.1 200 OK\r\ncontent-length: \(body.utf8.count)\r\n\(fields)\r\n\(body)"
    }

    private func take(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        received += text
        unanswered += text
        while let end = unanswered.range(of: "\r\n\r\n") {
            let head = String(unanswered[..<end.lowerBound])
            unanswered = String(unanswered[end.upperBound...])
            if let text = answer(head) { say(text) }
        }
    }

    func say(_ text: String) { wire.send(Array(text.utf8)) }

    var session: HTTP1Session { connection.connection.http1! }
    var snapshot: ConnectionSnapshot {
        let connection = connection.connection
        return world.onLoop { connection.snapshot() }
    }
    /// Heads that have arrived.
    var requests: Int { received.components(separatedBy: " HTTP/1.1\r\n").count - 1 }

    // MARK: - Running

    @discardableResult
    func run<R>(
        sourceLocation: SourceLocation = #_sourceLocation,
        _ body: @escaping @Sendable (HTTP1Connection) async throws -> R
    ) -> Result<R, any Error>? {
        let pending = start(body)
        finish(pending, sourceLocation: sourceLocation)
        return pending.outcome
    }

    func start<R>(_ body: @escaping @Sendable (HTTP1Connection) async throws -> R) -> Pending<R> {
        let pending = Pending<R>()
        let connection = connection!
        pending.task = world.task {
            do {
                pending.note(.success(try await body(connection)))
            } catch {
                pending.note(.failure(error))
            }
        }
        return pending
    }

    func finish<R>(_ pending: Pending<R>, sourceLocation: SourceLocation = #_sourceLocation) {
        world.run(within: .seconds(3_600)) { pending.outcome != nil }
        if pending.outcome == nil { Issue.record("it never ended", sourceLocation: sourceLocation) }
    }

    /// The body of a GET.
    func get(_ options: RequestOptions = RequestOptions()) -> Pending<String> {
        start { connection in
            let response = try await connection.send(.to("/"), options: options)
            return String(decoding: try await response.body.collect(upTo: 1 << 20), as: UTF8.self)
        }
    }

    func settle() { world.advance(.milliseconds(20)) }

    /// Closes, and checks that nothing is left: requests, waiting requests, timers.
    func expectNothingLeft(sourceLocation: SourceLocation = #_sourceLocation) {
        world.advance(2 * Connection.watchAfter)
        let snapshot = snapshot
        #expect(snapshot.openStreams == 0, sourceLocation: sourceLocation)
        #expect(snapshot.waitingRequests == 0, sourceLocation: sourceLocation)
        connection.closeNow()
        settle()
        #expect(world.loop.nextTimer == nil, "a timer is left", sourceLocation: sourceLocation)
        #expect(wire.isClosed, sourceLocation: sourceLocation)
    }
}
