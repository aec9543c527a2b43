import CNghttp2
import Foundation
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct TLSContextTests {
    /// A separate folder for one test.
    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    private func failure(_ change: (inout ConnectionConfiguration.TLS) -> Void) throws -> H2Error {
        var configuration = ConnectionConfiguration.TLS()
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

    // MARK: - What the environment names

    /// A context that trusts what these variables name.
    private func context(_ variables: [String: String]) throws -> TLSContext {
        let configuration = ConnectionConfiguration.TLS()
        return try TLSContext(
            client: configuration, trusting: TrustSources(configuration) { variables[$0] })
    }

    private func authority() throws -> String {
        try TLSContext(serverProtocols: ["h2"]).makeSelfSigned(names: ["localhost"], days: 1).caPEM
    }

    /// How many authorities a context has loaded, those of hashed folders aside.
    private func count(_ context: TLSContext) -> Int {
        Int(OPENSSL_sk_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(context.context))))
    }

    @Test(arguments: ["SSL_CERT_FILE", "SSL_CERT_DIR"])
    func `What the environment names and is missing is an error that names it, never the system's trust`(
        variable: String
    ) throws {
        let error = try #require(throws: H2Error.self) { _ = try context([variable: "/nowhere/at/all"]) }
        #expect(error.code == .tlsConfiguration)
        #expect(error.message.contains("/nowhere/at/all"))
        #expect(error.message.contains(variable))
        #expect(error.message.contains("No such file"))
    }

    @Test func `Lists of files and folders in the environment are taken apart, and all of them are used`() throws {
        try withFolder { folder in
            var paths: [String] = []
            for name in ["a", "b", "c", "d"] {
                let inside = folder.appendingPathComponent(name)
                try FileManager.default.createDirectory(at: inside, withIntermediateDirectories: true)
                let file = inside.appendingPathComponent("\(name).pem")
                try authority().write(to: file, atomically: true, encoding: .utf8)
                try "not a certificate".write(
                    to: inside.appendingPathComponent("README"), atomically: true, encoding: .utf8)
                paths.append(file.path)
            }
            let folders = ["c", "d"].map { folder.appendingPathComponent($0).path }
            #expect(count(try context(["SSL_CERT_FILE": paths[0]])) == 1)
            #expect(count(try context(["SSL_CERT_FILE": paths[..<2].joined(separator: ":")])) == 2)
            #expect(count(try context(["SSL_CERT_DIR": folders.joined(separator: ":")])) == 2)
            #expect(
                count(
                    try context([
                        "SSL_CERT_FILE": paths[..<2].joined(separator: ":"),
                        "SSL_CERT_DIR": folders.joined(separator: ":"),
                    ])) == 4)
            #expect(throws: H2Error.self) { _ = try context(["SSL_CERT_FILE": paths[0] + ":/nowhere.pem"]) }
            #expect(throws: H2Error.self) { _ = try context(["SSL_CERT_DIR": folders[0] + ":/nowhere"]) }
        }
    }

    @Test func `An unhashed folder without a certificate is an error`() throws {
        try withFolder { folder in
            try "x".write(to: folder.appendingPathComponent("x.pem"), atomically: true, encoding: .utf8)
            let named = try #require(throws: H2Error.self) { _ = try context(["SSL_CERT_DIR": folder.path]) }
            #expect(named.message.contains(folder.path))
            let error = try failure { $0.caDirectory = folder.path }
            #expect(error.code == .tlsConfiguration)
        }
    }

    @Test func `An empty variable names nothing`() throws {
        _ = try context(["SSL_CERT_FILE": "", "SSL_CERT_DIR": ""])
    }

    @Test(arguments: [
        ("1d3472b9.0", true), ("1d3472b9.12", true), ("1D3472B9.0", false), ("mycertif.0", false),
        ("1d3472b9.r0", false),
        ("1d3472b9.", false), ("ca.pem", false),
    ])
    func `A hashed name is eight hexadecimal digits, a dot and a number`(name: String, isHash: Bool) {
        #expect(TrustSources.isHash(name) == isHash)
    }

    @Test func `Files of authorities are not looked at where verification is off`() throws {
        var configuration = ConnectionConfiguration.TLS()
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

    @Test func `Certificates are asked for without a final dot and without a zone`() {
        #expect(Dialer.certificateName("example.com.") == "example.com")
        #expect(Dialer.certificateName("example.com") == "example.com")
        #expect(Dialer.certificateName("fe80::1%eth0") == "fe80::1")
        #expect(Dialer.certificateName("127.0.0.1") == "127.0.0.1")
    }

    @Test(arguments: ["", ".example.com"]) func `A server name that would match any is refused`(name: String) throws {
        let context = try TLSContext(client: ConnectionConfiguration.TLS())
        #expect(
            context.makeConnection(descriptor: -1, serverName: name, isAddress: false, protocols: ["h2"]) == nil)
    }

    // MARK: - Renegotiation

    @Test func `Renegotiation is refused, and the connection goes on`() throws {
        var pair: [CInt] = [0, 0]
        #expect(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &pair) == 0)
        for descriptor in pair { ch2_set_nonblocking(descriptor) }
        let serving = try TLSContext(serverProtocols: ["h2"])
        _ = try serving.makeSelfSigned(names: ["localhost"], days: 1)
        SSL_CTX_clear_options(serving.context, 1 << 30 /* SSL_OP_NO_RENEGOTIATION */)
        let client = try TLSWire(
            descriptor: pair[0],
            context: TLSContext(client: ConnectionConfiguration.TLS(verifiesPeer: false, maximumVersion: .tls12)),
            serverName: "localhost", protocols: ["h2"])
        let server = try TLSWire(descriptor: pair[1], context: serving, serverName: nil)
        defer {
            client.close()
            server.close()
        }
        for _ in 0..<10 { _ = (client.handshake(), server.handshake()) }
        #expect(client.version == "TLSv1.2" && client.handshake() == .done)
        #expect(SSL_renegotiate(server.ssl) == 1)
        #expect(SSL_do_handshake(server.ssl) == 1)
        var buffer = [UInt8](repeating: 0, count: 64)
        let seen = buffer.withUnsafeMutableBytes { client.read(into: $0) }
        #expect(seen == .wouldBlock)
        #expect(renegotiations(client) == 0)
        // The server is told with a warning, to which it may react as it likes.
        ERR_clear_error()
        let answer = buffer.withUnsafeMutableBytes { SSL_read(server.ssl, $0.baseAddress, CInt($0.count)) }
        #expect(answer <= 0)
        #expect(reason(ERR_peek_error()) == SSL_R_NO_RENEGOTIATION)
    }
}

// OpenSSL macros.
private func renegotiations(_ wire: TLSWire) -> Int { SSL_ctrl(wire.ssl, SSL_CTRL_GET_NUM_RENEGOTIATIONS, 0, nil) }
private func reason(_ code: UInt) -> CInt { CInt(truncatingIfNeeded: code & 0x7f_ffff) }
