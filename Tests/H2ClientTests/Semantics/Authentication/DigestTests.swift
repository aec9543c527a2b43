import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct DigestTests {
    private static let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    private static let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    private static let subject = DigestProof.Subject(method: "GET", target: "/dir/index.html")

    private static func challenge(_ text: String) throws -> DigestChallenge {
        let challenges = AuthenticationChallenge.parse([Array(("Digest " + text).utf8)])
        return try #require(DigestChallenge.strongest(of: challenges))
    }

    private static func proof(
        _ text: String, _ login: Login, _ subject: DigestProof.Subject = subject, count: UInt32 = 1,
        cnonce: String = cnonce
    ) throws -> DigestProof {
        let challenge = try challenge(text)
        let secret = try #require(DigestProof.secret(of: login, for: challenge))
        return try #require(
            DigestProof(
                of: subject, by: login, secret: secret, for: challenge, count: count, cnonce: Array(cnonce.utf8)))
    }

    private static func parameters(_ proof: DigestProof) -> AuthenticationChallenge {
        AuthenticationChallenge.parse([proof.fieldValue])[0]
    }

    private static func response(_ proof: DigestProof) -> String? { parameters(proof).token("response") }

    @Test func `The example of RFC 2617 gives its response`() throws {
        let proof = try Self.proof(
            """
            realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", \
            opaque="5ccc069c403ebaf9f0171e9517f40e41"
            """, Login(user: "Mufasa", password: "Circle Of Life"), cnonce: "0a4f113b")
        #expect(
            String(decoding: proof.fieldValue, as: UTF8.self) == """
                Digest username="Mufasa", realm="testrealm@host.com", uri="/dir/index.html", \
                nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", nc=00000001, qop=auth, cnonce="0a4f113b", \
                response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41"
                """)
    }

    @Test(arguments: [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ])
    func `The examples of RFC 7616 section 3.9.1 give their responses`(_ algorithm: String, _ expected: String) throws {
        let proof = try Self.proof(
            """
            realm="http-auth@example.org", qop="auth, auth-int", algorithm=\(algorithm), nonce="\(Self.nonce)", \
            opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
            """, Login(user: "Mufasa", password: "Circle of Life"))
        let parameters = Self.parameters(proof)
        #expect(parameters.token("response") == expected)
        #expect(parameters.value("algorithm") == Array(algorithm.utf8))
        #expect(parameters.token("qop") == "auth")
        #expect(parameters.token("nc") == "00000001")
    }

    // The hashes are those of erratum 4897, for SHA-512/256 as FIPS 180-4 defines it.
    @Test func `The example of RFC 7616 section 3.9.2 gives its response`() throws {
        let proof = try Self.proof(
            """
            realm="api@example.org", qop="auth", algorithm=SHA-512-256, \
            nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", \
            opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true
            """, Login(user: "J\u{e4}s\u{f8}n Doe", password: "Secret, or not?"),
            DigestProof.Subject(method: "GET", target: "/doe.json"),
            cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v")
        let parameters = Self.parameters(proof)
        #expect(
            parameters.token("username") == "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b")
        #expect(parameters.token("response") == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5")
        #expect(parameters.token("userhash") == "true")
    }

    // Computed by Python's hashlib.
    @Test(arguments: [
        ("MD5", "auth-int", "1707eaf5c6ed1a8f6ff2e49286b06bc2"),
        ("MD5", "", "7b2cc3b30e75b4777ea31027084363fd"),
        ("MD5-sess", "auth", "e783283f46242139c486a698fec7211d"),
        ("MD5-sess", "auth-int", "6a1a4afa9798b44b19c2a93b62d15219"),
        ("MD5-sess", "", "37a7f42db2090a3fcac4e26e747d4fc8"),
        ("SHA-256", "auth-int", "887bb8d7a6c4cc95528278df0ec68f641244105a1d6a3aa8769488086b20e097"),
        ("SHA-256", "", "a1306b0595a6c7fe96c448631fb5cfbd5107bd1fe1da729d978dd7446b812363"),
        ("SHA-256-sess", "auth", "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7"),
        ("SHA-256-sess", "auth-int", "84a87498d03b113c7971267b821f7ff9dec19d9a133971ebb6c8f5e22d763a57"),
        ("SHA-512-256", "auth", "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0"),
        ("SHA-512-256-sess", "auth", "3f2a34f923c38b0fb26dce2fdfc2ce326c23cecf86fbb1444f3e51fbbc2cb92e"),
    ])
    func `Each algorithm and protection gives its response`(
        _ algorithm: String, _ protection: String, _ expected: String
    ) throws {
        let challenge =
            #"realm="http-auth@example.org", algorithm=\#(algorithm), nonce="\#(Self.nonce)""#
            + (protection.isEmpty ? "" : #", qop="\#(protection)""#)
        var subject = Self.subject
        subject.bodyDigest = MessageDigest.hex(try Self.challenge(challenge).function, Array("hello".utf8))
        let proof = try Self.proof(challenge, Login(user: "Mufasa", password: "Circle of Life"), subject)
        let parameters = Self.parameters(proof)
        #expect(parameters.token("response") == expected)
        #expect((parameters.value("qop") != nil) == !protection.isEmpty)
        #expect((parameters.value("nc") != nil) == !protection.isEmpty)
        #expect((parameters.value("cnonce") != nil) == (!protection.isEmpty || algorithm.hasSuffix("sess")))
    }

    @Test func `RFC 2069's form has no count and no client nonce`() throws {
        let proof = try Self.proof(
            #"realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093""#,
            Login(user: "Mufasa", password: "Circle Of Life"))
        #expect(
            String(decoding: proof.fieldValue, as: UTF8.self) == """
                Digest username="Mufasa", realm="testrealm@host.com", uri="/dir/index.html", \
                nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", response="670fd8c2df070c60b045671b8b24ff02"
                """)
    }

    @Test func `The count is written with eight hexadecimal digits`() throws {
        for (count, text) in [(1, "00000001"), (0xabc, "00000abc"), (UInt32.max, "ffffffff")] as [(UInt32, String)] {
            let proof = try Self.proof("realm=a, nonce=b, qop=auth", Login(user: "u", password: "p"), count: count)
            #expect(Self.parameters(proof).token("nc") == text)
        }
    }

    @Test(arguments: [
        ("realm=a, nonce=b, charset=UTF-8", "Jäsøn Doe", #"username*=UTF-8''J%C3%A4s%C3%B8n%20Doe"#),
        ("realm=a, nonce=b, charset=utf-8", "é*'%", #"username*=UTF-8''%C3%A9%2A%27%25"#),
        ("realm=a, nonce=b, charset=UTF-8", "plain", #"username="plain""#),
        ("realm=a, nonce=b", "é", #"username="é""#),
        ("realm=a, nonce=b", #"a"b\c"#, #"username="a\"b\\c""#),
        ("realm=a, nonce=b", "", #"username="""#),
    ])
    func `User names are written so that the server can read them`(
        _ challenge: String, _ user: String, _ expected: String
    ) throws {
        let proof = try Self.proof(challenge, Login(user: user, password: "p"))
        #expect(String(decoding: proof.fieldValue, as: UTF8.self).hasPrefix("Digest \(expected), "))
    }

    @Test func `Quoted values are hashed without escapes and sent with them`() throws {
        let login = Login(user: "u", password: "p")
        let plain = try Self.proof(#"realm="a\"b\\c", nonce="n", opaque="\"""#, login)
        #expect(String(decoding: plain.fieldValue, as: UTF8.self).contains(#"realm="a\"b\\c""#))
        #expect(String(decoding: plain.fieldValue, as: UTF8.self).hasSuffix(#"opaque="\"""#))
        #expect(
            DigestProof.secret(of: login, for: plain.challenge)
                == MessageDigest.hex(.md5, Array(#"u:a"b\c:p"#.utf8)))
    }

    @Test func `Bytes that are not UTF-8 go back as they came`() throws {
        let field = Array("Digest realm=\"".utf8) + [0xe9, 0xff] + Array("\", nonce=\"n\"".utf8)
        let challenge = try #require(DigestChallenge.strongest(of: AuthenticationChallenge.parse([field])))
        #expect(challenge.realm == [0xe9, 0xff])
        let proof = try #require(
            DigestProof(
                of: Self.subject, by: Login(user: "u", password: "p"), secret: [], for: challenge, count: 1,
                cnonce: []))
        #expect(proof.fieldValue.contains(0xe9))
    }

    // MARK: - Challenges

    @Test(arguments: [
        "nonce=b", "realm=a", "", "realm=a, nonce=b, algorithm=SHA-1", "realm=a, nonce=b, algorithm=",
        "realm=a, nonce=b, qop=conf", "realm=a, nonce=b, qop=\"\"", "realm=a, nonce=b, algorithm=SHA-512",
    ])
    func `A challenge that cannot be answered is passed over`(_ text: String) {
        let challenges = AuthenticationChallenge.parse([Array(("Digest " + text).utf8)])
        #expect(DigestChallenge.strongest(of: challenges) == nil)
    }

    @Test func `A realm, nonce or opaque that is too long to send back is passed over`() {
        let long = String(repeating: "x", count: DigestChallenge.lengthLimit + 1)
        for text in ["realm=\(long), nonce=b", "realm=a, nonce=\(long)", "realm=a, nonce=b, opaque=\(long)"] {
            let challenges = AuthenticationChallenge.parse([Array(("Digest " + text).utf8)])
            #expect(DigestChallenge.strongest(of: challenges) == nil)
        }
    }

    @Test(arguments: [
        ("MD5", ["SHA-256", "MD5"], "SHA-256"), ("MD5 first", ["MD5", "SHA-256"], "SHA-256"),
        ("all", ["MD5", "SHA-512-256", "SHA-256"], "SHA-256"), ("unknown", ["SHA-3", "MD5"], "MD5"),
        ("FIPS", ["MD5", "SHA-512-256"], "SHA-512-256"), ("equals", ["SHA-256-sess", "SHA-256"], "SHA-256-sess"),
    ])
    func `The best hash function is chosen`(_ name: String, _ algorithms: [String], _ expected: String) throws {
        let fields = algorithms.map { Array("Digest realm=a, nonce=b, algorithm=\($0)".utf8) }
        let challenge = try #require(DigestChallenge.strongest(of: AuthenticationChallenge.parse(fields)))
        #expect(challenge.algorithm == Array(expected.utf8))
    }

    @Test func `Words of a challenge are read in any case`() throws {
        let challenge = try Self.challenge(
            #"REALM="a", Nonce="b", ALGORITHM="md5-SESS", qop="AUTH-INT,AUTH", stale=TRUE, userhash="True""#)
        #expect(challenge.isSession && challenge.isStale && challenge.hashesUser)
        #expect(challenge.protection == .auth)
        #expect(try Self.challenge("realm=a, nonce=b, qop=\"auth-int\"").protection == .authInt)
    }

    // MARK: - The server's proof

    @Test func `The server's proof is checked`() throws {
        let login = Login(user: "Mufasa", password: "Circle of Life")
        let text = #"realm="http-auth@example.org", algorithm=SHA-256, nonce="\#(Self.nonce)", qop=auth"#
        let proof = try Self.proof(text, login)
        // Computed by Python's hashlib.
        let right = "86d3b25618d41854ca5039a5d7e53ff6355d5134a9b1fb088a78ac3c462195a0"
        #expect(proof.accepts(serverProof: Array(right.utf8)))
        #expect(proof.accepts(serverProof: Array(right.uppercased().utf8)))
        #expect(!proof.accepts(serverProof: Array(right.dropLast().utf8)))
        #expect(!proof.accepts(serverProof: []))
        let other = try Self.proof(text, login, count: 2)
        #expect(!other.accepts(serverProof: Array(right.utf8)))
    }

    @Test func `A server's proof that depends on the body is not checked`() throws {
        var subject = Self.subject
        subject.bodyDigest = MessageDigest.hex(.md5, [])
        let proof = try Self.proof("realm=a, nonce=b, qop=auth-int", Login(user: "u", password: "p"), subject)
        #expect(proof.accepts(serverProof: Array("0".utf8)))
    }
}
