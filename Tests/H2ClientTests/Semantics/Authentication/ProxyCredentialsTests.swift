import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct ProxyCredentialsTests {
    private let target = "example.org:443"

    private func credentials(
        _ scheme: HTTPAuthentication.PasswordScheme, password: String = "s3cret: päss"
    ) throws -> ProxyCredentials {
        ProxyCredentials(
            Login(user: "ada", password: password), scheme, proxy: try Origin("http://proxy.test:3128"))
    }

    private func gate(_ change: (inout DigestGate.Options) -> Void = { _ in }) -> DigestGate {
        var options = DigestGate.Options()
        change(&options)
        return DigestGate(options)
    }

    /// Connects once, with one answer to a challenge, and returns the statuses.
    private func connect(_ credentials: ProxyCredentials, to gate: DigestGate) -> [Int] {
        func ask(_ value: String?) -> DigestGate.Answer {
            gate.answer(method: "CONNECT", target: target, credentials: value, status: 407)
        }
        let first = ask(credentials.authorization(method: "CONNECT", target: target))
        guard first.status == 407 else { return [first.status] }
        let challenges = first.fields.map { String(decoding: $0.value, as: UTF8.self) }
        let value = credentials.authorization(answering: challenges, method: "CONNECT", target: target)
        guard let value else { return [407] }
        return [407, ask(value).status]
    }

    @Test(arguments: ["auth", "auth-int", nil])
    func `Digest answers the proxy's challenge, and uses its nonce again`(_ protection: String?) throws {
        let gate = gate { $0.protection = protection }
        let credentials = try credentials(.digest)
        #expect(connect(credentials, to: gate) == [407, 200])
        #expect(connect(credentials, to: gate) == [200])
        gate.forgetNonces()
        #expect(connect(credentials, to: gate) == [407, 200])
        #expect(gate.counts == DigestGate.Counts(withoutCredentials: 1, accepted: 3, stale: 1))
    }

    @Test func `Basic goes with the first request, and not again after a refusal`() throws {
        let gate = gate { $0.offersBasic = true }
        #expect(connect(try credentials(.basic), to: gate) == [200])
        #expect(connect(try credentials(.basic, password: "wrong"), to: gate) == [407])
    }

    @Test func `Of what the proxy offers, Digest is answered, else Basic`() throws {
        let both = gate { $0.offersBasic = true }
        #expect(connect(try credentials(.any), to: both) == [407, 200])
        #expect(both.counts.accepted == 1)
        let basic = gate {
            $0.offersBasic = true
            $0.algorithms = []
        }
        let credentials = try credentials(.any)
        #expect(connect(credentials, to: basic) == [407, 200])
        #expect(connect(credentials, to: basic) == [200])
        #expect(connect(try self.credentials(.digest), to: basic) == [407])
    }

    @Test func `A challenge of another scheme is not answered`() throws {
        let credentials = try credentials(.any)
        #expect(credentials.authorization(answering: ["Negotiate"], method: "CONNECT", target: target) == nil)
        #expect(credentials.authorization(answering: [], method: "CONNECT", target: target) == nil)
    }
}
