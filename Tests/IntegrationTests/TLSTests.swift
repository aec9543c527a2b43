import H2Client
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

extension RealServers {
    @Suite(.timeLimit(.minutes(5)))
    struct TLSTests {
        /// A certificate that has to be rejected, OpenSSL's number for why, and a word that the message has to say.
        struct Bad: Sendable, CustomTestStringConvertible {
            var name: String
            var leaf: @Sendable (TestCertificates) -> TestCertificates.Leaf
            var caFile: @Sendable (TestCertificates) -> String
            var kind: H2Error.CertificateFault.Kind
            var word: String

            var testDescription: String { name }

            static let all = [
                Bad(name: "expired", leaf: \.expired, caFile: \.caFile, kind: .expired, word: "expired"),
                Bad(name: "wrong host", leaf: \.wrongHost, caFile: \.caFile, kind: .wrongHost, word: "hostname"),
                Bad(
                    name: "self-signed", leaf: \.selfSigned, caFile: \.caFile, kind: .unknownAuthority,
                    word: "self-signed"),
                Bad(
                    name: "unknown authority", leaf: \.valid, caFile: \.otherCAFile, kind: .unknownAuthority,
                    word: "issuer"),
            ]
        }

        @Test(arguments: Bad.all, [RealServer.nghttpd, .nginx])
        func `A bad certificate is rejected, and the message names the reason`(
            _ bad: Bad, _ server: RealServer
        ) async throws {
            let certificates = try TestCertificates.shared
            var options = RealServer.Options()
            options.leaf = bad.leaf(certificates)
            try await server.run(options) { running in
                var configuration = ConnectionConfiguration()
                configuration.tls.caFile = bad.caFile(certificates)
                let error = try await h2Error {
                    try await HTTP2Connection.withConnection(to: running.origin, configuration: configuration) { _ in }
                }
                #expect(error.code == .certificateRejected, "\(error)")
                #expect(error.certificateFault == bad.kind)
                #expect(error.message.contains(bad.word), "\(error)")
                #expect(!error.remedy.isEmpty)

                configuration.tls.verifiesPeer = false
                try await HTTP2Connection.withConnection(to: running.origin, configuration: configuration) {
                    connection in
                    #expect(!connection.info.isPeerVerified)
                    try await expectService(over: connection)
                }
            }
        }

        @Test
        func `An authority file may hold the root, an intermediate or the server's own certificate`() async throws {
            let certificates = try TestCertificates.shared
            var options = RealServer.Options()
            options.leaf = certificates.chained
            try await RealServer.nghttpd.run(options) { running in
                for file in [certificates.caFile, certificates.intermediateFile, certificates.chainedLeafFile] {
                    var configuration = ConnectionConfiguration()
                    configuration.tls.caFile = file
                    try await HTTP2Connection.withConnection(to: running.origin, configuration: configuration) {
                        #expect($0.info.isPeerVerified, "\(file)")
                    }
                }
                var configuration = ConnectionConfiguration()
                configuration.tls.caFile = certificates.otherCAFile
                let error = try await h2Error {
                    try await HTTP2Connection.withConnection(to: running.origin, configuration: configuration) { _ in }
                }
                #expect(error.code == .certificateRejected)
            }
        }

        @Test
        func `A client reads its authority file again when it has changed, for each new connection`() async throws {
            let certificates = try TestCertificates.shared
            let file = try TemporaryDirectory.shared.newFolder("reload") + "/ca.pem"
            try await RealServer.nghttpd.run { running in
                var configuration = HTTPClient.Configuration()
                configuration.connection.tls.caFile = file
                configuration.retry = .never
                let request = try HTTPRequest(url: "\(running.origin)/")
                try await withHTTPClient(configuration: configuration) { client in
                    func code() async -> H2Error.Code? {
                        do {
                            _ = try await client.send(request).body.discard()
                            return nil
                        } catch { return (error as? H2Error)?.code }
                    }
                    #expect(await code() == .tlsConfiguration)
                    try writeText(readText(certificates.otherCAFile), to: file)
                    #expect(await code() == .certificateRejected)
                    try writeText(readText(certificates.caFile), to: file)
                    #expect(await code() == nil)
                    unlink(file)
                    // The connection that is there stays.
                    #expect(await code() == nil)
                    client.closeIdle()
                    #expect(await code() == .tlsConfiguration)
                }
            }
        }

        @Test
        func `An address that the certificate does not name is rejected`() async throws {
            var options = RealServer.Options()
            options.leaf = try TestCertificates.shared.wrongHost
            try await RealServer.nghttpd.run(options) { running in
                let origin = try Origin(scheme: .https, host: "127.0.0.1", port: running.origin.port)
                let error = try await h2Error {
                    try await HTTP2Connection.withConnection(to: origin, configuration: running.configuration) { _ in }
                }
                #expect(error.code == .certificateRejected, "\(error)")
                #expect(error.certificateFault == .wrongHost)
            }
        }

