import HTTPTypes

/// Compares a body with the digests stated in its response (RFC 9530).
///
/// Not safe for concurrent use.
final class DigestCheck: LiveObject {
    private let isRequired: Bool
    /// Whether the body is the whole representation, as `repr-digest` requires.
    private let isWhole: Bool
    private let inHeader: [DigestField]
    private let computed: [DigestField.Algorithm: BodyDigest]
    private var count = 0

    /// - Parameters:
    ///   - isRequired: whether a response without a digest that can be verified fails.
    init(_ response: HTTPResponse, isRequired: Bool) {
        self.isRequired = isRequired
        isWhole = response.status == .ok || response.status == .nonAuthoritativeInformation
        inHeader = Self.fields(response.headerFields, isWhole: isWhole)
        // The trailer fields may state any digest.
        let stated = Set(inHeader.compactMap { Self.strongest($0)?.algorithm })
        let needed = stated.isEmpty ? Set(DigestField.Algorithm.allCases) : stated
        computed = Dictionary(uniqueKeysWithValues: needed.map { ($0, BodyDigest($0 == .sha512 ? .sha512 : .sha256)) })
    }

    /// The fields that describe the body.
    private static func fields(_ fields: HTTPFields, isWhole: Bool) -> [DigestField] {
        let names = isWhole ? [HTTPField.Name.contentDigest, .reprDigest] : [.contentDigest]
        return names.compactMap { DigestField(fields[values: $0]) }
    }

    private static func strongest(_ field: DigestField) -> (algorithm: DigestField.Algorithm, bytes: [UInt8])? {
        DigestField.Algorithm.allCases.lazy.compactMap { algorithm in
            field.digests[algorithm].map { (algorithm, $0) }
        }.first
    }

    /// Adds bytes of the body as they were received.
    func add(_ bytes: [UInt8]) {
        count += bytes.count
        for digest in computed.values { digest.add(bytes) }
    }

    /// Ends the body.
    /// - Throws: `H2Error` (`digestMismatch`) if a digest differs, or if a digest is required and none can be verified.
    func finish(trailers: HTTPFields?) throws(H2Error) {
        let digests = computed.mapValues { $0.finish() }
        var isVerified = false
        for field in inHeader + Self.fields(trailers ?? [:], isWhole: isWhole) {
            guard let stated = Self.strongest(field), let digest = digests[stated.algorithm] else { continue }
            guard let digest, digest == stated.bytes else {
                throw H2Error(
                    .digestMismatch, initiator: .remote,
                    message:
                        "the \(count) bytes of the body do not have the \(stated.algorithm.rawValue) digest that the "
                        + "server stated",
                    remedy: "request it again; a proxy may have changed it")
            }
            isVerified = true
        }
        guard isVerified || !isRequired else {
            throw H2Error(
                .digestMismatch, initiator: .remote,
                message: "the server stated no digest of the body that can be verified"
                    + (isWhole ? "" : " (a part of a representation needs content-digest)"),
                remedy: "have it send content-digest with sha-256 or sha-512, or do not require one")
        }
    }
}

extension HTTPField.Name {
    static let contentDigest = HTTPField.Name("content-digest")!
    static let reprDigest = HTTPField.Name("repr-digest")!
}
