/// The answer to a Digest challenge for one request (RFC 7616 section 3.4), with the data needed to check the server's
/// own proof in its response.
struct DigestProof: Sendable {
    /// The parts of a request that a proof covers.
    struct Subject: Sendable {
        var method: String
        /// The request's target as it is sent.
        var target: String
        /// The digest of the body in hexadecimal, for `auth-int`.
        var bodyDigest: [UInt8]?
    }

    /// The value of the `authorization` field.
    let fieldValue: [UInt8]
    let challenge: DigestChallenge
    /// H(A1), in hexadecimal.
    private let key: [UInt8]
    private let target: [UInt8]
    private let count: [UInt8]
    private let cnonce: [UInt8]

    /// Returns nil if OpenSSL fails, or if `auth-int` was requested and the body's digest is missing.
    /// - Parameters:
    ///   - secret: `secret(of:for:)`
    ///   - count: the number of requests sent with the nonce, including this one.
    ///   - cnonce: random bytes as text without quotes and backslashes.
    init?(
        of subject: Subject, by login: Login, secret: [UInt8], for challenge: DigestChallenge, count: UInt32,
        cnonce: [UInt8]
    ) {
        let function = challenge.function
        self.challenge = challenge
        self.cnonce = cnonce
        target = Array(subject.target.utf8)
        self.count = Self.digits(count)
        guard let key = challenge.isSession ? MessageDigest.hex(function, secret, challenge.nonce, cnonce) : secret,
            let request = Self.request(subject, Array(subject.method.utf8), challenge)
        else { return nil }
        self.key = key
        guard let response = Self.response(key, request, challenge, self.count, cnonce) else { return nil }

        var fields = FieldWriter()
        guard Self.addUser(login.user, challenge, to: &fields) else { return nil }
        fields.addQuoted("realm", challenge.realm)
        fields.addQuoted("uri", target)
        if let algorithm = challenge.algorithm { fields.add("algorithm", algorithm) }
        fields.addQuoted("nonce", challenge.nonce)
        if challenge.protection != .none {
            fields.add("nc", self.count)
            fields.add("qop", Array((challenge.protection == .auth ? "auth" : "auth-int").utf8))
        }
        // Without it the server could not compute the session key.
        if challenge.protection != .none || challenge.isSession { fields.addQuoted("cnonce", cnonce) }
        fields.addQuoted("response", response)
        if let opaque = challenge.opaque { fields.addQuoted("opaque", opaque) }
        if challenge.hashesUser { fields.add("userhash", Array("true".utf8)) }
        fieldValue = fields.bytes
    }

    /// 128 random bits from the system as text, for `cnonce`.
    static func newNonce() -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        return TokenBytes.hex((0..<16).map { _ in UInt8.random(in: 0...255, using: &random) })
    }

    /// H(user:realm:password), which is the same for all requests to a realm (RFC 7616 section 3.4.2). Nil if OpenSSL
    /// fails.
    static func secret(of login: Login, for challenge: DigestChallenge) -> [UInt8]? {
        MessageDigest.hex(challenge.function, Array(login.user.utf8), challenge.realm, Array(login.password.utf8))
    }

    /// Whether the server's proof (`rspauth`, RFC 7616 section 3.5) is right. Also true if the proof cannot be checked:
    /// with `auth-int` it depends on the response's body.
    func accepts(serverProof: [UInt8]) -> Bool {
        guard challenge.protection != .authInt,
            let request = Self.request(Subject(method: "", target: ""), [], challenge, target),
            let expected = Self.response(key, request, challenge, count, cnonce)
        else { return true }
        return serverProof.map { $0 | 0x20 } == expected.map { $0 | 0x20 }
    }

    /// H(A2): RFC 7616 section 3.4.3.
    private static func request(
        _ subject: Subject, _ method: [UInt8], _ challenge: DigestChallenge, _ target: [UInt8]? = nil
    ) -> [UInt8]? {
        let target = target ?? Array(subject.target.utf8)
        guard challenge.protection == .authInt else { return MessageDigest.hex(challenge.function, method, target) }
        return subject.bodyDigest.flatMap { MessageDigest.hex(challenge.function, method, target, $0) }
    }

    /// RFC 7616 section 3.4.1, and RFC 2069 section 2.1.2 without `qop`.
    private static func response(
        _ key: [UInt8], _ request: [UInt8], _ challenge: DigestChallenge, _ count: [UInt8], _ cnonce: [UInt8]
    ) -> [UInt8]? {
        let protection: String
        switch challenge.protection {
        case .none: return MessageDigest.hex(challenge.function, key, challenge.nonce, request)
        case .auth: protection = "auth"
        case .authInt: protection = "auth-int"
        }
        return MessageDigest.hex(
            challenge.function, key, challenge.nonce, count, cnonce, Array(protection.utf8), request)
    }

    /// RFC 7616 sections 3.4.4 and 4. Returns false if OpenSSL fails.
    private static func addUser(_ user: String, _ challenge: DigestChallenge, to fields: inout FieldWriter) -> Bool {
        let bytes = Array(user.utf8)
        if challenge.hashesUser {
            guard let hash = MessageDigest.hex(challenge.function, bytes, challenge.realm) else { return false }
            fields.addQuoted("username", hash)
        } else if challenge.isUTF8, !bytes.allSatisfy({ $0 < 0x80 }) {
            // An ext-value (RFC 5987 section 3.2).
            let isPlain = { (byte: UInt8) in
                TokenBytes.contains(byte) && byte != UInt8(ascii: "%") && byte != UInt8(ascii: "*")
                    && byte != UInt8(ascii: "'")
            }
            fields.add(
                "username*",
                Array("UTF-8''".utf8)
                    + bytes.flatMap { isPlain($0) ? [$0] : TokenBytes.percentEncoded($0) })
        } else {
            fields.addQuoted("username", bytes)
        }
        return true
    }

    /// Eight hexadecimal digits.
    private static func digits(_ count: UInt32) -> [UInt8] {
        TokenBytes.hex([24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) })
    }
}

/// Writes a list of parameters.
private struct FieldWriter {
    private(set) var bytes = Array("Digest".utf8)
    private var isFirst = true

    mutating func add(_ name: StaticString, _ value: [UInt8]) {
        bytes += Array((isFirst ? " " : ", ").utf8)
        isFirst = false
        name.withUTF8Buffer { bytes += $0 }
        bytes.append(UInt8(ascii: "="))
        bytes += value
    }

    mutating func addQuoted(_ name: StaticString, _ value: [UInt8]) {
        let quote = UInt8(ascii: "\"")
        var quoted = [quote]
        for byte in value {
            if byte == quote || byte == UInt8(ascii: "\\") { quoted.append(UInt8(ascii: "\\")) }
            quoted.append(byte)
        }
        add(name, quoted + [quote])
    }
}
