import H2TestSupport
import Synchronization
import Testing

@testable import H2Client

@Suite(.inTurn, .timeLimit(.minutes(5))) struct BearerTokensTests {
    private struct Refusal: Error {}

    /// Fetches tokens `t1`, `t2` …, when allowed to.
    private final class Issuer: Sendable {
        let calls = Atomic(0)
        let cancelled = Atomic(0)
        private let isOpen: Atomic<Bool>

        init(isOpen: Bool = true) { self.isOpen = Atomic(isOpen) }

        func open() { isOpen.store(true, ordering: .sequentiallyConsistent) }

        func fetch() async throws -> String {
            let number = calls.add(1, ordering: .sequentiallyConsistent).newValue
            do {
                try await eventually("it is let") { isOpen.load(ordering: .sequentiallyConsistent) }
            } catch let error as CancellationError {
                cancelled.add(1, ordering: .sequentiallyConsistent)
                throw error
            }
            return "t\(number)"
        }

        var callCount: Int { calls.load(ordering: .sequentiallyConsistent) }
    }

    private func limits(_ timeout: Duration? = .seconds(60)) -> WaitLimits {
        WaitLimits(loop: .shared, timeout: timeout, calledAt: H2EventLoop.shared.preciseNow)
    }

    private func tokens(_ issuer: Issuer, expiresIn: Duration? = nil) -> BearerTokens {
        BearerTokens { HTTPAuthentication.Token(try await issuer.fetch(), expiresIn: expiresIn) }
    }

    @Test func `One token is fetched for all`() async throws {
        let issuer = Issuer(isOpen: false)
        let tokens = tokens(issuer)
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<100 { group.addTask { try await tokens.token(limits()).token.value } }
            try await eventually("all wait") { tokens.waiterCount == 100 }
            issuer.open()
            for try await value in group { #expect(value == "t1") }
        }
        #expect(issuer.callCount == 1)
        #expect(try await tokens.token(limits()).number == 1)
    }

    @Test func `A token that expired is replaced`() async throws {
        let issuer = Issuer()
        let short = tokens(issuer, expiresIn: .zero)
        #expect(try await short.token(limits()).token.value == "t1")
        #expect(try await short.token(limits()).token.value == "t2")
        let negative = tokens(issuer, expiresIn: .seconds(-1))
        #expect(try await negative.token(limits()).token.value == "t3")
        let long = tokens(issuer, expiresIn: .seconds(Int64.max))
        #expect(try await long.token(limits()).token.value == "t4")
        #expect(try await long.token(limits()).token.value == "t4")
    }

    @Test func `A token that was refused is replaced once`() async throws {
        let issuer = Issuer()
        let tokens = tokens(issuer)
        let first = try await tokens.token(limits())
        tokens.refuse(number: first.number)
        let second = try await tokens.token(limits())
        #expect(second.token.value == "t2")
        // Another request that used the first token.
        tokens.refuse(number: first.number)
        #expect(try await tokens.token(limits()).number == second.number)
        #expect(issuer.callCount == 2)
    }

    @Test func `An error is thrown to all who wait, and the next request tries again`() async throws {
        let issuer = Issuer(isOpen: false)
        let tokens = BearerTokens {
            if try await issuer.fetch() == "t1" { throw Refusal() }
            return HTTPAuthentication.Token("good")
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    await #expect(throws: Refusal.self) { try await tokens.token(limits()) }
                }
            }
            try await eventually("all wait") { tokens.waiterCount == 20 }
            issuer.open()
            try await group.waitForAll()
        }
        #expect(try await tokens.token(limits()).token.value == "good")
        #expect(issuer.callCount == 2)
    }

    @Test func `A cancelled request does not end the fetch for the others`() async throws {
        let issuer = Issuer(isOpen: false)
        let tokens = tokens(issuer)
        let first = Task { try await tokens.token(limits()).token.value }
        try await eventually("it waits") { tokens.waiterCount == 1 }
        let second = Task { try await tokens.token(limits()).token.value }
        try await eventually("both wait") { tokens.waiterCount == 2 }
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        issuer.open()
        #expect(try await second.value == "t1")
        #expect(issuer.cancelled.load(ordering: .sequentiallyConsistent) == 0)
    }

    @Test func `A fetch that nobody waits for is cancelled, and the next request starts another`() async throws {
        let issuer = Issuer(isOpen: false)
        let tokens = tokens(issuer)
        let error = await #expect(throws: H2Error.self) {
            try await tokens.token(limits(.milliseconds(20)))
        }
        #expect(error?.cause == .timeout(.wholeRequest, after: .milliseconds(20)))
        try await eventually("it is cancelled") { issuer.cancelled.load(ordering: .sequentiallyConsistent) == 1 }
        issuer.open()
        #expect(try await tokens.token(limits()).token.value == "t2")
    }

    @Test func `A fetch that ignores its cancellation does not disturb the next one`() async throws {
        let isSlow = Atomic(true)
        let isOver = Atomic(0)
        let tokens = BearerTokens {
            let slow = isSlow.exchange(false, ordering: .sequentiallyConsistent)
            if slow {
                while isOver.load(ordering: .sequentiallyConsistent) == 0 { await Task.yield() }
            }
            defer { isOver.add(1, ordering: .sequentiallyConsistent) }
            return HTTPAuthentication.Token(slow ? "old" : "new")
        }
        await #expect(throws: H2Error.self) { try await tokens.token(limits(.milliseconds(20))) }
        #expect(try await tokens.token(limits()).token.value == "new")
        try await eventually("the old one is over") { isOver.load(ordering: .sequentiallyConsistent) == 2 }
        #expect(try await tokens.token(limits()).token.value == "new")
    }

    @Test func `A storm of cancellations leaves no request waiting`() async throws {
        let issuer = Issuer()
        let tokens = tokens(issuer, expiresIn: .zero)
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<500 {
                group.addTask {
                    let task = Task { try await tokens.token(limits()) }
                    if number % 2 == 0 { task.cancel() }
                    _ = await task.result
                }
            }
        }
        #expect(tokens.waiterCount == 0)
        #expect(try await !tokens.token(limits()).token.value.isEmpty)
    }

    @Test func `Requests of the closure itself are sent without a token`() async throws {
        let origin = try Origin("https://a.test")
        let box = Mutex<HTTPAuthentication?>(nil)
        let inside = Mutex<Bool?>(nil)
        let authentication = HTTPAuthentication.bearer {
            let own = try #require(box.withLock { $0 })
            let authenticator = try await Authenticator.make(
                own, .origin, at: origin, isNamedByCaller: true, limits())
            inside.withLock { $0 = authenticator == nil }
            return HTTPAuthentication.Token("t")
        }
        box.withLock { $0 = authentication }
        var authenticator = try #require(
            await Authenticator.make(authentication, .origin, at: origin, isNamedByCaller: true, limits()))
        let credentials = try await authenticator.credentials(
            method: "GET", target: "/", body: .empty, limits())
        #expect(credentials == Array("Bearer t".utf8))
        #expect(inside.withLock { $0 } == true)
    }

    @Test func `A token that cannot be sent fails the request`() async throws {
        let tokens = BearerTokens { HTTPAuthentication.Token("top\nsecret") }
        let error = await #expect(throws: H2Error.self) { try await tokens.token(limits()) }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.description.contains("secret") == false)
    }

    // MARK: - Challenges

    @Test(arguments: [
        ("Bearer realm=x, error=\"invalid_token\"", true), ("Bearer", true), ("bearer realm=x", true),
        ("Basic realm=x, Bearer error=invalid_token", true), ("Bearer error=\"insufficient_scope\"", false),
        ("Basic realm=x", false), ("", false),
    ])
    func `A challenge that asks for another token is answered once`(
        _ challenge: String, _ isAnswered: Bool
    ) async throws {
        let issuer = Issuer()
        let tokens = HTTPAuthentication.bearer { HTTPAuthentication.Token(try await issuer.fetch()) }
        let fields = [RawField(name: Array("WWW-Authenticate".utf8), value: Array(challenge.utf8))]
        var authenticator = try #require(
            await Authenticator.make(
                tokens, .origin, at: Origin("https://a.test"), isNamedByCaller: true, limits()))
        func next() async throws -> String {
            let credentials = try await authenticator.credentials(
                method: "GET", target: "/", body: .empty, limits())
            return String(decoding: credentials ?? [], as: UTF8.self)
        }
        #expect(try await next() == "Bearer t1")
        #expect(try authenticator.answer(status: 403, fields: fields, canSendAgain: true) == false)
        #expect(try authenticator.answer(status: 401, fields: fields, canSendAgain: true) == isAnswered)
        guard isAnswered else { return }
        #expect(try await next() == "Bearer t2")
        #expect(try authenticator.answer(status: 401, fields: fields, canSendAgain: true) == false)
    }

    @Test func `A refused token is not used again by requests after one that cannot be repeated`() async throws {
        let issuer = Issuer()
        let tokens = HTTPAuthentication.bearer { HTTPAuthentication.Token(try await issuer.fetch()) }
        let fields = [RawField(name: Array("www-authenticate".utf8), value: Array("Bearer".utf8))]
        for expected in ["Bearer t1", "Bearer t2"] {
            var authenticator = try #require(
                await Authenticator.make(
                    tokens, .origin, at: Origin("https://a.test"), isNamedByCaller: true, limits()))
            let credentials = try await authenticator.credentials(
                method: "GET", target: "/", body: .empty, limits())
            #expect(credentials == Array(expected.utf8))
            #expect(try authenticator.answer(status: 401, fields: fields, canSendAgain: false) == false)
        }
    }

    @Test func `A fixed token is sent once`() async throws {
        var authenticator = try #require(
            await Authenticator.make(
                .bearer("abc"), .origin, at: Origin("https://a.test"), isNamedByCaller: true, limits()))
        let credentials = try await authenticator.credentials(method: "GET", target: "/", body: .empty, limits())
        #expect(credentials == Array("Bearer abc".utf8))
        let fields = [RawField(name: Array("www-authenticate".utf8), value: Array("Bearer".utf8))]
        #expect(try authenticator.answer(status: 401, fields: fields, canSendAgain: true) == false)
    }
}
