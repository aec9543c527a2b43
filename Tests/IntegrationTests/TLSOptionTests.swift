import H2Client
import H2Platform
import HTTPTypes
import H2TestSupport
import Testing

extension RealServers {
    /// Staples, client certificates for one origin, and stored sessions, with common servers.
    @Suite(.timeLimit(.minutes(5)))
    struct TLSOptionTests {
        /// nginx on two ports, both of which answer with the subject of the client's certificate.
        private static func nginx(staple: String? = nil) throws -> TLSNginx {
            try TLSNginx(
                settings: staple.map { "ssl_stapling on; ssl_stapling_file \($0);" } ?? "",
                server: """
                    ssl_verify_client optional_no_ca;
                    location / { return 200 "$ssl_client_s_dn"; }
                    """)
        }

        private static var configuration: HTTPClient.Configuration {
            get throws {
                var configuration = HTTPClient.Configuration()
                configuration.connection.tls.roots = [.file(try TestCertificates.shared.caFile)]
                configuration.retry = .never
                return configuration
            }
        }

        /// The outcome of a connection to a server that staples this.
        private func check(_ url: String, _ kind: H2Error.CertificateFault.Kind?) async throws {
            let configuration = try Self.configuration.connection
            let connect = { (configuration: ConnectionConfiguration) in
                try await HTTP2Connection.withConnection(to: Origin(url), configuration: configuration) {
                    #expect($0.info.isPeerVerified)
                }
            }
            guard let kind else { return try await connect(configuration) }
            let error = try await h2Error { try await connect(configuration) }
            #expect(error.code == .certificateRejected, "\(error)")
            #expect(error.certificateFault == kind, "\(error)")
            var lax = configuration
            lax.tls.stapling = .ignored
            try await connect(lax)
        }

        private static let staples: [(staple: TestCertificates.Staple, kind: H2Error.CertificateFault.Kind?)] = [
            (.good, nil), (.revoked, .revoked), (.ofAnotherCertificate, .unknownRevocation),
        ]

        @Test(arguments: staples)
        func `A staple of nginx is believed`(
            staple: TestCertificates.Staple, kind: H2Error.CertificateFault.Kind?
        ) async throws {
            try await Self.nginx(staple: TestCertificates.shared.staple(staple)).run { nginx in
                try await check(nginx.urls[0], kind)
            }
        }

        @Test(arguments: staples, ["-tls1_2", "-tls1_3"])
        func `A staple of openssl s_server is believed`(
            _ staple: (staple: TestCertificates.Staple, kind: H2Error.CertificateFault.Kind?), version: String
        ) async throws {
            let certificates = try TestCertificates.shared
            let port = try LoopbackPort.unused()
            let process = try ServerProcess(
                "openssl",
                ["s_server", "-quiet", "-accept", "127.0.0.1:\(port)", "-cert", certificates.valid.certificateFile]
                    + ["-key", certificates.valid.keyFile, "-alpn", "h2", version, "-naccept", "100", "-status_file"]
                    + [certificates.staple(staple.staple)], ports: [port])
            try await process.start()
            do {
                let configuration = try Self.configuration.connection
                // It does not speak HTTP/2, so the connection is not used.
                let error = try? await h2Error {
                    try await HTTP2Connection.withConnection(
                        to: Origin("https://localhost:\(port)"), configuration: configuration
                    ) { _ in throw H2Error(.invalidRequest, message: "connected") }
                }
                #expect(error?.certificateFault == staple.kind, "\(String(describing: error))")
                #expect(error?.code == (staple.kind == nil ? .invalidRequest : .certificateRejected))
            }
            await process.stop()
        }

        @Test
        func `A client certificate goes to the origin that it is for, and to no other`() async throws {
            let certificates = try TestCertificates.shared
            try await Self.nginx().run { nginx in
                let urls = nginx.urls
                var configuration = try Self.configuration
                var tls = configuration.connection.tls
                tls.identity = .init(
                    certificates: .file(certificates.wrongHost.certificateFile),
                    privateKey: .file(certificates.wrongHost.keyFile))
                configuration.originTLS[try Origin(urls[0])] = tls
                configuration.pool.coalesces = true
                try await withHTTPClient(configuration: configuration) { client in
                    var seen: [String] = []
                    for url in [urls[0], urls[1], urls[0]] { seen.append(try await client.get("\(url)/").text) }
                    #expect(seen == ["CN=elsewhere.test", "", "CN=elsewhere.test"])
                }
            }
        }

        @Test
        func `A second client resumes the session that the first one has stored`() async throws {
            let file = try TemporaryDirectory.shared.newFolder("stored") + "/sessions"
            try await Self.nginx().run { nginx in
                let urls = nginx.urls
                var configuration = try Self.configuration
                configuration.connection.tls.sessionFile = file
                for expected in [0, 1, 1] {
                    let resumed = try await withHTTPClient(configuration: configuration) { client in
                        _ = try await client.get("\(urls[0])/")
                        return await client.statistics().handshakesResumed
                    }
                    #expect(resumed == expected)
                }
            }
        }

        @Test
        func `Invalid options of an origin fail its requests with their name`() async throws {
            var configuration = HTTPClient.Configuration()
            configuration.originTLS[try Origin("https://a.example")] = .init(pinnedKeys: ["nonsense"])
            try await withHTTPClient(configuration: configuration) { client in
                let error = try await h2Error { try await client.get("https://a.example/") }
                #expect(error.code == .invalidConfiguration)
                #expect(error.message.contains("pinnedKeys"))
            }
        }
    }
}
