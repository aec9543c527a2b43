import CNghttp2
import Foundation
import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

/// Sessions that are stored in a file for later runs.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct TLSSessionFileTests {
    private static let authority = TestAuthority()
    private static let leaf = authority.leaf()
    private static let settings = [UInt8](repeating: 7, count: 32)

    /// A path in a separate folder.
    private final class Place {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sessions-\(UUID().uuidString)")
        var path: String { folder.appendingPathComponent("sessions").path }
        var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [] }
        init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(at: folder) }

        func write(_ bytes: [UInt8], mode: Int = 0o600) throws {
            try? FileManager.default.removeItem(atPath: path)
            _ = FileManager.default.createFile(
                atPath: path, contents: Data(bytes), attributes: [.posixPermissions: mode])
        }

        func read() throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }
    }

    // MARK: - The format

    private static func record(
        _ name: String = "a.example", age: Int = 0, settings: [UInt8] = settings, session: [UInt8] = [1, 2],
        certificates: [[UInt8]]? = nil
    ) -> TLSSessionRecord {
        TLSSessionRecord(
            key: .init(serverName: name, port: 443, protocols: ["h2", "http/1.1"]),
            beginning: .init(time: 1_000_000 - age, certificates: certificates.map { PeerCertificates(encoded: $0) }),
            session: session, settings: settings)
    }

    @Test func `What is written is read again`() {
        let lists: [[TLSSessionRecord]] = [
            [], [Self.record()],
            [
                Self.record("", age: -5, session: []), Self.record("é", certificates: []),
                Self.record(certificates: [[1], [], [2, 3]]),
            ],
        ]
        for records in lists { #expect(TLSSessionRecord.decode(TLSSessionRecord.encode(records)) == records) }
    }

    @Test func `Damage is noticed, wherever it is cut, and nothing traps`() {
        let bytes = TLSSessionRecord.encode([Self.record(certificates: [[1, 2, 3]]), Self.record("b")])
        let ends = [
            TLSSessionRecord.mark.count, TLSSessionRecord.encode([Self.record(certificates: [[1, 2, 3]])]).count,
        ]
        for count in 0..<bytes.count {
            let records = TLSSessionRecord.decode(Array(bytes.prefix(count)))
            #expect((records != nil) == ends.contains(count), "\(count)")
        }
        var generator = SplitMix64(seed: 12)
        for _ in 0..<20_000 {
            var changed = bytes
            changed[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            if Bool.random(using: &generator) {
                changed = Array(changed.prefix(Int.random(in: 0...bytes.count, using: &generator)))
            }
            _ = TLSSessionRecord.decode(changed)
        }
        let endless = TLSSessionRecord.mark + [UInt8](repeating: 0xff, count: 64)
        #expect(TLSSessionRecord.decode(endless) == nil)
        let many = TLSSessionRecord.encode((0...TLSSessionCache.limit).map { Self.record("h\($0)") })
        #expect(TLSSessionRecord.decode(many) == nil)
    }

    @Test func `Other settings and other servers stay, what is old goes, and there is a limit`() {
        let other = [UInt8](repeating: 9, count: 32)
        let stored = [
            Self.record("a"), Self.record("taken"), Self.record("theirs"), Self.record("a", settings: other),
            Self.record("old", age: 86_400), Self.record("future", age: -1),
        ]
        func merge(_ stored: [TLSSessionRecord], _ ours: [TLSSessionRecord]) -> [TLSSessionRecord] {
            TLSSessionRecord.merge(
                stored, with: ours, taken: [Self.record("taken").key], settings: Self.settings, now: 1_000_000)
        }
        let ours = [Self.record("a", age: 5, settings: [], session: [3]), Self.record("ours old", age: 90_000)]
        #expect(
            merge(stored, ours) == [
                Self.record("theirs"), Self.record("a", settings: other), Self.record("a", age: 5, session: [3]),
            ])
        let many = (0..<300).map { Self.record("h\($0)") }
        #expect(merge([], many) == Array(many.suffix(TLSSessionCache.limit)))
        // Records that could not be read back are not written.
        let large = Self.record(session: [UInt8](repeating: 1, count: (64 << 10) + 1))
        let long = Self.record(certificates: [[UInt8]](repeating: [1], count: 64))
        #expect(merge([], [large, long, Self.record("b")]).map(\.key.serverName) == ["b"])
    }

    // MARK: - With a server

    private func configuration(
        _ place: Place, _ change: (inout ConnectionConfiguration.TLS) -> Void = { _ in }
    ) -> ConnectionConfiguration {
        var configuration = ConnectionConfiguration()
        configuration.tls.roots = [.pem(Self.authority.root.pem)]
        configuration.tls.sessionFile = place.path
        change(&configuration.tls)
        return configuration
    }

    /// One run. Returns whether its first connection resumed a session.
    private func run(_ url: String, _ configuration: ConnectionConfiguration) async throws -> Bool {
        let tls = try TLSContext(client: configuration.tls)
        let reached = try await visit(url, configuration, tls)
        tls.saveSessions()
        return reached.info.isTLSResumed
    }

    private func peer() throws -> TLSPeer { try TLSPeer(protocols: ["h2"], greeting: "hello", present(Self.leaf)) }

    @Test(arguments: [ConnectionConfiguration.TLS.Version.tls12, .tls13])
    func `The first connection of a later run resumes a session`(
        version: ConnectionConfiguration.TLS.Version
    ) async throws {
        let (place, peer) = (try Place(), try peer())
        defer { peer.stop() }
        let configuration = configuration(place) { $0.maximumVersion = version }
        var resumed: [Bool] = []
        for _ in 0..<4 { resumed.append(try await run(peer.url, configuration)) }
        #expect(resumed == [false, true, true, true])
        let mode = try FileManager.default.attributesOfItem(atPath: place.path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(place.names == ["sessions"])
    }

    @Test func `A session is resumed only under the same settings`() async throws {
        let (place, peer) = (try Place(), try peer())
        defer { peer.stop() }
        let base = configuration(place)
        #expect(try await !run(peer.url, base))
        let changes: [(inout ConnectionConfiguration.TLS) -> Void] = [
            { $0.verifiesPeer = false }, { $0.additionalRoots = [.pem(TestAuthority("Other").root.pem)] },
            { $0.pinnedKeys = [Self.leaf.pin] }, { $0.stapling = .ignored }, { $0.verifier = { _ in } },
            { $0.revocationLists = [.pem(Self.authority.list(revoking: []))] }, { $0.maximumVersion = .tls12 },
            { $0.identity = .init(certificates: .pem(Self.leaf.pem), privateKey: .pem(Self.leaf.keyPEM)) },
            { $0.groups = "P-256" }, { $0.serverName = "localhost" },
        ]
        for change in changes { #expect(try await !run(peer.url, configuration(place, change))) }
        // None of them has replaced the first one's session.
        #expect(try await run(peer.url, base))
        // Nor does a file help a server that those settings would not trust.
        let stranger = configuration(place) { $0.roots = [.pem(TestAuthority("Other").root.pem)] }
        let error = await #expect(throws: H2Error.self) { try await run(peer.url, stranger) }
        #expect(error?.code == .certificateRejected)
    }

    @Test func `Pins and verifiers hold for the certificates of a stored session`() async throws {
        let (place, peer) = (try Place(), try peer())
        defer { peer.stop() }
        let configuration = configuration(place) {
            $0.pinnedKeys = [Self.authority.root.pin]
            $0.verifier = { chain in
                precondition(chain.certificates.map(\.der) == [Self.leaf.der, Self.authority.root.der])
            }
        }
        #expect(try await !run(peer.url, configuration))
        #expect(try await run(peer.url, configuration))
    }

    @Test func `A damaged file counts as empty, and a file of another kind is left alone`() async throws {
        let (place, peer) = (try Place(), try peer())
        defer { peer.stop() }
        #expect(try await !run(peer.url, configuration(place)))
        var bytes = try place.read()
        bytes.removeLast()
        // A thread saves each new session, too, and may still do so after the run.
        try await eventually("a damaged file") { [bytes] in
            try place.write(bytes)
            try await letTimePass(.milliseconds(200))
            return try place.read() == bytes
        }
        #expect(try await !run(peer.url, configuration(place)))
        #expect(try await run(peer.url, configuration(place)))
        try place.write(Array("important".utf8))
        #expect(try await !run(peer.url, configuration(place)))
        #expect(try place.read() == Array("important".utf8))
        // Sessions that OpenSSL cannot read.
        let record = TLSSessionRecord(
            key: .init(serverName: "127.0.0.1", port: peer.port, protocols: ["h2"]),
            beginning: .init(time: time(nil)), session: [1, 2, 3], settings: Self.settings)
        try place.write(TLSSessionRecord.encode([record]))
        let cache = TLSSessionCache()
        _ = try TLSSessionFile(place.path, settings: Self.settings, into: cache)
        #expect(cache.count == 0)
    }

    @Test(arguments: [0o644, 0o660, 0o602])
    func `A file that others may read or write is an error`(mode: Int) throws {
        let place = try Place()
        try place.write([], mode: mode)
        chmod(place.path, mode_t(mode))
        let error = #expect(throws: H2Error.self) { _ = try TLSContext(client: configuration(place).tls) }
        #expect(error?.code == .tlsConfiguration)
        #expect(error?.message.contains("others may") == true)
    }

    @Test func `What is not a file is an error, and a folder that is missing is none`() throws {
        for path in ["/", "/dev/null"] {
            var tls = ConnectionConfiguration.TLS()
            tls.sessionFile = path
            let fixed = tls
            let error = #expect(throws: H2Error.self) { _ = try TLSContext(client: fixed) }
            #expect(error?.message.contains("regular file") == true)
        }
        var tls = ConnectionConfiguration.TLS()
        tls.sessionFile = "/nowhere/at/all"
        try TLSContext(client: tls).saveSessions()
    }
}
