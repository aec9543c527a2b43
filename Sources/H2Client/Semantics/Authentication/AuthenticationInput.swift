/// Entry points for fuzzers: the authentication input that a server or a file controls.
package enum AuthenticationInput {
    /// Parses the lines of `bytes` as fields of one response, and answers the challenges.
    /// - Returns: The answer to the best Digest challenge; nil if there is none.
    package static func answer(challenges bytes: [UInt8]) -> [UInt8]? {
        let fields = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Array($0) }
        let challenges = AuthenticationChallenge.parse(fields)
        for field in fields { _ = AuthenticationChallenge.parameters(of: field) }
        let login = Login(user: "J\u{e4}s\u{f8}n", password: "p")
        guard let challenge = DigestChallenge.strongest(of: challenges),
            let secret = DigestProof.secret(of: login, for: challenge),
            let proof = DigestProof(
                of: DigestProof.Subject(method: "GET", target: "/", bodyDigest: []), by: login, secret: secret,
                for: challenge, count: 1, cnonce: Array("c".utf8))
        else { return nil }
        _ = proof.accepts(serverProof: fields[0])
        return proof.fieldValue
    }

    /// Parses `bytes` as a `.netrc` file, and looks up a host.
    /// - Returns: The number of entries; nil if the file is invalid.
    package static func entries(netrc bytes: [UInt8]) -> Int? {
        guard let entries = try? NetrcEntries(bytes) else { return nil }
        _ = entries.login(for: "example.org", user: "u", usesDefault: true)
        return entries.entries.count
    }
}
