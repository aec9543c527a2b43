import Foundation
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

private let headers: UInt8 = 1

/// Requests that wait until a stream may be opened.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct StreamSlotTests {
    @Test func `Requests that wait for a slot fail when the connection ends`() async throws {
        let server = try PuppetServer()
        server.play(settings: PuppetServer.setting(3, 1)) { server in
            _ = server.next(headers)
            server.hangUp()
        }
        let connection = try await server.connect()
        let requests = (0..<3).map { _ in
            Task.detached { try await connection.send(.to()).status }
        }
        for request in requests {
            let result = await ending { try await request.value }
            guard case .failure(let error as H2Error)? = result else {
                Issue.record("\(String(describing: result))")
                continue
            }
            #expect(error.code == .connectionClosed || error.code == .notProcessed)
        }
    }

    /// Counts itself.
    private final class Token: Sendable {
        static let live = Counted()
        init() { Self.live.add(1) }
        deinit { Self.live.add(-1) }
    }

    private final class Counted: @unchecked Sendable {
        // Invariant behind `@unchecked Sendable`: touched under the lock alone.
        private let lock = NSLock()
        private var number = 0
        func add(_ change: Int) { lock.withLock { number += change } }
        var count: Int { lock.withLock { number } }
    }

    @Test func `Requests that gave up waiting are not kept while no slot comes free`() async throws {
        let server = try PuppetServer()
        server.play(settings: PuppetServer.setting(3, 0)) { server in _ = server.next(7) }
        let connection = try await server.connect()
        defer { connection.closeNow() }
        // The server's SETTINGS have to be here.
        while await connection.snapshot().remoteSettings.maxConcurrentStreams != 0 { await Task.yield() }
        for _ in 0..<20 {
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        let token = Token()
                        var options = RequestOptions()
                        options.queueTimeout = .milliseconds(1)
                        options.onInformational = { _ in _ = token }
                        _ = try? await connection.send(.to(), options: options)
                    }
                }
            }
        }
        #expect(await connection.snapshot().waitingRequests == 0)
        #expect(Token.live.count < 500)
    }
}
