import CNghttp2
import Foundation
import H2Platform
import H2TestSupport
import Synchronization
import Testing

@testable import H2Client

/// Certificates, keys and roots, from files and from memory.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct TLSMaterialTests {
    typealias TLS = ConnectionConfiguration.TLS

    private static let authority = TestAuthority()
    private static let other = TestAuthority("Other")
    private static let leaf = authority.leaf()

    private func withFile(_ bytes: [UInt8], _ body: (String) throws -> Void) throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("material-\(UUID().uuidString)")
        try Data(bytes).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        try body(file.path)
    }

    private func withFile(_ text: String, _ body: (String) throws -> Void) throws {
        try withFile(Array(text.utf8), body)
    }

    private func context(_ change: (inout TLS) -> Void) throws -> TLSContext {
        var configuration = TLS()
        change(&configuration)
        return try TLSContext(client: configuration)
    }

    private func failure(_ change: (inout TLS) -> Void) throws -> H2Error {
        let error = try #require(throws: H2Error.self) { _ = try context(change) }
        #expect(error.code == .tlsConfiguration)
        return error
    }

    private func count(_ context: TLSContext) -> Int {
        Int(OPENSSL_sk_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(context.context))))
    }

    // MARK: - Roots

    @Test func `Roots come from PEM, DER and files of either`() throws {
        let (one, two) = (Self.authority.root, Self.other.root)
        let both = one.pem + "some words between\n" + two.pem
        #expect(count(try context { $0.roots = [.pem(one.pem)] }) == 1)
        #expect(count(try context { $0.roots = [.pem(both)] }) == 2)
        #expect(count(try context { $0.roots = [.pem(Array(both.utf8))] }) == 2)
        #expect(count(try context { $0.roots = [.der(one.der)] }) == 1)
        #expect(count(try context { $0.roots = [.der(one.der + two.der)] }) == 2)
        #expect(count(try context { $0.roots = [.der(one.der), .pem(two.pem), .pem(one.pem)] }) == 2)
        let crlf = both.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n")
        for text in [both, "\u{feff}" + both, crlf, "a comment\n" + both, Self.leaf.keyPEM + both] {
            try withFile(text) { path in
                let found = count(try context { $0.roots = [.file(path)] })
                #expect(found == 2)
            }
        }
        try withFile(one.der) { path in
            let found = count(try context { $0.roots = [.file(path)] })
            #expect(found == 1)
        }
    }

    @Test func `Additional roots are trusted beside those named`() throws {
        try withFile(Self.authority.root.pem) { path in
            let context = try context {
                $0.caFile = path
                $0.additionalRoots = [.pem(Self.other.root.pem)]
            }
            #expect(count(context) == 2)
        }
        let sources = TrustSources(TLS(additionalRoots: [.pem("")]), environment: { _ in nil })
        #expect(sources.isSystem)
        #expect(!TrustSources(TLS(roots: [.pem("")]), environment: { _ in nil }).isSystem)
        let named = TrustSources(TLS(additionalRoots: [.pem("")]), environment: { $0 == "SSL_CERT_FILE" ? "/x" : nil })
        #expect(!named.isSystem && named.files == ["/x"] && named.values.count == 1)
    }

    @Test func `What holds no certificate is an error that says what it is, and never what is in it`() throws {
        let secret = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg"
        let broken = Self.authority.root.pem.replacingOccurrences(of: "M", with: "N")
        let cases: [TLS.Source] = [
            .pem(""), .der([]), .pem(secret), .der(Array(secret.utf8)), .pem(Self.leaf.keyPEM), .pem(broken),
            .pem(Self.authority.root.pem + broken), .der(Self.authority.root.der.dropLast()),
            .der(Self.authority.root.der + [0]), .pem(Self.authority.list(revoking: [])),
            .der(Array(Self.authority.root.pem.utf8)), .pem(Self.authority.root.der),
        ]
        for source in cases {
            for error in [try failure { $0.roots = [source] }, try failure { $0.additionalRoots = [source] }] {
                #expect(error.message.contains("bytes of"), "\(error)")
                #expect(!error.description.contains(secret.prefix(8)))
            }
        }
        #expect(!"\(TLS.Source.pem(secret))".contains(secret))
        var dumped = ""
        dump(TLS(roots: [.pem(secret)]), to: &dumped)
        #expect(!dumped.contains(secret.prefix(8)))
        for path in ["/nowhere/at/all.pem", "/", "/dev/null"] {
            let error = try failure { $0.roots = [.file(path)] }
            #expect(error.message.contains("'\(path)'"), "\(error)")
        }
    }

    @Test func `A file that never ends is given up`() throws {
        let error = #expect(throws: H2Error.self) { _ = try TLSMaterial(.file("/dev/zero"), limit: 1 << 20) }
        #expect(error?.message.contains("larger than") == true)
    }

    @Test func `Revocation lists come from PEM, DER and files, and need one`() throws {
        let list = Self.authority.list(revoking: [1, 2])
        func withLists(_ lists: [TLS.Source]) throws -> TLSContext {
            try context {
                $0.roots = [.pem(Self.authority.root.pem)]
                $0.revocationLists = lists
            }
        }
        #expect(count(try withLists([.pem(list)])) == 2)
        #expect(count(try withLists([.pem(list + Self.other.list(revoking: []))])) == 3)
        let base64 = list.split(separator: "\n").dropFirst().dropLast().joined()
        let der = Array(try #require(Data(base64Encoded: base64)))
        #expect(count(try withLists([.der(der)])) == 2)
        #expect(count(try withLists([.der(der + der)])) == 2)
        for source in [TLS.Source.pem(Self.authority.root.pem), .der(der + [1]), .der(der.dropLast())] {
            #expect(throws: H2Error.self) { try withLists([source]) }
        }
    }

    // MARK: - Our certificate

    private func fingerprint(_ identity: TLS.Identity) throws -> [UInt8]? {
        try context {
            $0.verifiesPeer = false
            $0.identity = identity
        }.certificateFingerprint
    }

    private static let fingerprint: [UInt8] = {
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 32
        X509_digest(leaf.certificate, EVP_sha256(), &digest, &length)
        return digest
    }()

    @Test func `An identity comes from PEM, DER and files of either`() throws {
        let leaf = Self.leaf
        let chain = leaf.pem + Self.authority.root.pem
        let identities: [TLS.Identity] = [
            .init(certificates: .pem(leaf.pem + leaf.keyPEM)), .init(certificates: .pem(leaf.keyPEM + chain)),
            .init(certificates: .pem(chain), privateKey: .pem(leaf.keyPEM)),
            .init(certificates: .pem(chain), privateKey: .der(leaf.keyDER)),
            .init(certificates: .der(leaf.der + Self.authority.root.der), privateKey: .pem(leaf.keyPEM)),
        ]
        for identity in identities { #expect(try fingerprint(identity) == Self.fingerprint) }
        try withFile(chain) { certificates in
            try withFile(leaf.keyDER) { key in
                let identity = TLS.Identity(certificates: .file(certificates), privateKey: .file(key))
                let found = try fingerprint(identity)
                #expect(found == Self.fingerprint)
            }
        }
    }

    @Test func `An encrypted key asks for its passphrase, and others do not`() throws {
        let leaf = Self.leaf
        let counter = Counter()
        for key: TLS.Source in [.pem(leaf.keyPEM(passphrase: "grün")), .der(leaf.keyDER(passphrase: "grün"))] {
            let identity = TLS.Identity(certificates: .pem(leaf.pem), privateKey: key) {
                counter.add()
                return "grün"
            }
            #expect(try fingerprint(identity) == Self.fingerprint)
        }
        #expect(counter.value == 2)
        let plain = TLS.Identity(certificates: .pem(leaf.pem), privateKey: .pem(leaf.keyPEM)) {
            counter.add()
            return ""
        }
        #expect(try fingerprint(plain) == Self.fingerprint)
        #expect(counter.value == 2)
        // In one text with the certificate.
        let together = TLS.Identity(certificates: .pem(leaf.pem + leaf.keyPEM(passphrase: "x"))) { "x" }
        #expect(try fingerprint(together) == Self.fingerprint)
    }

    @Test func `A passphrase that is wrong, missing, too long or not available is an error without secrets`() throws {
        struct Locked: Error {}
        let key = TLS.Source.pem(Self.leaf.keyPEM(passphrase: "right"))
        let cases: [(passphrase: (@Sendable () throws -> String)?, word: String)] = [
            (nil, "is encrypted"), ({ "wrong-secret" }, "cannot decrypt"), ({ "" }, "cannot decrypt"),
            ({ String(repeating: "long-secret", count: 1_000) }, "cannot decrypt"), ({ throw Locked() }, "Locked"),
        ]
        for (passphrase, word) in cases {
            let identity = TLS.Identity(certificates: .pem(Self.leaf.pem), privateKey: key, passphrase: passphrase)
            let error = try failure { $0.identity = identity }
            #expect(error.message.contains(word), "\(error)")
            #expect(!error.description.contains("secret"))
        }
    }

    @Test func `A key that does not fit, or is none, is an error`() throws {
        let (leaf, stranger) = (Self.leaf, Self.other.leaf())
        let identities: [TLS.Identity] = [
            .init(certificates: .pem(leaf.pem), privateKey: .pem(stranger.keyPEM)),
            .init(certificates: .pem(leaf.pem)), .init(certificates: .der(leaf.der)),
            .init(certificates: .pem(leaf.keyPEM)),
            .init(certificates: .pem(leaf.pem), privateKey: .der([0, 1, 2])),
            .init(certificates: .pem(leaf.pem), privateKey: .pem("")),
        ]
        for identity in identities { _ = try failure { $0.identity = identity } }
    }

    @Test func `An identity excludes the names of files`() throws {
        var configuration = ConnectionConfiguration()
        configuration.tls.identity = .init(certificates: .pem(""))
        try configuration.validate()
        configuration.tls.certificateFile = "client.pem"
        let error = #expect(throws: H2Error.self) { try configuration.validate() }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains("tls.identity") == true)
    }

    // MARK: - Suites, groups, signature algorithms

    @Test(arguments: [
        ("suites12", "ECDHE-RSA-AES128-GCM-SHA256:NOPE", "NOPE"), ("suites12", "!ALL", "!ALL"), ("suites12", "", "''"),
        ("suites13", "TLS_AES_128_GCM_SHA256:TLS_NOPE", "TLS_NOPE"), ("suites13", "", "''"),
        ("groups", "X25519:NOPE:P-256", "NOPE"), ("groups", "", "''"),
        ("signatures", "ECDSA+SHA256:RSA+NOPE", "RSA+NOPE"), ("signatures", "", "''"),
    ])
    func `A name that is not known is an error that names it`(kind: String, list: String, unknown: String) throws {
        let error = try failure {
            switch kind {
            case "suites12": $0.suites12 = list
            case "suites13": $0.suites13 = list
            case "groups": $0.groups = list
            default: $0.signatureAlgorithms = list
            }
        }
        #expect(error.message.contains(unknown), "\(error)")
        #expect(!error.message.contains(":"), "\(error)")
        #expect(!error.remedy.isEmpty)
    }

    @Test func `Lists in OpenSSL's syntax are taken`() throws {
        _ = try context {
            $0.verifiesPeer = false
            $0.suites12 = "ECDHE+AESGCM:!aNULL:-AES256:@STRENGTH"
            $0.suites13 = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
            $0.groups = "P-384:X25519"
            $0.signatureAlgorithms = "ECDSA+SHA256:rsa_pss_rsae_sha256:ed25519"
        }
    }

    @Test func `A server's signature has to be among the algorithms`() async throws {
        let peer = try TLSPeer(protocols: ["h2"])
        defer { peer.stop() }
        for (list, isAccepted) in [("ECDSA+SHA256", true), ("ed25519:rsa_pss_rsae_sha256", false)] {
            let (configuration, tls) = try trusting(peer.caPEM) { $0.tls.signatureAlgorithms = list }
            if isAccepted {
                _ = try await dial(peer.url, configuration, tls: tls)
            } else {
                let error = await #expect(throws: H2Error.self) { try await dial(peer.url, configuration, tls: tls) }
                #expect(error?.code == .tlsFailed)
            }
        }
    }

    // MARK: - Key log

    @Test(arguments: [TLS.Version.tls12, .tls13])
    func `Secrets are appended to the key log, in whole lines`(version: TLS.Version) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("keys-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("keys.log").path
        let peer = try TLSPeer(protocols: ["h2"])
        defer { peer.stop() }
        for _ in 0..<2 {
            let (configuration, tls) = try trusting(peer.caPEM) {
                $0.tls.keyLogFile = path
                $0.tls.maximumVersion = version
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<5 { group.addTask { _ = try await dial(peer.url, configuration, tls: tls) } }
                try await group.waitForAll()
            }
        }
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.count >= (version == .tls12 ? 10 : 40))
        let label = version == .tls12 ? "CLIENT_RANDOM" : "CLIENT_TRAFFIC_SECRET_0"
        #expect(lines.count { $0.hasPrefix(label) } == 10)
        #expect(lines.allSatisfy { $0.split(separator: " ").count == 3 })
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test func `A key log that cannot be opened, or is a pipe, is an error`() throws {
        let pipe = FileManager.default.temporaryDirectory.appendingPathComponent("pipe-\(UUID().uuidString)").path
        #expect(mkfifo(pipe, 0o600) == 0)
        defer { unlink(pipe) }
        #expect(try failure { $0.keyLogFile = pipe }.message.contains("'\(pipe)'"))
        let reader = open(pipe, O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        #expect(try failure { $0.keyLogFile = pipe }.message.contains("is a pipe"))
        for path in ["/nowhere/at/all", "/", ""] {
            #expect(try failure { $0.keyLogFile = path }.message.contains("'\(path)'"))
        }
    }
}

private final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .relaxed) }
    func add() { count.add(1, ordering: .relaxed) }
}
