import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct AuthenticationChallengeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let fields: [String]
        let expected: [String]
        var testDescription: String { "\(fields)" }

        init(_ fields: String..., is expected: [String]) {
            self.fields = fields
            self.expected = expected
        }
    }

    /// `scheme(token68) name=value …`
    private func text(_ challenge: AuthenticationChallenge) -> String {
        let data = challenge.token68.map { "(\(String(decoding: $0, as: UTF8.self)))" } ?? ""
        return
            ([challenge.scheme + data]
            + challenge.parameters.map { "\($0.name)=\(String(decoding: $0.value, as: UTF8.self))" }).joined(
                separator: " ")
    }

    @Test(arguments: [
        Case(#"Basic realm="simple""#, is: ["basic realm=simple"]),
        Case(
            #"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#,
            is: [#"newauth realm=apps type=1 title=Login to "apps""#, "basic realm=simple"]),
        Case(#"Basic realm="a""#, #"Digest realm="b", nonce=c"#, is: ["basic realm=a", "digest realm=b nonce=c"]),
        Case("Negotiate", is: ["negotiate"]),
        Case("Negotiate, Basic realm=x", is: ["negotiate", "basic realm=x"]),
        Case("Negotiate YII+/-._~==, Basic realm=x", is: ["negotiate(YII+/-._~==)", "basic realm=x"]),
        Case("NTLM abc=", is: ["ntlm(abc=)"]),
        Case("NTLM abc", is: ["ntlm(abc)"]),
        Case("BASIC REALM=X", is: ["basic realm=X"]),
        Case(#" , ,Basic ,, realm = "x" , , charset="UTF-8",,"#, is: ["basic realm=x charset=UTF-8"]),
        Case("Basic\trealm=\t\"x\"", is: ["basic realm=x"]),
        Case(#"Basic realm="a, b=\"c\", d""#, is: [#"basic realm=a, b="c", d"#]),
        Case(#"Basic realm="""#, is: ["basic realm="]),
        Case("Digest realm=a b, nonce=c", is: ["digest realm=a", "b nonce=c"]),
        Case("Digest nonce=a=b==, realm=/x", is: ["digest nonce=a=b== realm=/x"]),
        // Servers forget commas.
        Case(#"Digest realm="a" nonce="b" qop="auth""#, is: ["digest realm=a nonce=b qop=auth"]),
        Case(#"Digest realm="a" Basic realm="b""#, is: ["digest realm=a", "basic realm=b"]),
        // A parameter without a challenge.
        Case(#"realm="a", Basic realm="b""#, is: ["basic realm=b"]),
        // Each field starts over.
        Case("Basic", "realm=a", is: ["basic"]),
        Case("", is: []),
        Case(is: []),
        Case(",,,", is: []),
        Case(#"Basic realm="no end"#, is: ["basic"]),
        Case(#"Basic realm="no end\"#, is: ["basic"]),
        Case(#""quoted, Basic realm=a", Digest realm=b"#, is: ["digest realm=b"]),
        Case("===, ;;;, Basic realm=a", is: ["basic realm=a"]),
        Case(#"Basic realm=é"#, is: ["basic realm=é"]),
    ])
    func `Challenges are taken apart`(_ test: Case) {
        #expect(AuthenticationChallenge.parse(test.fields.map { Array($0.utf8) }).map(text) == test.expected)
    }

    @Test func `A name without a comma after it starts the next challenge`() {
        let field = Array("Basic Digest realm=x".utf8)
        #expect(AuthenticationChallenge.parse([field]).map(text) == ["basic", "digest realm=x"])
    }

    @Test func `The first of two parameters of a name counts`() {
        let field = Array("Digest realm=a, REALM=b".utf8)
        #expect(AuthenticationChallenge.parse([field]).first?.value("realm") == Array("a".utf8))
    }

    @Test func `Information after authentication has no scheme`() {
        let field = Array(#"nextnonce="n,1", rspauth="ab", qop=auth, nc=00000001"#.utf8)
        let info = AuthenticationChallenge.parameters(of: field)
        #expect(info.value("nextnonce") == Array("n,1".utf8))
        #expect(info.value("rspauth") == Array("ab".utf8))
        #expect(info.token("qop") == "auth")
    }

    @Test func `Challenges, parameters and bytes are limited`() {
        typealias Limits = AuthenticationChallenge.Limits
        let many = (0..<1_000).map { "A\($0) b=c" }.joined(separator: ", ")
        #expect(AuthenticationChallenge.parse([Array(many.utf8)]).count == Limits.challenges)
        #expect(
            AuthenticationChallenge.parse([[UInt8]](repeating: Array("Basic".utf8), count: 1_000)).count
                == Limits.challenges)
        let wide = "Digest " + (0..<1_000).map { "p\($0)=1" }.joined(separator: ",")
        #expect(AuthenticationChallenge.parse([Array(wide.utf8)]).first?.parameters.count == Limits.parameters)
        let long = "Basic realm=\"" + String(repeating: "x", count: Limits.length) + "\""
        #expect(AuthenticationChallenge.parse([Array(long.utf8), Array("Basic".utf8)]).isEmpty)
        #expect(AuthenticationChallenge.parameters(of: Array(long.utf8)).parameters.isEmpty)
    }

    @Test func `Random bytes are parsed without a fault`() {
        var random = SplitMix64(seed: 7)
        let pieces = [
            "Basic", "Digest ", "=", ",", "\"", "\\", " ", "\t", "realm", "nonce=\"a\"", "\u{0}", "é", "==", "/",
        ]
        for _ in 0..<20_000 {
            var field: [UInt8] = []
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                if Bool.random(using: &random) {
                    field += Array(pieces.randomElement(using: &random)!.utf8)
                } else {
                    field.append(UInt8.random(in: 0...255, using: &random))
                }
            }
            for challenge in AuthenticationChallenge.parse([field, field]) {
                _ = DigestChallenge(challenge)
                #expect(!challenge.scheme.isEmpty)
            }
        }
    }

    @Test func `What fuzzers call parses and answers`() {
        #expect(AuthenticationInput.answer(challenges: Array("Basic\nDigest realm=a, nonce=b".utf8)) != nil)
        #expect(AuthenticationInput.answer(challenges: []) == nil)
        #expect(AuthenticationInput.entries(netrc: Array("machine a default".utf8)) == 2)
        #expect(AuthenticationInput.entries(netrc: Array("\"".utf8)) == nil)
    }
}
