import Foundation
import Testing

@testable import H2Client

@Suite struct TLSContextTests {
    /// A folder of its own for one test.
    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    private func failure(_ change: (inout Configuration.TLS) -> Void) throws -> H2Error {
        var configuration = Configuration.TLS()
        change(&configuration)
        let fixed = configuration
        return try #require(throws: H2Error.self) { _ = try TLSContext(client: fixed) }
    }

    @Test func `A CA file that is missing is an error that names it`() throws {
        try withFolder { folder in
            let path = folder.appendingPathComponent("absent.pem").path
            let error = try failure { $0.caFile = path }
            #expect(error.code == .tlsConfiguration)
            #expect(error.message.contains(path))
            #expect(error.remedy.contains("PEM"))
        }
    }

    @Test func `A CA file without a certificate is an error`() throws {
        try withFolder { folder in
            let file = folder.appendingPathComponent("empty.pem")
            try "no certificate here\n".write(to: file, atomically: true, encoding: .utf8)
            let error = try failure { $0.caFile = file.path }
            #expect(error.code == .tlsConfiguration)
            #expect(error.message.contains(file.path))
        }
    }

    @Test func `A CA folder that does not exist, or is a file, is an error`() throws {
        try withFolder { folder in
            let file = folder.appendingPathComponent("file")
            try "x".write(to: file, atomically: true, encoding: .utf8)
            for path in [file.path, folder.appendingPathComponent("absent").path] {
                let error = try failure { $0.caDirectory = path }
                #expect(error.code == .tlsConfiguration)
                #expect(error.message.contains(path))
            }
        }
    }

    @Test func `Files of authorities are not looked at where verification is off`() throws {
        var configuration = Configuration.TLS()
        configuration.verifiesPeer = false
        configuration.caFile = "/nowhere/at/all.pem"
        _ = try TLSContext(client: configuration)
    }

    @Test func `A client certificate that is missing is an error that names it`() throws {
        let error = try failure {
            $0.verifiesPeer = false
            $0.certificateFile = "/nowhere/client.pem"
        }
        #expect(error.code == .tlsConfiguration)
        #expect(error.message.contains("/nowhere/client.pem"))
    }

    @Test func `A certificate file without its key is an error that names the key's file`() throws {
        try withFolder { folder in
            let file = folder.appendingPathComponent("only-certificate.pem")
            let server = try TLSContext(serverProtocols: ["h2"])
            let (pem, _) = try server.makeSelfSigned(names: ["localhost"], days: 1)
            try pem.write(to: file, atomically: true, encoding: .utf8)
            let error = try failure {
                $0.verifiesPeer = false
                $0.certificateFile = file.path
            }
            #expect(error.code == .tlsConfiguration)
            #expect(error.message.contains("key file '\(file.path)'"))
        }
    }

    @Test func `A throw-away certificate comes with its authority and its fingerprint`() throws {
        let context = try TLSContext(serverProtocols: ["h2"])
        #expect(context.certificateFingerprint == nil)
        let (pem, fingerprint) = try context.makeSelfSigned(names: ["localhost", "127.0.0.1", "::1"], days: 1)
        #expect(pem.hasPrefix("-----BEGIN CERTIFICATE-----"))
        #expect(fingerprint.count == 32)
        #expect(context.certificateFingerprint == fingerprint)
        let other = try TLSContext(serverProtocols: ["h2"])
        #expect(try other.makeSelfSigned(names: ["localhost"], days: 1).fingerprint != fingerprint)
    }
}
