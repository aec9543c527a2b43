/// Earlier challenges to a user: Digest nonces with their counts, and servers where Basic was chosen. Shared by all
/// requests with the same ``HTTPAuthentication``.
///
/// The protection space is the whole server (RFC 7616 section 3.3 without `domain`): the nonce of its last challenge is
/// used for all paths. On a server with several realms, each change of realm costs one more request.
///
/// Invariant behind `@unchecked Sendable`: mutable state is accessed only under `lock`, a leaf.
final class PasswordSpaces: @unchecked Sendable {
    struct Key: Hashable, Sendable {
        var server: Origin
        var login: Login
    }

    /// A nonce for one request.
    struct Ticket: Sendable {
        let challenge: DigestChallenge
        /// See `DigestProof.secret(of:for:)`.
        let secret: [UInt8]
        /// The number of requests that use the nonce, including this one.
        let count: UInt32
        /// Increases with each nonce of the server.
        let generation: UInt64
    }

    enum Choice: Sendable {
        case basic
        case digest(Ticket)
    }

    private enum Memory {
        case basic
        case digest(DigestChallenge, secret: [UInt8], count: UInt32, generation: UInt64)
    }

    /// The maximum number of servers that are remembered. Redirects and `.netrc` can lead to any number of them.
    static let limit = 1_024

    private let lock = PthreadLock()
    private var spaces: [Key: Memory] = [:]
    private var lastGeneration: UInt64 = 0

    /// The number of servers that are remembered.
    var count: Int { lock.withLock { spaces.count } }

    /// The credentials to send before the server asks; nil if nothing is known about the server.
    func choice(for key: Key) -> Choice? {
        lock.withLock {
            switch spaces[key] {
            case nil: nil
            case .basic: .basic
            case .digest: take(key).map { .digest($0) }
            }
        }
    }

    /// Remembers a challenge that arrived in response to a request that cannot be sent again.
    ///
    /// - Parameter count: the number of requests sent with its nonce.
    func remember(_ challenge: DigestChallenge, secret: [UInt8], for key: Key, count: UInt32 = 0) {
        lock.withLock {
            lastGeneration += 1
            makeRoom(for: key)
            spaces[key] = .digest(challenge, secret: secret, count: count, generation: lastGeneration)
        }
    }

    /// A ticket that answers the challenge. It uses a nonce that another request got since `generation`, if there is
    /// one and `mayShare`; otherwise the challenge's own nonce.
    func ticket(
        for key: Key, _ challenge: DigestChallenge, secret: [UInt8], since generation: UInt64, mayShare: Bool
    ) -> (ticket: Ticket, isShared: Bool) {
        lock.withLock {
            if mayShare, case .digest(let known, _, _, let present)? = spaces[key], present > generation,
                known.isSameSpace(as: challenge), let ticket = take(key)
            {
                return (ticket, true)
            }
            lastGeneration += 1
            makeRoom(for: key)
            spaces[key] = .digest(challenge, secret: secret, count: 1, generation: lastGeneration)
            return (Ticket(challenge: challenge, secret: secret, count: 1, generation: lastGeneration), false)
        }
    }

    /// Stores the nonce that the server announced for the next request (RFC 7616 section 3.5), unless the ticket's
    /// nonce has been replaced in the meantime.
    func renew(_ key: Key, _ ticket: Ticket, nonce: [UInt8]) {
        lock.withLock {
            guard case .digest(var challenge, let secret, _, ticket.generation)? = spaces[key] else { return }
            lastGeneration += 1
            challenge.nonce = nonce
            spaces[key] = .digest(challenge, secret: secret, count: 0, generation: lastGeneration)
        }
    }

    func rememberBasic(_ key: Key) {
        lock.withLock {
            makeRoom(for: key)
            spaces[key] = .basic
        }
    }

    /// Forgets that Basic was chosen.
    func forgetBasic(_ key: Key) {
        lock.withLock {
            if case .basic? = spaces[key] { spaces[key] = nil }
        }
    }

    /// Forgets a nonce that the server refused.
    func forget(_ key: Key, _ ticket: Ticket) {
        lock.withLock {
            if case .digest(_, _, _, ticket.generation)? = spaces[key] { spaces[key] = nil }
        }
    }

    /// Counts a request. Called under the lock.
    private func take(_ key: Key) -> Ticket? {
        guard case .digest(let challenge, let secret, let count, let generation)? = spaces[key] else { return nil }
        // The count has eight hexadecimal digits.
        guard count < UInt32.max else {
            spaces[key] = nil
            return nil
        }
        spaces[key] = .digest(challenge, secret: secret, count: count + 1, generation: generation)
        return Ticket(challenge: challenge, secret: secret, count: count + 1, generation: generation)
    }

    /// Called under the lock.
    private func makeRoom(for key: Key) {
        // Any entry will do: a server that is forgotten asks again.
        if spaces.count >= Self.limit, spaces[key] == nil, let other = spaces.keys.first { spaces[other] = nil }
    }
}
