import Testing

@testable import H2Client

@Suite(.timeLimit(.minutes(1))) struct ResolverTests {
    private func resolve(_ host: String, port: Int = 443) async -> (Result<[SocketAddress], H2Error>, onLoop: Bool) {
        let loop = EventLoop()
        defer { loop.shutdown() }
        return await withCheckedContinuation { continuation in
            loop.execute {
                Resolver.resolve(host: host, port: port, on: loop) {
                    continuation.resume(returning: ($0, loop.isCurrent))
                }
            }
        }
    }

    @Test(arguments: ["127.0.0.1", "0.0.0.0", "::1", "fe80::1%lo", "2001:db8::17", "::ffff:10.0.0.1"])
    func `An IPv4 or IPv6 literal is an address`(host: String) {
        #expect(Resolver.isAddress(host))
    }

    @Test(arguments: ["localhost", "example.org", "1.2.3", "256.1.1.1", "", "[::1]", "127.0.0.1.example"])
    func `Anything else is a name`(host: String) {
        #expect(!Resolver.isAddress(host))
    }

    @Test(arguments: [("127.0.0.1", "127.0.0.1:8443"), ("::1", "[::1]:8443")])
    func `A literal resolves to itself with the port, on the loop's thread`(host: String, text: String) async throws {
        let (result, onLoop) = await resolve(host, port: 8443)
        #expect(try result.get().map(\.description) == [text])
        #expect(onLoop)
    }

    @Test func `A name resolves on the loop's thread`() async throws {
        let (result, onLoop) = await resolve("localhost", port: 80)
        let texts = try result.get().map(\.description)
        #expect(!texts.isEmpty)
        #expect(texts.allSatisfy { ["127.0.0.1:80", "[::1]:80"].contains($0) })
        #expect(onLoop)
    }

    @Test func `The completion never runs before resolve has returned`() {
        let loop = EventLoop(simulatedClock: { 0 })
        final class Order { var events: [String] = [] }
        let order = LoopBound(Order())
        loop.execute {
            Resolver.resolve(host: "127.0.0.1", port: 1, on: loop) { _ in order.value.events.append("completed") }
            order.value.events.append("returned")
        }
        loop.turn()
        #expect(order.value.events == ["returned", "completed"])
    }

    @Test func `A name without an address is an error that names it`() async throws {
        // Longer than a DNS name can be, so that no name server is asked.
        let name = String(repeating: "a.", count: 200) + "invalid"
        let (result, onLoop) = await resolve(name)
        let error = try #require(throws: H2Error.self) { try result.get() }
        #expect(error.code == .resolveFailed)
        #expect(error.message.contains(name))
        #expect(!error.remedy.isEmpty)
        guard case .resolver = error.cause else {
            Issue.record("the cause is \(error.cause)")
            return
        }
        #expect(onLoop)
    }
}
