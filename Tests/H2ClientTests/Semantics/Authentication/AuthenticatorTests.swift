import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

@Suite(.inTurn, .timeLimit(.minutes(5))) struct AuthenticatorTests {
    private let server: Origin
    private let other: Origin
    private let limits = WaitLimits(loop: .shared, timeout: .seconds(60), calledAt: H2EventLoop.monotonicNanoseconds())

    init() throws {
        server = try Origin("https://a.test")
        other = try Origin("https://b.test")
    }

    /// Sends a request until it gets a final answer, and returns the statuses.
    private func send(
        _ authentication: HTTPAuthentication, to gate: DigestGate, body: HTTPRequestBody = .empty,
        target: String = "/x?y=1", role: Authenticator.Role = .origin
    ) async throws -> [Int] {
        var authenticator = try #require(
            await Authenticator.make(authentication, role, at: server, isNamedByCaller: true, limits))
        var bytes: [UInt8] = []
        if case .bytes(let content) = body.content { bytes = content }
        var statuses: [Int] = []
        while true {
            let credentials = try await authenticator.credentials(
                method: "PUT", target: target, body: body, limits)
            let answer = gate.answer(
                method: "PUT", target: target, credentials: credentials.map { String(decoding: $0, as: UTF8.self) },
                body: bytes, status: role.status, challengeField: role.challengeField.uppercased(),
                infoField: role.infoField)
            statuses.append(answer.status)
            guard
                try authenticator.answer(
                    status: answer.status, fields: answer.fields, canSendAgain: body.isReplayable)
            else { return statuses }
        }
    }

    private func gate(_ change: (inout DigestGate.Options) -> Void = { _ in }) -> DigestGate {
        var options = DigestGate.Options()
        change(&options)
        return DigestGate(options)
    }

    private let digest = HTTPAuthentication.digest(user: "ada", password: "s3cret: päss")
    private let any = HTTPAuthentication.any(user: "ada", password: "s3cret: päss")

    // MARK: - Digest

    @Test(arguments: ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"])
    func `A challenge is answered, and its nonce is used again`(_ algorithm: String) async throws {
        for protection in ["auth", "auth-int", "auth,auth-int", nil] {
            let gate = gate {
                $0.algorithms = [algorithm]
                $0.protection = protection
                $0.proof = .right
            }
            let digest = HTTPAuthentication.digest(user: "ada", password: "s3cret: päss")
            #expect(try await send(digest, to: gate, body: .string("hello")) == [401, 200])
            #expect(try await send(digest, to: gate, body: .string("bye")) == [200])
            #expect(try await send(digest, to: gate, body: .empty) == [200])
            #expect(gate.uses == [3])
        }
    }

    @Test func `A proxy is answered in its own fields`() async throws {
        let gate = gate { $0.announcesNext = true }
        #expect(try await send(digest, to: gate, target: "example.test:443", role: .proxy) == [407, 200])
        #expect(try await send(digest, to: gate, target: "example.test:443", role: .proxy) == [200])
    }

    @Test func `A wrong password ends with the server's response`() async throws {
        let gate = gate()
        let wrong = HTTPAuthentication.digest(user: "ada", password: "wrong")
        #expect(try await send(wrong, to: gate) == [401, 401])
        // No part of it is used again.
        #expect(try await send(wrong, to: gate) == [401, 401])
        #expect(gate.counts == DigestGate.Counts(withoutCredentials: 2, refused: 2))
    }

    @Test func `A stale nonce is replaced, and the request is sent again`() async throws {
        let gate = gate { $0.usesOfNonce = 2 }
        #expect(try await send(digest, to: gate) == [401, 200])
        #expect(try await send(digest, to: gate) == [200])
        #expect(try await send(digest, to: gate) == [401, 200])
        #expect(gate.counts == DigestGate.Counts(withoutCredentials: 1, accepted: 3, stale: 1))
    }

    @Test func `A server that calls every nonce stale is not asked for ever`() async throws {
        let gate = gate { $0.isNeverContent = true }
        #expect(try await send(digest, to: gate).count == 4)
    }

    @Test func `The next nonce that a response announces is used`() async throws {
        let gate = gate {
            $0.usesOfNonce = 1
            $0.announcesNext = true
        }
        #expect(try await send(digest, to: gate) == [401, 200])
        for _ in 0..<5 { #expect(try await send(digest, to: gate) == [200]) }
        #expect(gate.counts.stale == 0)
    }

    @Test func `A server whose proof is wrong fails the request`() async throws {
        for protection in ["auth", nil] {
            let gate = gate {
                $0.proof = .wrong
                $0.protection = protection
            }
            let error = await #expect(throws: H2Error.self) { try await send(digest, to: gate) }
            #expect(error?.code == .protocolViolation)
            #expect(error?.description.contains("ada") == false)
        }
    }

    @Test func `A server's proof that covers its body is not taken for a wrong one`() async throws {
        let gate = gate()
        var authenticator = try #require(
            await Authenticator.make(digest, .origin, at: server, isNamedByCaller: true, limits))
        _ = try await authenticator.credentials(method: "GET", target: "/", body: .empty, limits)
        let challenge = gate.answer(method: "GET", target: "/", credentials: nil)
        #expect(try authenticator.answer(status: 401, fields: challenge.fields, canSendAgain: true))
        _ = try await authenticator.credentials(method: "GET", target: "/", body: .empty, limits)
        let info = RawField(name: Array("Authentication-Info".utf8), value: Array("qop=auth-int, rspauth=\"0\"".utf8))
        #expect(try !authenticator.answer(status: 200, fields: [info], canSendAgain: true))
    }

    @Test func `The best of several challenges is answered`() async throws {
        let gate = gate { $0.algorithms = ["MD5", "SHA-256", "SHA-512-256"] }
        var authenticator = try #require(
            await Authenticator.make(digest, .origin, at: server, isNamedByCaller: true, limits))
        _ = try await authenticator.credentials(method: "GET", target: "/", body: .empty, limits)
        let answer = gate.answer(method: "GET", target: "/", credentials: nil)
        #expect(try authenticator.answer(status: 401, fields: answer.fields, canSendAgain: true))
        let credentials = try await authenticator.credentials(method: "GET", target: "/", body: .empty, limits)
        #expect(String(decoding: credentials ?? [], as: UTF8.self).contains("algorithm=SHA-256,"))
    }

    @Test func `Concurrent requests share one nonce, each with a count of its own`() async throws {
        let gate = gate()
        let digest = digest
        try await withThrowingTaskGroup(of: [Int].self) { group in
            for _ in 0..<200 { group.addTask { try await send(digest, to: gate) } }
            for try await statuses in group { #expect(statuses.last == 200) }
        }
        #expect(gate.counts.accepted == 200)
        #expect(gate.counts.stale == 0 && gate.counts.refused == 0)
        #expect(gate.uses.reduce(0, +) == 200)
    }

    @Test func `Challenges to requests under way together lead to one nonce`() async throws {
        let gate = gate()
        var authenticators: [Authenticator] = []
        for _ in 0..<10 {
            var authenticator = try #require(
                await Authenticator.make(digest, .origin, at: server, isNamedByCaller: true, limits))
            #expect(try await authenticator.credentials(method: "GET", target: "/", body: .empty, limits) == nil)
            authenticators.append(authenticator)
        }
        for index in authenticators.indices {
            let challenge = gate.answer(method: "GET", target: "/", credentials: nil)
            #expect(try authenticators[index].answer(status: 401, fields: challenge.fields, canSendAgain: true))
            let credentials = try await authenticators[index].credentials(
                method: "GET", target: "/", body: .empty, limits)
            let text = credentials.map { String(decoding: $0, as: UTF8.self) }
            #expect(gate.answer(method: "GET", target: "/", credentials: text).status == 200)
        }
        #expect(gate.uses == [10])
    }

    @Test func `A body that cannot be sent again leaves its nonce to the next request`() async throws {
        let gate = gate()
        let stream = HTTPRequestBody.writer { try await $0.write([1]) }
        #expect(try await send(digest, to: gate, body: stream) == [401])
        #expect(try await send(digest, to: gate, body: stream) == [200])
        #expect(gate.uses == [1])
    }

    @Test func `A server that insists on a digest of a streamed body fails the request`() async throws {
        let gate = gate { $0.protection = "auth-int" }
        let stream = HTTPRequestBody.writer(isReplayable: true) { try await $0.write([1]) }
        let error = await #expect(throws: H2Error.self) { try await send(digest, to: gate, body: stream) }
        #expect(error?.code == .invalidRequest)
    }

    @Test func `A body's file is covered by auth-int`() async throws {
        let path = try TemporaryDirectory.shared.newFolder("auth-int") + "/body"
        try writeText(String(repeating: "0123456789", count: 100_000), to: path)
        let expected = MessageDigest.hex(.sha256, Array(String(repeating: "0123456789", count: 100_000).utf8))
        #expect(try await HTTPRequestBody.file(path).digest(.sha256, limits) == expected)
        let opened = HTTPRequestBody(content: .openFile(try BodyFile(path)), trailers: nil)
        #expect(try await opened.digest(.sha256, limits) == expected)
        let memory = HTTPRequestBody.bytes([UInt8](repeating: 7, count: 1 << 20))
        #expect(
            try await memory.digest(.md5, limits) == MessageDigest.hex(.md5, [UInt8](repeating: 7, count: 1 << 20)))
        let missing = HTTPRequestBody.file("/nowhere/at/all")
        await #expect(throws: H2Error.self) { _ = try await missing.digest(.sha256, limits) }
    }

    @Test func `A nonce whose count is used up is not used again`() throws {
        let spaces = PasswordSpaces()
        let key = PasswordSpaces.Key(server: server, login: Login(user: "u", password: "p"))
        let field = Array("Digest realm=a, nonce=b, qop=auth".utf8)
        let challenge = try #require(DigestChallenge.strongest(of: AuthenticationChallenge.parse([field])))
        spaces.remember(challenge, secret: [], for: key, count: UInt32.max - 1)
        guard case .digest(let ticket)? = spaces.choice(for: key) else { Issue.record("no ticket"); return }
        #expect(ticket.count == UInt32.max)
        if spaces.choice(for: key) != nil { Issue.record("another ticket") }
    }

    @Test func `The number of remembered servers is limited`() throws {
        let spaces = PasswordSpaces()
        let login = Login(user: "u", password: "p")
        for number in 0..<(PasswordSpaces.limit + 100) {
            let origin = try Origin(scheme: .https, host: "h\(number).test")
            spaces.rememberBasic(PasswordSpaces.Key(server: origin, login: login))
        }
        #expect(spaces.count == PasswordSpaces.limit)
    }

    // MARK: - Basic, and any

    @Test func `Basic credentials go with the first request`() async throws {
        let gate = gate { $0.offersBasic = true }
        let basic = HTTPAuthentication.basic(user: "ada", password: "s3cret: päss")
        #expect(try await send(basic, to: gate) == [200])
        #expect(try await send(.basic(user: "ada", password: "wrong"), to: gate) == [401])
    }

    @Test func `Of Basic and Digest, Digest is answered`() async throws {
        let gate = gate { $0.offersBasic = true }
        #expect(try await send(any, to: gate) == [401, 200])
        #expect(try await send(any, to: gate) == [200])
        #expect(gate.counts.accepted == 2 && gate.counts.acceptedBasic == 0)
    }

    @Test func `Basic alone is answered, and remembered`() async throws {
        let gate = gate {
            $0.offersBasic = true
            $0.algorithms = ["SHA-3"]
        }
        #expect(try await send(any, to: gate) == [401, 200])
        #expect(try await send(any, to: gate) == [200])
        #expect(try await send(.any(user: "ada", password: "wrong"), to: gate) == [401, 401])
        #expect(gate.counts.acceptedBasic == 2)
    }

    @Test func `Digest that was refused does not fall back to Basic`() async throws {
        let gate = gate { $0.offersBasic = true }
        #expect(try await send(.any(user: "ada", password: "wrong"), to: gate) == [401, 401])
        #expect(gate.counts == DigestGate.Counts(withoutCredentials: 1, refused: 1))
    }

    @Test func `Digest does not answer a challenge of Basic`() async throws {
        let gate = gate {
            $0.offersBasic = true
            $0.algorithms = []
        }
        #expect(try await send(digest, to: gate) == [401])
        #expect(gate.counts == DigestGate.Counts(withoutCredentials: 1))
    }

    @Test(arguments: [
        (HTTPAuthentication.basic(user: "a:b", password: ""), "':'"),
        (.any(user: "a:b", password: ""), "':'"),
        (.basic(user: "a", password: "top\nsecret"), "control"),
        (.digest(user: "a\u{0}", password: "topsecret"), "control"),
        (.digest(user: "a", password: "topsecret\u{7f}"), "control"),
        (.bearer(""), "empty"),
        (.bearer("topsecret\r\nx: y"), "character"),
        (.bearer("topsecrét"), "character"),
    ])
    func `Credentials that cannot be sent fail the request without being named`(
        _ authentication: HTTPAuthentication, _ word: String
    ) async {
        let error = await #expect(throws: H2Error.self) {
            _ = try await Authenticator.make(authentication, .origin, at: server, isNamedByCaller: true, limits)
        }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains(word) == true)
        #expect(error?.description.contains("secr") == false)
    }

    @Test func `A colon in the user name is fine for Digest`() async throws {
        let digest = HTTPAuthentication.digest(user: "a:b", password: "")
        #expect(try await Authenticator.make(digest, .origin, at: server, isNamedByCaller: true, limits) != nil)
    }

    // MARK: - Where credentials are sent

    private func isUsed(
        _ authentication: HTTPAuthentication, at origin: Origin, isNamedByCaller: Bool, present: String? = nil
    ) async throws -> Bool {
        try await Authenticator.make(
            authentication, .origin, at: origin, isNamedByCaller: isNamedByCaller, present: present, limits) != nil
    }

    @Test func `Credentials are for the origin that the caller named`() async throws {
        for authentication in [
            digest, any, .basic(user: "a", password: "b"), .bearer("t"), .bearer { HTTPAuthentication.Token("t") },
        ] {
            #expect(try await isUsed(authentication, at: server, isNamedByCaller: true))
            #expect(try await !isUsed(authentication, at: other, isNamedByCaller: false))
            #expect(try await !isUsed(authentication, at: server, isNamedByCaller: true, present: "Basic QTpC"))
        }
        #expect(try await !isUsed(.off, at: server, isNamedByCaller: true))
    }

    @Test func `Listed origins get theirs, also after a redirect`() async throws {
        let list = HTTPAuthentication.origins([server: .bearer("t"), other: .off])
        #expect(try await isUsed(list, at: server, isNamedByCaller: false))
        #expect(try await !isUsed(list, at: other, isNamedByCaller: true))
        #expect(try await !isUsed(list, at: Origin("http://a.test"), isNamedByCaller: true))
        #expect(try await !isUsed(list, at: Origin("https://a.test:8443"), isNamedByCaller: true))
        let nested = HTTPAuthentication.origins([server: .origins([server: .bearer("t")])])
        #expect(try await isUsed(nested, at: server, isNamedByCaller: false))
    }

    @Test func `A file's entries name their hosts, and its default the caller's`() async throws {
        let path = try TemporaryDirectory.shared.newFolder("netrc") + "/netrc"
        try writeText("machine a.test login u password p\ndefault login d password e", to: path)
        let netrc = HTTPAuthentication.netrc(path)
        #expect(try await isUsed(netrc, at: server, isNamedByCaller: false))
        #expect(try await isUsed(netrc, at: other, isNamedByCaller: true))
        #expect(try await !isUsed(netrc, at: other, isNamedByCaller: false))
        // `u:`, `u:x` and `v:`.
        #expect(try await isUsed(netrc, at: server, isNamedByCaller: true, present: "Basic dTo="))
        #expect(try await !isUsed(netrc, at: server, isNamedByCaller: true, present: "Basic dTp4"))
        #expect(try await !isUsed(netrc, at: server, isNamedByCaller: true, present: "Basic djo="))
        #expect(try await !isUsed(netrc, at: server, isNamedByCaller: true, present: "Bearer x"))
        let missing = HTTPAuthentication.netrc("/nowhere/netrc")
        let error = await #expect(throws: H2Error.self) {
            _ = try await isUsed(missing, at: server, isNamedByCaller: true)
        }
        #expect(error?.code == .localIO)
    }

    @Test func `The password of a file can be sent by Digest`() async throws {
        let path = try TemporaryDirectory.shared.newFolder("netrc") + "/netrc"
        try writeText("machine a.test login ada password \"s3cret: päss\"", to: path)
        let gate = gate()
        let netrc = HTTPAuthentication.netrc(path, scheme: .digest)
        #expect(try await send(netrc, to: gate) == [401, 200])
        #expect(try await send(netrc, to: gate) == [200])
    }

    // MARK: - The request

    @Test func `The field of an earlier attempt is replaced`() async throws {
        let gate = gate()
        var request = HTTPRequest(method: .get, scheme: "https", authority: "a.test", path: "/x")
        var authenticator = try #require(
            await Authenticator.make(digest, for: request, to: server, isNamedByCaller: true, limits))
        try await authenticator.authorize(&request, body: .empty, limits)
        #expect(request.headerFields.isEmpty)
        for isStale in [false, true] {
            if isStale { gate.forgetNonces() }
            let answer = gate.answer(
                method: "GET", target: "/x", credentials: request.headerFields[.authorization])
            #expect(try authenticator.answer(status: 401, fields: answer.fields, canSendAgain: true))
            try await authenticator.authorize(&request, body: .empty, limits)
            #expect(request.headerFields.count == 1)
        }
        #expect(
            gate.answer(method: "GET", target: "/x", credentials: request.headerFields[.authorization]).status == 200)
    }

    @Test func `A request's own field stays`() async throws {
        let request = HTTPRequest(
            method: .get, scheme: "https", authority: "a.test", path: "/", headerFields: [.authorization: "mine"])
        #expect(
            try await Authenticator.make(digest, for: request, to: server, isNamedByCaller: true, limits) == nil)
    }

    @Test func `Only responses that say something are read`() async throws {
        var authenticator = try #require(
            await Authenticator.make(digest, .origin, at: server, isNamedByCaller: true, limits))
        _ = try await authenticator.credentials(method: "GET", target: "/", body: .empty, limits)
        #expect(!authenticator.cares(about: 200))
        #expect(!authenticator.cares(about: 407))
        #expect(authenticator.cares(about: 401))
    }

    // MARK: - Secrets

    @Test func `Descriptions have no secrets`() throws {
        let all: [HTTPAuthentication] = [
            .basic(user: "username", password: "topsecret"), .digest(user: "username", password: "topsecret"),
            .any(user: "username", password: "topsecret"), .bearer("topsecret"),
            .bearer { HTTPAuthentication.Token("topsecret") }, .netrc("/home/username/.netrc"), .off,
            .origins([server: .basic(user: "username", password: "topsecret")]),
        ]
        var texts: [String] = []
        for authentication in all {
            texts += ["\(authentication)", String(reflecting: authentication), "\([authentication])"]
            var dumped = ""
            dump(authentication, to: &dumped)
            texts.append(dumped)
            var options = RequestOptions()
            options.authentication = authentication
            dump(options, to: &dumped)
            texts.append(dumped)
        }
        var configuration = HTTPClient.Configuration()
        configuration.authentication = all[0]
        let login = Login(user: "username", password: "topsecret")
        let token = HTTPAuthentication.Token("topsecret", expiresIn: .seconds(1))
        for value in [configuration, login, token, Optional(token) as Any] as [Any] {
            var dumped = ""
            dump(value, to: &dumped)
            texts += [dumped, "\(value)", String(reflecting: value)]
        }
        for text in texts { #expect(!text.contains("topsecret") && !text.contains("username"), "\(text)") }
    }
}
