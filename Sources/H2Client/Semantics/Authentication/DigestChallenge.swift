/// A challenge of Digest authentication that can be answered (RFC 7616 section 3.3).
struct DigestChallenge: Sendable, Hashable {
    enum Protection: Sendable, Hashable {
        /// As in RFC 2069, without a request count.
        case none
        /// The method and target of the request.
        case auth
        /// The body as well.
        case authInt
    }

    /// The maximum length of realm, nonce and opaque in bytes, since all three are sent back.
    static let lengthLimit = 4 << 10

    let realm: [UInt8]
    var nonce: [UInt8]
    let opaque: [UInt8]?
    let function: MessageDigest.Function
    /// Whether the key also depends on the nonces (`MD5-sess`).
    let isSession: Bool
    /// The algorithm as the server wrote it; nil if it named none, which means MD5.
    let algorithm: [UInt8]?
    let protection: Protection
    /// Whether the request's nonce was too old. The user name and password may be right.
    let isStale: Bool
    /// Whether the user name is sent as a hash.
    let hashesUser: Bool
    /// Whether the server expects user name and password in UTF-8.
    let isUTF8: Bool

    /// Returns nil if the challenge is for another scheme, lacks something Digest needs, asks for something unknown, or
    /// is too long.
    init?(_ challenge: AuthenticationChallenge) {
        guard challenge.scheme == "digest", let realm = challenge.value("realm"), let nonce = challenge.value("nonce"),
            max(realm.count, nonce.count, challenge.value("opaque")?.count ?? 0) <= Self.lengthLimit
        else { return nil }
        self.realm = realm
        self.nonce = nonce
        opaque = challenge.value("opaque")
        algorithm = challenge.value("algorithm")
        switch challenge.token("algorithm") {
        case nil, "md5": (function, isSession) = (.md5, false)
        case "md5-sess": (function, isSession) = (.md5, true)
        case "sha-256": (function, isSession) = (.sha256, false)
        case "sha-256-sess": (function, isSession) = (.sha256, true)
        case "sha-512-256": (function, isSession) = (.sha512Slash256, false)
        case "sha-512-256-sess": (function, isSession) = (.sha512Slash256, true)
        default: return nil
        }
        // OpenSSL may lack MD5.
        guard MessageDigest(function) != nil else { return nil }
        if let qop = challenge.token("qop") {
            let options = qop.split { $0 == "," || $0 == " " || $0 == "\t" }
            // `auth-int` reads the whole body before sending it, so it is used only if the server insists.
            if options.contains("auth") {
                protection = .auth
            } else if options.contains("auth-int") {
                protection = .authInt
            } else {
                return nil
            }
        } else {
            protection = .none
        }
        isStale = challenge.token("stale") == "true"
        hashesUser = challenge.token("userhash") == "true"
        isUTF8 = challenge.token("charset") == "utf-8"
    }

    /// The challenge with the best hash function, or the first of several equally good ones; nil if none can be
    /// answered.
    static func strongest(of challenges: [AuthenticationChallenge]) -> DigestChallenge? {
        var best: DigestChallenge?
        for challenge in challenges.lazy.compactMap(DigestChallenge.init)
        where best.map({ $0.function < challenge.function }) ?? true {
            best = challenge
        }
        return best
    }

    /// Whether a nonce from the other challenge can answer this one.
    func isSameSpace(as other: DigestChallenge) -> Bool {
        realm == other.realm && function == other.function && isSession == other.isSession
            && protection == other.protection
    }
}
