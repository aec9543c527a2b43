import Foundation
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// A server made of one accepted blocking socket and hand-written frames, whose steps a test writes down.
///
/// Every read and write ends after a minute at the latest: where all suites run at once on two cores, tasks wait for long
/// before they run. The connection ends with the script.
final class PuppetServer: Sendable {
    /// A client's connection, during its script.
    typealias Peer = RawPeer

    // A script that waits for its client keeps the server.
    private let server: RawServer
    private let scripts = ScriptQueue()
    var port: Int { server.port }

    init() throws {
        server = try RawServer { [scripts] socket in scripts.take()?(RawPeer(socket)) }
    }

    deinit { server.stop() }

    /// Plays `script` for the next client; settings are sent and acknowledged first.
    func play(settings: [UInt8] = [], _ script: @escaping @Sendable (Peer) -> Void) {
        scripts.put { [self] peer in
            defer { withExtendedLifetime(self) {} }
            guard peer.take(24) != nil else { return }
            peer.send(RawPeer.frame(4, settings) + RawPeer.frame(4, flags: 1))
            script(peer)
        }
    }

    /// Plays `script` for the next client, which speaks HTTP/1.1.
    func playHTTP1(_ script: @escaping @Sendable (Peer) -> Void) {
        scripts.put { [self] peer in
            defer { withExtendedLifetime(self) {} }
            script(peer)
        }
    }

    static func setting(_ id: UInt8, _ value: UInt32) -> [UInt8] { [0, id] + RawPeer.bytes(value) }

    /// - Parameter window: the server's stream window, to be known before anything is sent.
    func connect(
        window: Int? = nil, _ change: (inout ConnectionConfiguration) -> Void = { _ in }
    ) async throws -> HTTP2Connection {
        var configuration = ConnectionConfiguration()
        change(&configuration)
        let connection = try await HTTP2Connection.connect(
            to: Origin(scheme: .http, host: "127.0.0.1", port: port), configuration: configuration)
        while let window, await connection.snapshot().remoteSettings.initialWindowSize != window { await Task.yield() }
        return connection
    }

    private final class ScriptQueue: @unchecked Sendable {
        // Invariant behind `@unchecked Sendable`: `scripts` is touched under the lock alone.
        private let lock = NSLock()
        private var scripts: [@Sendable (Peer) -> Void] = []

        func put(_ script: @escaping @Sendable (Peer) -> Void) { lock.withLock { scripts.append(script) } }

        func take() -> (@Sendable (Peer) -> Void)? {
            lock.withLock { scripts.isEmpty ? nil : scripts.removeFirst() }
        }
    }
}

extension RawPeer {
    func head(_ stream: UInt32, _ status: String = "200", _ fields: [(String, String)] = [], ends: Bool = false) {
        var block = RawPeer.field(":status", status)
        for (name, value) in fields { block += RawPeer.field(name, value) }
        send(RawPeer.frame(1, flags: ends ? 5 : 4, stream: stream, block))
    }

    /// Ends what it sends; the connection is closed when the script ends.
    func hangUp() { socket.finish() }

    /// The next head of an HTTP/1.1 request; nil at the end or after a minute of nothing.
    func nextHead() -> String? {
        var head: [UInt8] = []
        while let byte = take(1) {
            head += byte
            if head.suffix(4).elementsEqual("\r\n\r\n".utf8) { return String(decoding: head, as: UTF8.self) }
        }
        return nil
    }
}

/// Hands one value from a thread to a test.
final class Mailbox<Value: Sendable>: @unchecked Sendable {
    // Invariant behind `@unchecked Sendable`: `value` is touched under the lock alone.
    private let lock = NSLock()
    private var value: Value?

    func put(_ value: Value) { lock.withLock { self.value = value } }
    private func peek() -> Value? { lock.withLock { value } }
    var isFull: Bool { peek() != nil }

    /// The value, once it is there; nil after a minute.
    func take() async -> Value? {
        try? await eventually("a value") { isFull }
        return peek()
    }
}

/// Runs `operation`, which has to end within a minute, whatever it throws; nil if it did not end.
func ending<R: Sendable>(_ operation: @escaping @Sendable () async throws -> R) async -> Result<R, any Error>? {
    let box = Mailbox<Result<R, any Error>>()
    let task = Task.detached {
        do { box.put(.success(try await operation())) } catch { box.put(.failure(error)) }
    }
    let result = await box.take()
    task.cancel()
    return result
}
