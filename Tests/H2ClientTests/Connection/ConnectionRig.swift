import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// A connection over a simulated wire, and nghttp2's server or a script at the other end. Virtual time: nothing here waits.
///
/// Invariant behind `@unchecked Sendable`: all of it runs on its world's loop, which is the test's thread.
final class ConnectionRig: @unchecked Sendable {
    let world = SimulatedWorld()
    let wire: SimulatedWire
    /// nil where frames are scripted.
    let server: SimulatedServer!
    private(set) var connection: HTTP2Connection!
    /// What the client sent, where frames are scripted.
    private(set) var received: [Frame] = []
    private let reader = FrameReader(expectsPreface: true)
    let encoder = FieldEncoder()
    let decoder = FieldDecoder()
    private(set) var isClosedByClient = false

    /// - Parameters:
    ///   - isScripted: no server: the test sends frames itself, and reads `received`.
    ///   - says: the script's first SETTINGS.
    ///   - latency: one way, nanoseconds.
    init(
        _ configuration: ConnectionConfiguration = ConnectionConfiguration(),
        settings: SimulatedServer.Settings = .init(),
        isScripted: Bool = false, says: KeyValuePairs<UInt16, UInt32> = [:], latency: Int = 1_000_000
    ) {
        var shape = SimulatedWire.Shape()
        shape.latency = latency...latency
        wire = SimulatedWire(world, shape: shape)
        server = isScripted ? nil : SimulatedServer(world, wire, settings: settings)
        if isScripted {
            wire.onReceive = { [unowned self] in received += reader.read($0) }
            wire.onClose = { [unowned self] in isClosedByClient = true }
        }
        let (world, wire) = (world, LoopBound(wire))
        connection = world.onLoop {
            HTTP2Connection(
                over: wire.value, to: try! Origin(scheme: .http, host: "rig.example"), configuration: configuration,
                on: world.loop)
        }
        if isScripted { wire.value.send(.settings(says), .settingsAck) }
        world.advance(.milliseconds(10))
    }

    deinit {
        // A dropped connection posts its end to the loop, which nobody would turn any more; and nobody is here to be told.
        (wire.onReceive, wire.onClose) = ({ _ in }, {})
        connection = nil
        world.run()
    }

    var session: HTTP2Session { connection.connection.http2! }
    var snapshot: ConnectionSnapshot {
        let connection = connection.connection
        return world.onLoop { connection.snapshot() }
    }

    func received(_ type: UInt8) -> [Frame] { received.filter { $0.type == type } }

    // MARK: - Running

    /// What `body` came to, run on the loop; nil, and an issue, where it never ends.
    @discardableResult
    func run<R>(
        sourceLocation: SourceLocation = #_sourceLocation,
        _ body: @escaping @Sendable (HTTP2Connection) async throws -> R
    ) -> Result<R, any Error>? {
        let pending = start(body)
        finish(pending, sourceLocation: sourceLocation)
        return pending.outcome
    }

    /// As `run`, but returns at once.
    func start<R>(_ body: @escaping @Sendable (HTTP2Connection) async throws -> R) -> Pending<R> {
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

    /// Lets whatever is under way at this moment arrive.
    func settle() { world.advance(.milliseconds(20)) }

    /// Long enough for a fresh request to notice that its task was cancelled.
    func settleCancellations() { world.advance(2 * Connection.watchAfter) }

    func advance(_ milliseconds: Int) { world.advance(.milliseconds(milliseconds)) }

    /// Closes, and checks that nothing is left: streams, waiting requests, timers.
    func expectNothingLeft(sourceLocation: SourceLocation = #_sourceLocation) {
        settleCancellations()
        let snapshot = snapshot
        #expect(snapshot.openStreams == 0, sourceLocation: sourceLocation)
        #expect(snapshot.waitingRequests == 0, sourceLocation: sourceLocation)
        #expect(snapshot.unreadBytes == 0, sourceLocation: sourceLocation)
        #expect(session.window.debt == 0, sourceLocation: sourceLocation)
        connection.closeNow()
        settle()
        #expect(world.loop.nextTimer == nil, "a timer is left", sourceLocation: sourceLocation)
        #expect(wire.isClosed, sourceLocation: sourceLocation)
        if server != nil { #expect(server.complaints == [], sourceLocation: sourceLocation) }
    }
}

/// A task of a rig and what it came to. See `Noted` for why it may be shared.
final class Pending<R>: @unchecked Sendable {
    var task: Task<Void, Never>?
    private(set) var outcome: Result<R, any Error>?
    private(set) var endings = 0

    func note(_ result: Result<R, any Error>) {
        endings += 1
        outcome = result
    }

    var isOver: Bool { outcome != nil }
    var value: R? { try? outcome?.get() }
    var error: (any Error)? {
        if case .failure(let error) = outcome { error } else { nil }
    }
    var h2Error: H2Error? { error as? H2Error }
}

extension Result where Failure == any Error {
    var value: Success? { try? get() }
    var error: (any Error)? {
        if case .failure(let error) = self { error } else { nil }
    }
    var h2Error: H2Error? { error as? H2Error }
}

extension HTTPRequest {
    static func to(_ path: String = "/", _ method: HTTPRequest.Method = .get) -> HTTPRequest {
        HTTPRequest(method: method, scheme: nil, authority: nil, path: path)
    }
}
