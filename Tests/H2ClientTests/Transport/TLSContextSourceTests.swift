import Foundation
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn, .timeLimit(.minutes(5))) struct TLSContextSourceTests {
    private final class Folder {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("source-\(UUID().uuidString)")
        init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(at: url) }
        func path(_ name: String) -> String { url.appendingPathComponent(name).path }
        func write(_ text: String, to name: String) throws {
            try text.write(to: url.appendingPathComponent(name), atomically: true, encoding: .utf8)
        }
    }

    private func context(of source: TLSContextSource, on loop: H2EventLoop) async throws -> TLSContext {
        let result: TLSContextSource.Outcome = await withCheckedContinuation { continuation in
            loop.execute { source.context(on: loop) { continuation.resume(returning: $0) } }
        }
        return try result.get()
    }

    private func authority() throws -> String {
        try TLSContext(serverProtocols: ["h2"]).makeSelfSigned(names: ["localhost"], days: 1).caPEM
    }

    @Test func `A context is shared until a file of authorities changes, and a failure is not kept`() async throws {
        let (folder, loop) = (try Folder(), H2EventLoop())
        defer { loop.shutdown() }
        var configuration = ConnectionConfiguration.TLS()
        configuration.caFile = folder.path("ca.pem")
        let source = TLSContextSource(configuration)
        let error = await #expect(throws: H2Error.self) { _ = try await context(of: source, on: loop) }
        #expect(error?.code == .tlsConfiguration)
        try folder.write(authority(), to: "ca.pem")
        let first = try await context(of: source, on: loop)
        #expect(try await context(of: source, on: loop) === first)
        try folder.write(authority() + authority(), to: "ca.pem")
        let second = try await context(of: source, on: loop)
        #expect(second !== first)
        // Trust that is gone is not trusted on.
        try FileManager.default.removeItem(atPath: folder.path("ca.pem"))
        await #expect(throws: H2Error.self) { _ = try await context(of: source, on: loop) }
        try folder.write(authority(), to: "ca.pem")
        _ = try await context(of: source, on: loop)
    }

    @Test func `A certificate of ours that was replaced is used by new connections, once its key fits`() async throws {
        let (folder, loop) = (try Folder(), H2EventLoop())
        defer { loop.shutdown() }
        let (one, two) = (try TestIdentity(), try TestIdentity())
        try folder.write(one.certificate, to: "our.pem")
        try folder.write(one.key, to: "our.key")
        var configuration = ConnectionConfiguration.TLS()
        configuration.verifiesPeer = false
        configuration.certificateFile = folder.path("our.pem")
        configuration.privateKeyFile = folder.path("our.key")
        let source = TLSContextSource(configuration)
        let first = try await context(of: source, on: loop)
        // Halfway: the new certificate with the old key.
        try folder.write(two.certificate, to: "our.pem")
        #expect(try await context(of: source, on: loop) === first)
        try folder.write(two.key, to: "our.key")
        let second = try await context(of: source, on: loop)
        #expect(second !== first)
        #expect(second.certificateFingerprint != first.certificateFingerprint)
    }

    @Test func `Every file that is named is read again when it has changed`() async throws {
        let (folder, loop) = (try Folder(), H2EventLoop())
        defer { loop.shutdown() }
        let authority = TestAuthority()
        let leaf = authority.leaf()
        let files = [
            "root.pem": authority.root.pem, "more.pem": TestAuthority("More").root.pem,
            "list.pem": authority.list(revoking: []),
            "our.pem": leaf.pem, "our.key": leaf.keyPEM(passphrase: "x"),
        ]
        for (name, text) in files { try folder.write(text, to: name) }
        let configuration = ConnectionConfiguration.TLS(
            roots: [.file(folder.path("root.pem"))], additionalRoots: [.file(folder.path("more.pem"))],
            revocationLists: [.file(folder.path("list.pem"))],
            identity: .init(
                certificates: .file(folder.path("our.pem")), privateKey: .file(folder.path("our.key"))
            ) { "x" })
        let source = TLSContextSource(configuration)
        var last = try await context(of: source, on: loop)
        #expect(try await context(of: source, on: loop) === last)
        for (name, text) in files {
            try folder.write(text + "\n", to: name)
            let next = try await context(of: source, on: loop)
            #expect(next !== last, "\(name)")
            last = next
        }
        // Without its list, a client would trust revoked certificates.
        try folder.write("", to: "list.pem")
        await #expect(throws: H2Error.self) { _ = try await context(of: source, on: loop) }
    }

    @Test func `Those who ask at the same time share one load`() async throws {
        let (folder, loop) = (try Folder(), H2EventLoop())
        defer { loop.shutdown() }
        try folder.write(authority(), to: "ca.pem")
        var configuration = ConnectionConfiguration.TLS()
        configuration.caFile = folder.path("ca.pem")
        let source = TLSContextSource(configuration)
        let contexts = try await withThrowingTaskGroup(of: TLSContext.self) { group in
            for _ in 0..<50 { group.addTask { try await context(of: source, on: loop) } }
            return try await group.reduce(into: [TLSContext]()) { $0.append($1) }
        }
        #expect(Set(contexts.map { ObjectIdentifier($0) }).count == 1)
    }
}