        @Test
        func `The name to verify can be another than the one connected to`() async throws {
            var options = RealServer.Options()
            options.leaf = try TestCertificates.shared.wrongHost
            try await RealServer.nghttpd.run(options) { running in
                var configuration = try running.configuration
                configuration.tls.serverName = "elsewhere.test"
                try await HTTP2Connection.withConnection(to: running.origin, configuration: configuration) {
                    #expect($0.info.isPeerVerified)
                }
                var elsewhere = try running.configuration
                elsewhere.connectTo = .init(host: "127.0.0.1", port: try running.origin.port)
                try await HTTP2Connection.withConnection(
                    to: Origin("https://elsewhere.test"), configuration: elsewhere
                ) { connection in
                    #expect(connection.info.isPeerVerified)
                    try await expectService(over: connection)
                }
            }
        }

        @Test(arguments: RealServer.all)
        func `TLS 1.2 is spoken where 1.3 is not wanted`(_ server: RealServer) async throws {
            try await server.run { running in
                var configuration = try running.configuration
                configuration.tls.maximumVersion = .tls12
                try await HTTP2Connection.withConnection(to: running.origin, configuration: configuration) {
                    connection in
                    #expect(connection.info.tlsVersion == "TLSv1.2")
                    try await expectService(over: connection)
                }
            }
        }

        @Test
        func `A server that knows HTTP/1.1 only is told apart, and never spoken HTTP/2 to`() async throws {
            try await RealServer.nginx.run { running in
                let error = try await h2Error {
                    try await HTTP2Connection.withConnection(
                        to: running.http1Origin, configuration: running.configuration
                    ) { _ in }
                }
                #expect(error.code == .http2NotNegotiated, "\(error)")
            }
        }

        @Test(arguments: [RealServer.nghttpd, .nginx, .haproxy, .h2o, .caddy])
        func `TLS to a cleartext port fails, and so does cleartext to a TLS port`(_ server: RealServer) async throws {
            try await server.run { running in
                let cleartextPort = try Origin(scheme: .https, host: "localhost", port: running.cleartextOrigin.port)
                let tlsError = try await h2Error("TLS to a cleartext port") {
                    try await HTTP2Connection.withConnection(
                        to: cleartextPort, configuration: running.configuration
                    ) { _ in }
                }
                #expect([.tlsFailed, .connectionClosed].contains(tlsError.code), "\(tlsError)")

                let tlsPort = try Origin(scheme: .http, host: "localhost", port: running.origin.port)
                let error = try await h2Error("cleartext to a TLS port") {
                    try await HTTP2Connection.withConnection(to: tlsPort) { connection in
                        try await connection.send(.get("/small.txt")).text()
                    }
                }
                // Some answer in HTTP/1.1, some with a TLS alert, some just close.
                let codes: [H2Error.Code] = [.connectionClosed, .protocolViolation, .http2NotNegotiated, .notProcessed]
                #expect(codes.contains(error.code), "\(error)")
            }
        }

        @Test
        func `A server that answers HTTP/1.1 to cleartext HTTP/2 is named as such, whatever comes first`() async throws
        {
            try await RealServer.nginx.run { running in
                // nginx tells a client that forgot TLS so in HTTP/1.1. Whether that comes before or after the request is
                // a race, so it is run often.
                let origin = try Origin(scheme: .http, host: "localhost", port: running.http1Origin.port)
                for _ in 0..<50 {
                    let error = try await h2Error {
                        try await HTTP2Connection.withConnection(to: origin) { connection in
                            try await connection.send(.get("/small.txt")).text()
                        }
                    }
                    #expect(error.code == .http2NotNegotiated, "\(error)")
                }
            }
        }

        @Test
        func `An authority file that is missing is our own mistake`() async throws {
            try await RealServer.nghttpd.run { running in
                var configuration = ConnectionConfiguration()
                configuration.tls.caFile = try TemporaryDirectory.shared.newPath("missing.pem")
                let error = try await h2Error {
                    try await HTTP2Connection.withConnection(to: running.origin, configuration: configuration) { _ in }
                }
                #expect(error.code == .tlsConfiguration, "\(error)")
                #expect(error.message.contains("missing.pem"))
            }
        }

        @Test
        func `A port where nothing listens is a connect failure`() async throws {
            let origin = try Origin(scheme: .https, host: "localhost", port: LoopbackPort.unused())
            let error = try await h2Error { try await HTTP2Connection.withConnection(to: origin) { _ in } }
            #expect(error.code == .connectFailed, "\(error)")
            #expect(error.isRetryable)
        }
    }
}
