import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn, .timeLimit(.minutes(5))) struct ResolverTests {
    private func resolve(_ host: String, port: Int = 443) async -> (Result<[SocketAddress], H2Error>, onLoop: Bool) {
        let loop = H2EventLoop()
        defer { loop.shutdown() }
        return await withCheckedContinuation { continuation in
            loop.execute {
                Resolver.shared.resolve(host: host, port: port, on: loop) {
                    continuation.resume(returning: ($0, loop.isCurrent))
                }
            }
        }
    }

    @Test(arguments: [
        "127.0.0.1", "0.0.0.0", "::1", "fe80::1%lo", "::1%lo", "2001:db8::17%lo", "2001:db8::17", "::ffff:10.0.0.1",
    ])
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

    /// getaddrinfo takes such a zone by its number alone, but for link-local addresses.
    @Test(arguments: ["::1%lo", "fe80::1%lo", "2001:db8::17%lo"])
    func `A literal's zone is an interface's name, whatever the scope`(host: String) async throws {
        let (result, _) = await resolve(host, port: 80)
        let address = try #require(try result.get().first)
        let zone = address.withSockaddr { address, length in
            UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in6.self).sin6_scope_id
        }
        #expect(zone == if_nametoindex("lo"))
    }

    @Test func `A name resolves on the loop's thread`() async throws {
        let (result, onLoop) = await resolve("localhost", port: 80)
        let texts = try result.get().map(\.description)
        #expect(!texts.isEmpty)
        #expect(texts.allSatisfy { ["127.0.0.1:80", "[::1]:80"].contains($0) })
        #expect(onLoop)
    }

    @Test func `The completion never runs before resolve has returned`() {
        let loop = H2EventLoop(simulatedClock: { 0 })
        final class Order { var events: [String] = [] }
        let order = LoopBound(Order())
        loop.execute {
            Resolver.shared.resolve(host: "127.0.0.1", port: 1, on: loop) { _ in order.value.events.append("completed")
            }
            order.value.events.append("returned")
        }
        loop.turn()
        #expect(order.value.events == ["returned", "completed"])
    }

    // MARK: - Many look-ups

    /// A resolver whose look-ups wait until they are let go, and that counts them.
    ///
    /// Invariant behind `@unchecked Sendable`: what changes is touched under `lock` alone.
    private final class Slow: @unchecked Sendable {
        private let lock = PthreadLock()
        private var hosts: [String] = []
        private var isOpen = false
        private(set) var resolver: Resolver!

        init(threadLimit: Int = Resolver.threadLimit) {
            resolver = Resolver(threadLimit: threadLimit) { [unowned self] host, port in
                lock.withLock { hosts.append(host) }
                waitUntil { lock.withLock { isOpen } }
                return Resolver.addresses(host: "127.0.0.1", port: port, flags: AI_NUMERICHOST)
            }
        }

        var lookedUp: [String] { lock.withLock { hosts } }
        func letGo() { lock.withLock { isOpen = true } }
        /// Its threads are done with it.
        func finish() {
            letGo()
            waitUntil { self.resolver.counts == (0, 0) }
        }
    }

    /// Answers as they come, on any thread.
    ///
    /// Invariant behind `@unchecked Sendable`: what changes is touched under `lock` alone.
    private final class Answers: @unchecked Sendable {
        private let lock = PthreadLock()
        private var texts: [String] = []

        func note(_ result: Result<[SocketAddress], H2Error>) {
            let text = (try? result.get().map(\.description).joined(separator: " ")) ?? "failed"
            lock.withLock { texts.append(text) }
        }
        var all: [String] { lock.withLock { texts } }
    }

    @Test func `Names whose name server is dead do not hold others up, by the hundred`() async {
        let (slow, answers, loop) = (Slow(), Answers(), H2EventLoop())
        defer { loop.shutdown() }
        let dead = Resolver.threadLimit - 1
        #expect(dead >= 200)
        for number in 0..<dead {
            slow.resolver.resolve(host: "dead\(number).example", port: 1, on: loop) { answers.note($0) }
        }
        waitUntil { slow.lookedUp.count == dead }
        await withCheckedContinuation { continuation in
            slow.resolver.resolve(host: "good.example", port: 1, on: loop, began: { continuation.resume() }) {
                answers.note($0)
            }
        }
        waitUntil { slow.lookedUp.contains("good.example") }
        slow.finish()
        waitUntil { answers.all.count == dead + 1 }
    }

    @Test func `A look-up that waits for a thread has not begun, and one that is shared has`() async {
        let (slow, answers, loop) = (Slow(threadLimit: 1), Answers(), H2EventLoop())
        defer { loop.shutdown() }
        let begun = Answers()
        func ask(_ host: String) {
            slow.resolver.resolve(
                host: host, port: 1, on: loop,
                began: { begun.note(Resolver.addresses(host: "127.0.0.1", port: 1, flags: AI_NUMERICHOST)) },
                completion: { answers.note($0) })
        }
        ask("first.example")
        waitUntil { begun.all.count == 1 }
        ask("first.example")
        waitUntil { begun.all.count == 2 }
        ask("second.example")
        await loop.run {}
        #expect(begun.all.count == 2)
        slow.finish()
        waitUntil { begun.all.count == 3 && answers.all.count == 3 }
    }

    @Test func `No more look-ups run at once than there may be threads, and the others follow in order`() {
        let (slow, answers, loop) = (Slow(threadLimit: 16), Answers(), H2EventLoop())
        defer { loop.shutdown() }
        for number in 0..<40 {
            slow.resolver.resolve(host: "h\(number).example", port: number + 1, on: loop) { answers.note($0) }
        }
        waitUntil { slow.lookedUp.count == 16 }
        #expect(slow.resolver.counts == (16, 24))
        #expect(answers.all.isEmpty)
        slow.finish()
        waitUntil { answers.all.count == 40 }
        #expect(Set(answers.all) == Set((1...40).map { "127.0.0.1:\($0)" }))
        #expect(slow.lookedUp.count == 40)
    }

    @Test func `Those who ask for the same host and port share one look-up, on whatever loop`() {
        let (slow, answers, loops) = (Slow(), Answers(), [H2EventLoop(), H2EventLoop()])
        defer { for loop in loops { loop.shutdown() } }
        for number in 0..<20 {
            let loop = loops[number % 2]
            slow.resolver.resolve(host: "same.example", port: 443, on: loop) {
                #expect(loop.isCurrent)
                answers.note($0)
            }
        }
        slow.resolver.resolve(host: "same.example", port: 444, on: loops[0]) { answers.note($0) }
        waitUntil { slow.lookedUp.count == 2 }
        slow.finish()
        waitUntil { answers.all.count == 21 }
        #expect(slow.lookedUp.count == 2)
        // Nothing is remembered: who asks later gets a new look-up.
        slow.resolver.resolve(host: "same.example", port: 443, on: loops[0]) { answers.note($0) }
        waitUntil { answers.all.count == 22 }
        #expect(slow.lookedUp.count == 3)
    }

    @Test func `A look-up that nobody waits for any more is not begun`() {
        let (slow, answers, loop) = (Slow(threadLimit: 1), Answers(), H2EventLoop())
        defer { loop.shutdown() }
        func ask(_ host: String) -> (any NameQuery)? {
            slow.resolver.resolve(host: host, port: 1, on: loop) { answers.note($0) }
        }
        _ = ask("first.example")
        waitUntil { slow.lookedUp == ["first.example"] }
        let shared = [ask("shared.example"), ask("shared.example")]
        let lonely = ask("lonely.example")
        lonely?.cancel()
        lonely?.cancel()
        shared[0]?.cancel()
        #expect(slow.resolver.counts == (1, 1))
        slow.finish()
        waitUntil { answers.all.count == 2 }
        #expect(slow.lookedUp == ["first.example", "shared.example"])
    }

    @Test func `An answer that nobody waits for any more goes to nobody`() {
        let (slow, answers, loop) = (Slow(), Answers(), H2EventLoop())
        defer { loop.shutdown() }
        let query = slow.resolver.resolve(host: "a.example", port: 1, on: loop) { answers.note($0) }
        waitUntil { slow.lookedUp.count == 1 }
        query?.cancel()
        // While it still runs somebody else comes, and shares it.
        slow.resolver.resolve(host: "a.example", port: 1, on: loop) { answers.note($0) }
        slow.finish()
        waitUntil { answers.all.count == 1 }
        #expect(slow.lookedUp.count == 1)
    }

    @Test func `Look-ups that wait have a limit`() async {
        let (slow, loop) = (Slow(threadLimit: 1), H2EventLoop())
        defer { loop.shutdown() }
        for number in 0...Resolver.waitingLimit {
            slow.resolver.resolve(host: "h\(number).example", port: 1, on: loop) { _ in }
            if number == 0 { waitUntil { slow.lookedUp.count == 1 } }
        }
        let code: H2Error.Code? = await withCheckedContinuation { continuation in
            slow.resolver.resolve(host: "one-more.example", port: 1, on: loop) { result in
                if case .failure(let error) = result {
                    continuation.resume(returning: error.code)
                } else {
                    continuation.resume(returning: nil)
                }
            }
        }
        #expect(code == .limitExceeded)
        slow.finish()
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
