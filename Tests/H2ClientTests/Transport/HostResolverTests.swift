import H2TestSupport
import Synchronization
import Testing

@testable import H2Client

@Suite(.inTurn, .timeLimit(.minutes(2))) struct HostResolverTests {
    private let loop = H2EventLoop.shared

    private func resolve(_ resolver: HostResolver, _ host: String) async -> Result<[String], H2Error> {
        await withCheckedContinuation { continuation in
            loop.execute {
                resolver.names.resolve(host: host, port: 80, on: loop) {
                    continuation.resume(returning: $0.map { $0.map(\.description) })
                }
            }
        }
    }

    @Test func `An answer is remembered for as long as it is valid`() async throws {
        let asked = Mutex<[String]>([])
        let resolver = HostResolver { host in
            asked.withLock { $0.append(host) }
            return HostResolver.Answer(
                addresses: ["127.0.0.1", "::1"], timeToLive: host == "kept.test" ? .seconds(3_600) : .zero)
        }
        for _ in 0..<3 {
            #expect(try await resolve(resolver, "kept.test").get() == ["127.0.0.1:80", "[::1]:80"])
            #expect(try await resolve(resolver, "once.test").get() == ["127.0.0.1:80", "[::1]:80"])
        }
        #expect(asked.withLock { $0.filter { $0 == "kept.test" }.count } == 1)
        #expect(asked.withLock { $0.filter { $0 == "once.test" }.count } == 3)
    }

    @Test func `No more hosts are remembered than the limit says`() async throws {
        let asked = Mutex(0)
        let resolver = HostResolver(remembering: 2) { host in
            asked.withLock { $0 += 1 }
            // The later, the longer.
            return HostResolver.Answer(addresses: ["127.0.0.1"], timeToLive: .seconds(host == "a" ? 100 : 1_000))
        }
        for host in ["a", "b", "c"] { _ = try await resolve(resolver, host).get() }
        #expect(asked.withLock { $0 } == 3)
        for host in ["b", "c"] { _ = try await resolve(resolver, host).get() }
        #expect(asked.withLock { $0 } == 3)
        _ = try await resolve(resolver, "a").get()
        #expect(asked.withLock { $0 } == 4)
    }

    @Test func `Requests for one host share a look-up`() async throws {
        let (asked, asking) = AsyncStream<String>.makeStream()
        let (answers, answering) = AsyncStream<[String]?>.makeStream()
        let gate = AsyncStream<Void>.makeStream()
        let resolver = HostResolver { host in
            asking.yield(host)
            for await _ in gate.stream {}
            return HostResolver.Answer(addresses: ["127.0.0.1"])
        }
        await loop.run {
            for host in ["a.test", "a.test", "b.test"] {
                resolver.names.resolve(host: host, port: 80, on: self.loop) {
                    answering.yield(try? $0.get().map(\.description))
                }
            }
        }
        // Each host once, in any order.
        var hosts: [String] = []
        for await host in asked.prefix(2) { hosts.append(host) }
        #expect(hosts.sorted() == ["a.test", "b.test"])
        gate.continuation.finish()
        for await answer in answers.prefix(3) { #expect(answer == ["127.0.0.1:80"]) }
    }

    @Test func `A look-up that nobody waits for is cancelled, and does not answer a later one`() async throws {
        let (begun, cancelled) = (Mailbox<Int>(), Mailbox<Bool>())
        let count = Mutex(0)
        let resolver = HostResolver { _ in
            let number = count.withLock {
                $0 += 1; return $0
            }
            begun.put(number)
            guard number == 1 else { return HostResolver.Answer(addresses: ["127.0.0.2"]) }
            try? await Task.sleep(for: .seconds(3_600))
            cancelled.put(Task.isCancelled)
            return HostResolver.Answer(addresses: ["127.0.0.1"], timeToLive: .seconds(3_600))
        }
        let query = await loop.run {
            LoopBound(
                resolver.names.resolve(host: "a.test", port: 80, on: self.loop) { _ in
                    Issue.record("nobody waits for this")
                })
        }
        _ = await begun.take()
        query.value?.cancel()
        #expect(try await resolve(resolver, "a.test").get() == ["127.0.0.2:80"])
        #expect(await cancelled.take() == true)
    }

    @Test func `Errors, and answers that are none, fail the look-up and are not remembered`() async {
        struct Broken: Error {}
        let own = H2Error(.limitExceeded, message: "not now")
        let count = Mutex(0)
        let resolver = HostResolver { host in
            count.withLock { $0 += 1 }
            switch host {
            case "own": throw own
            case "broken": throw Broken()
            case "none": return HostResolver.Answer(addresses: [], timeToLive: .seconds(10))
            default: return HostResolver.Answer(addresses: ["not an address"], timeToLive: .seconds(10))
            }
        }
        #expect(await resolve(resolver, "own") == .failure(own))
        for host in ["broken", "none", "nonsense"] {
            guard case .failure(let error) = await resolve(resolver, host) else {
                Issue.record("\(host) has addresses")
                continue
            }
            #expect(error.code == .resolveFailed)
            #expect(error.message.contains(host))
        }
        _ = await resolve(resolver, "broken")
        #expect(count.withLock { $0 } == 5)
    }

    @Test func `Literal addresses are not looked up`() async throws {
        let resolver = HostResolver { _ in throw CancellationError() }
        #expect(try await resolve(resolver, "127.0.0.9").get() == ["127.0.0.9:80"])
    }

    @Test func `Fixed addresses come first, in any spelling of their host`() async throws {
        let resolver = HostResolver.overriding(
            ["Example.TEST": ["127.0.0.3"]], otherwise: HostResolver { _ in .init(addresses: ["127.0.0.4"]) })
        #expect(try await resolve(resolver, "example.test").get() == ["127.0.0.3:80"])
        #expect(try await resolve(resolver, "other.test").get() == ["127.0.0.4:80"])
    }
}
