import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct TLSTests {
    private static let routes: [String: OriginServer.Handler] = ["/": { _ in .init(text: "hello") }]

    @Test func `Certificates, keys and authorities come from memory`() async throws {
        try await TLSServer.run { server, configuration in
            var configuration = configuration
            let companyRoot = try readText(server.authorityFile)
            let certificate = try readText(server.clientCertificateFile)
            let encryptedKey = try readText(server.clientKeyFile)
            let passphrase = server.passphrase
            // example: tls-material
            var tls = configuration.connection.tls
            tls.roots = [.pem(companyRoot)]  // in place of the system's; additionalRoots are beside them
            tls.identity = .init(certificates: .pem(certificate), privateKey: .pem(encryptedKey)) { passphrase }
            configuration.originTLS[try Origin("https://example.com")] = tls  // nobody else sees the certificate
            let client = HTTPClient(configuration: configuration)
            let page = try await client.get("https://example.com/")
            // end
            #expect(page.text.contains("CN = catalog") || page.text.contains("CN=catalog"))
        }
    }

    @Test func `Staples and lists tell that certificates are not revoked`() async throws {
        try await TLSServer.run { server, configuration in
            var configuration = configuration
            configuration.connection.tls.roots = [.file(server.authorityFile)]
            let listFile = server.listFile
            // example: tls-revocation
            configuration.connection.tls.stapling = .required  // without an OCSP staple there is no connection
            configuration.connection.tls.revocationLists = [.file(listFile)]  // read again when it changes
            let client = HTTPClient(configuration: configuration)
            let page = try await client.get("https://example.com/")
            // end
            #expect(page.status == .ok)
        }
    }

    @Test func `A verifier and pins reject certificates`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            // example: tls-verifier
            struct WrongAuthority: Error {}
            configuration.connection.tls.verifier = { chain in
                print(chain.host, chain.certificates.map(\.publicKeyPin))
                guard chain.certificates.last?.subject.contains("H2ClientTesting") == true else {
                    throw WrongAuthority()  // the connection fails with certificateRejected
                }
            }
            let client = HTTPClient(configuration: configuration)
            let page = try await client.get("https://example.com/")
            // end
            #expect(page.status == .ok)
        }
    }

    @Test func `A chain has a pinned key`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            let pins = Mutex<[String]>([])
            configuration.connection.tls.verifier = { chain in
                pins.withLock { $0 = chain.certificates.map(\.publicKeyPin) }
            }
            try await withHTTPClient(configuration: configuration) { _ = try await $0.get("https://example.com/") }
            configuration = guide.configuration
            let currentPin = pins.withLock { $0[0] }
            let backupPin = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
            // example: tls-pins
            configuration.connection.tls.pinnedKeys = [currentPin, backupPin]  // each as in "sha256//47DEQpj8HB…FU="
            let client = HTTPClient(configuration: configuration)
            let page = try await client.get("https://example.com/")
            // end
            #expect(page.status == .ok)
            configuration.connection.tls.pinnedKeys = [backupPin]
            await #expect(throws: H2Error.self) {
                try await withHTTPClient(configuration: configuration) { try await $0.get("https://example.com/") }
            }
        }
    }

    @Test func `Versions, groups and suites are chosen`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            // example: tls-offer
            configuration.connection.tls.minimumVersion = .tls13
            configuration.connection.tls.groups = "X25519:P-256"
            configuration.connection.tls.suites13 = "TLS_AES_128_GCM_SHA256"
            let client = HTTPClient(configuration: configuration)
            let info = try await client.get("https://example.com/").response.connectionInfo
            print(info.tlsVersion ?? "-", info.cipher ?? "-", info.certificateExpiry ?? "-")
            // end
            #expect(guide.printed.count == 1 && guide.printed[0].hasPrefix("TLSv1.3 TLS_AES_128_GCM_SHA256"))
        }
    }

    @Test func `Sessions are kept for the next run, and secrets for Wireshark`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            let folder = guide.folder
            // example: tls-files
            configuration.connection.tls.sessionFile = "\(folder)/sessions"  // so that the next run resumes
            configuration.connection.tls.keyLogFile = "\(folder)/keys"  // for Wireshark
            for run in 1...2 {
                try await withHTTPClient(configuration: configuration) { client in
                    let page = try await client.get("https://example.com/")
                    print("run \(run):", page.response.connectionInfo.isTLSResumed ? "resumed" : "new")
                }
            }
            // end
            #expect(guide.printed == ["run 1: new", "run 2: resumed"])
            #expect(try readText("\(folder)/keys").contains("CLIENT_TRAFFIC_SECRET"))
        }
    }
}
