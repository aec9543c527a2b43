public import H2Client

/// A server's side of Digest authentication (RFC 7616), and of Basic if it is offered as well: decides the answer to a
/// request.
///
/// Invariant behind `@unchecked Sendable`: mutable state is accessed with `lock` held.
public final class DigestGate: @unchecked Sendable {
    public struct Options: Sendable {
        public var user = "ada"
        public var password = "s3cret: päss"
        public var realm = "gate"
        /// The algorithms that are offered, in order.
        public var algorithms = ["SHA-256"]
        /// The `qop` that is offered; nil for RFC 2069's form.
        public var protection: String? = "auth"
        /// Whether Basic is offered too.
        public var offersBasic = false
        /// The number of requests for which a nonce is valid.
        public var usesOfNonce = Int.max
        /// Whether counts must come in order.
        public var wantsOrder = false
        /// Whether a response has the nonce for the next request.
        public var announcesNext = false
        /// Whether each nonce is stale immediately.
        public var isNeverContent = false
        /// The value of `rspauth` in a response.
        public var proof = Proof.none

        public init() {}
    }

    public enum Proof: Sendable {
        case none
        case right
        case wrong
    }

    public struct Answer: Sendable {
        public var status: Int
        public var fields: [RawField] = []
        /// The nonce that was accepted.
        public var nonce: String?

        mutating func add(_ name: String, _ value: String) {
            fields.append(RawField(name: Array(name.utf8), value: Array(value.utf8)))
        }
    }

    /// What it has done so far.
    public struct Counts: Sendable, Equatable {
        public var withoutCredentials = 0
        public var accepted = 0
        public var stale = 0
        public var refused = 0
        public var acceptedBasic = 0

        public init(
            withoutCredentials: Int = 0, accepted: Int = 0, stale: Int = 0, refused: Int = 0, acceptedBasic: Int = 0
        ) {
            self.withoutCredentials = withoutCredentials
            self.accepted = accepted
            self.stale = stale
            self.refused = refused
            self.acceptedBasic = acceptedBasic
        }
    }

    private let options: Options
    private let lock = PthreadLock()
    private var nonces: [String: Set<Int>] = [:]
    private var lastNonce = 0
    private var current = Counts()

    public init(_ options: Options = Options()) { self.options = options }

    public var counts: Counts { lock.withLock { current } }
    /// How often each accepted nonce was used.
    public var uses: [Int] { lock.withLock { nonces.values.map(\.count).filter { $0 > 0 } } }

    /// Makes all nonces stale.
    public func forgetNonces() { lock.withLock { nonces = [:] } }

    public func answer(
        method: String, target: String, credentials: String?, body: [UInt8] = [], status: Int = 401,
        challengeField: String = "WWW-Authenticate", infoField: String = "Authentication-Info"
    ) -> Answer {
        lock.withLock {
            guard let credentials else {
                current.withoutCredentials += 1
                return refusal(status, challengeField)
            }
            if options.offersBasic, credentials.hasPrefix("Basic ") {
                let expected = Base64.encode(Array("\(options.user):\(options.password)".utf8))
                guard credentials.dropFirst(6) == expected else {
                    current.refused += 1
                    return refusal(status, challengeField)
                }
                current.acceptedBasic += 1
                return Answer(status: 200)
            }
            return check(Self.parameters(credentials), method, target, body, status, challengeField, infoField)
        }
    }

    private func check(
        _ given: [String: String], _ method: String, _ target: String, _ body: [UInt8], _ status: Int,
        _ challengeField: String, _ infoField: String
    ) -> Answer {
        func refuse() -> Answer {
            current.refused += 1
            return refusal(status, challengeField)
        }
        let nonce = given["nonce"] ?? ""
        let count = Int(given["nc"] ?? "0", radix: 16) ?? -1
        let name = given["algorithm"] ?? "MD5"
        guard let function = Self.functions[name.replacing("-sess", with: "")], options.algorithms.contains(name),
            given["uri"] == target, given["realm"] == options.realm, given["qop"] == usedProtection,
            given["opaque"] == "o\"p", given["username"] == options.user
        else { return refuse() }
        func hash(_ text: String) -> String {
            String(decoding: MessageDigest.hex(function, Array(text.utf8)) ?? [], as: UTF8.self)
        }
        var key = hash("\(options.user):\(options.realm):\(options.password)")
        if name.hasSuffix("-sess") { key = hash("\(key):\(nonce):\(given["cnonce"] ?? "")") }
        func response(_ method: String) -> String {
            var request = "\(method):\(target)"
            if usedProtection == "auth-int" {
                request += ":" + String(decoding: MessageDigest.hex(function, body) ?? [], as: UTF8.self)
            }
            guard let qop = given["qop"] else { return hash("\(key):\(nonce):\(hash(request))") }
            return hash("\(key):\(nonce):\(given["nc"] ?? ""):\(given["cnonce"] ?? ""):\(qop):\(hash(request))")
        }
        guard given["response"] == response(method) else { return refuse() }
        let isInOrder = !options.wantsOrder || count == (nonces[nonce]?.max() ?? 0) + 1
        guard !options.isNeverContent, let used = nonces[nonce], used.count < options.usesOfNonce, isInOrder,
            usedProtection == nil || !used.contains(count)
        else {
            current.stale += 1
            return refusal(status, challengeField, isStale: true)
        }
        nonces[nonce]?.insert(usedProtection == nil ? used.count : count)
        current.accepted += 1
        var answer = Answer(status: 200, nonce: nonce)
        var info: [String] = []
        if options.announcesNext { info.append("nextnonce=\"\(newNonce())\"") }
        switch options.proof {
        case .none: break
        case .right: info.append("rspauth=\"\(response(""))\"")
        case .wrong: info.append("rspauth=\"\(response("GET"))\"")
        }
        if !info.isEmpty { answer.add(infoField, info.joined(separator: ", ")) }
        return answer
    }

    /// The parts of the offer that a client uses.
    private var usedProtection: String? { options.protection.map { $0.contains("auth,") ? "auth" : $0 } }

    private func refusal(_ status: Int, _ field: String, isStale: Bool = false) -> Answer {
        var answer = Answer(status: status)
        if options.offersBasic { answer.add(field, "Basic realm=\"\(options.realm)\"") }
        for algorithm in options.algorithms {
            answer.add(
                field,
                "Digest realm=\"\(options.realm)\", nonce=\"\(newNonce())\", algorithm=\(algorithm), opaque=\"o\\\"p\""
                    + (options.protection.map { ", qop=\"\($0)\"" } ?? "") + (isStale ? ", stale=true" : ""))
        }
        return answer
    }

    private func newNonce() -> String {
        lastNonce += 1
        let nonce = "n/\(lastNonce)+="
        nonces[nonce] = []
        return nonce
    }

    private static let functions: [String: MessageDigest.Function] = [
        "MD5": .md5, "SHA-256": .sha256, "SHA-512-256": .sha512Slash256,
    ]

    /// The parameters of `Digest a=b, c="d"`. No value in the tests contains `, `.
    private static func parameters(_ credentials: String) -> [String: String] {
        guard credentials.hasPrefix("Digest ") else { return [:] }
        var parameters: [String: String] = [:]
        for part in credentials.dropFirst(7).split(separator: ", ") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            var value = pair.count > 1 ? String(pair[1]) : ""
            if value.hasPrefix("\"") { value = String(value.dropFirst().dropLast()).replacing("\\\"", with: "\"") }
            parameters[String(pair[0])] = value
        }
        return parameters
    }
}
