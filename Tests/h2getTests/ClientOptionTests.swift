import Foundation
import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@testable import h2get

/// The options for redirects, credentials, cookies, proxies, the local end and TLS.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct ClientOptionTests {
    private func settings(_ arguments: String...) throws -> FetchSettings {
        try FetchSettings(parsed(.fetch, arguments + ["https://localhost/"]))
    }

    @Test func `Options become the client's configuration`() throws {
        let plain = try settings().clientConfiguration()
        #expect(plain.redirects.limit == 0 && plain.cookies == nil && plain.authentication == nil)
        #expect(!plain.contentDecoding.isEnabled && plain.strictTransport == nil)
        #expect(try settings("-H", "Cookie: a=1", "-b", "b=2").fields[.cookie] == "a=1")
        let redirects = try settings("-L", "--post302").clientConfiguration().redirects
        #expect(redirects.limit == 50 && redirects.methodKeepingStatuses == [.found] && redirects.allowsDowngrade)
        #expect(!redirects.sendsCredentialsElsewhere)
        #expect(try settings("-L", "--max-redirs", "-1").redirects.limit == .max)
        #expect(try settings("--location-trusted").redirects.sendsCredentialsElsewhere)
        #expect(try settings("--compressed").clientConfiguration().contentDecoding.isEnabled)
        #expect(try settings("-c", "jar").clientConfiguration().cookies != nil)
        #expect(try settings("--hsts", "").clientConfiguration().strictTransport != nil)
        let tls = try settings(
            "--tlsv1.3", "--curves", "X25519", "--sigalgs", "ECDSA+SHA256", "--pinnedpubkey",
            "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "--cert-status", "--ssl-sessions", "s",
            "--tls-earlydata"
        ).clientConfiguration().connection.tls
        #expect(tls.minimumVersion == .tls13 && tls.groups == "X25519" && tls.signatureAlgorithms == "ECDSA+SHA256")
        #expect(tls.pinnedKeys.count == 1 && tls.stapling == .required && tls.sessionFile == "s" && tls.sendsEarlyData)
        #expect(try settings("--tls-max", "1.2").tls.maximumVersion == .tls12)
        let local = try settings(
            "-4", "--interface", "127.0.0.2", "--local-port", "40000-40010", "--ip-tos", "184",
            "--happy-eyeballs-timeout-ms", "100", "--keepalive-cnt", "3"
        ).clientConfiguration().connection
        #expect(
            local.local.family == .ipv4 && local.local.address == "127.0.0.2" && local.local.ports == 40_000...40_010)
        #expect(local.local.trafficClass == 184 && local.timeouts.connectionAttemptDelay == .milliseconds(100))
        #expect(local.tcpKeepAlive?.count == 3)
        #expect(try settings("--interface", "if!lo").local.interface == "lo")
        let silent = try settings("--no-keepalive").clientConfiguration().connection
        #expect(silent.keepAlive.interval == nil && silent.tcpKeepAlive == nil)
        #expect(try settings("--unix-socket", "/tmp/s").clientConfiguration().connection.unixSocketPath == "/tmp/s")
    }

    @Test(
        arguments: [
            (["--max-redirs", "3"], "give -L"), (["--post301"], "give -L"),
            (["-L", "--max-redirs", "many"], "whole number"),
            (["--digest", "--basic", "-u", "a:b"], "cannot be combined"), (["-u", "ada"], "USER:PASSWORD"),
            (["-u", "a:b", "--oauth2-bearer", "t"], "cannot be combined"), (["-j"], "-b FILE"),
            (["-b", "a=\u{1}"], "control character"), (["-u", "a:\u{1}"], "control character"),
            (["--oauth2-bearer", "a b"], "cannot be sent"), (["-U", "a:b"], "name it with -x"),
            (["--proxy-insecure"], "name it with -x"), (["-x", "ftp://p"], "names no proxy"),
            (["-x", "p:1", "--proxy-key", "k"], "--proxy-cert"),
            (["-x", "p:1", "--proxy-basic", "--proxy-digest"], "cannot be combined"),
            (["--tlsv1.3", "--tls-max", "1.2"], "no version"), (["--tls-max", "1.1"], "use 1.2, 1.3"),
            (["--pinnedpubkey", "md5//x"], "sha256//"), (["--pass", "x"], "--cert"),
            (["--local-port", "0"], "write a port"), (["--local-port", "5-4"], "write a port"),
            (["--interface", "nonsense0"], "no interface"), (["--interface", "host!name"], "not an address"),
            (["--ip-tos", "256"], "0 to 255"), (["--unix-socket", "/s", "--interface", "lo"], "leave out --interface"),
            (["--no-keepalive", "--keepalive-time", "5"], "leave out"),
            (["--tls-earlydata", "--tls-max", "1.2"], "1.3"),
            (["-b", "-", "-d", "@-"], "both read stdin"), (["--digest", "--oauth2-bearer", "t"], "leave one out"),
            (["--unix-socket", "/s", "--socks5", "h"], "leave out --socks5"),
            (["-x", "", "-U", "a:b"], "name it with -x"), (["--key-type", "DER"], "goes with --cert"),
            (["--cert", "c", "--cert-type", "P12"], "use PEM or DER"),
            (["--cert", "c", "--cert-type", "der"], "give --key FILE"),
            (["-x", "p:1", "--proxy-header", "nonsense"], "write 'Name: value'"),
            (["-x", "p:1", "--proxy-header", "Connection: close"], "leave it out"),
        ] as [([String], String)])
    func `What makes no sense is refused with what to do`(_ arguments: [String], _ message: String) {
        let failure = #expect(throws: Failure.self) {
            _ = try FetchSettings(parsed(.fetch, arguments + ["https://localhost/"]))
        }
        #expect(failure?.status == .usage && failure?.message.contains(message) == true, "\(failure?.message ?? "")")
    }

    @Test func `A file that cannot be read has curl's exit code`() throws {
        for (option, status) in [
            ("--crlfile", ExitReason.revocationFile), ("--netrc-file", .readFailed), ("--proxy-cacert", .authorityFile),
            ("--proxy-cert", .clientCertificate),
        ] {
            let failure = #expect(throws: Failure.self) { _ = try settings(option, "/absent", "-x", "p:1") }
            #expect(failure?.status == status, "\(option)")
        }
    }

    @Test func `A pin that does not match is 90, and one that does fetches`() async throws {
        let served = try Served()
        let pin = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        let wrong = try await served.get("--pinnedpubkey", pin, served.url("/bytes/1"))
        #expect(wrong.status == 90, "\(wrong.errors)")
        let key = try await Program.runShell(
            """
            openssl s_client -connect localhost:\(served.origin.port) < /dev/null 2> /dev/null |
                openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary |
                openssl base64 > pin
            """, in: served.folder.root)
        #expect(key == 0)
        let text = try served.folder.read("pin").split(separator: "\n")[0]
        let right = try await served.get("--pinnedpubkey", "\(pin);sha256//\(text)", served.url("/bytes/1"))
        #expect(right.status == 0, "\(right.errors)")
    }

    @Test func `A Digest is proved, for the URL's own user too`() async throws {
        // A list of one challenge: the second request has the proof.
        let served = try Served { configuration in
            configuration.routes["/digest"] = { request in
                let proof = request.headerFields[.authorization] ?? ""
                guard proof.hasPrefix("Digest "), proof.contains("username=\"ada\""), proof.contains("nonce=\"n1\"")
                else {
                    return .init(
                        status: .unauthorized,
                        headerFields: [
                            .wwwAuthenticate: "Digest realm=\"r\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256"
                        ])
                }
                return .init(text: "welcome")
            }
        }
        let url = served.url("/digest")
        for arguments in [
            ["--digest", "-u", "ada:x", url], ["--anyauth", "-u", "ada:x", url],
            ["--digest", url.replacing("https://", with: "https://ada:x@")],
        ] {
            let result = try await served.get(arguments)
            #expect(result.text == "welcome", "\(arguments): \(result.errors)")
        }
    }

    @Test func `Sessions and HSTS are kept in files, and a jar that cannot be written is 23`() async throws {
        let served = try Served { configuration in
            configuration.routes["/hsts"] = { _ in
                .init(headerFields: [HTTPField.Name("strict-transport-security")!: "max-age=1000"], body: [])
            }
        }
        let sessions = served.folder.path("sessions")
        for _ in 0..<2 {
            let result = try await served.get(
                "-v", "--ssl-sessions", sessions, "--hsts", served.folder.path("hsts"), served.url("/hsts"))
            #expect(result.status == 0, "\(result.errors)")
        }
        #expect(served.folder.names.contains("sessions"))
        let third = try await served.get("-v", "--ssl-sessions", sessions, served.url("/hsts"))
        #expect(third.errors.contains("session resumed"), "\(third.errors)")
        #expect(try served.folder.read("hsts").contains("localhost"))
        // The port is that of TLS, so only a host's name leads there.
        let upgraded = try await served.get(
            "-v", "--hsts", served.folder.path("hsts"), served.url("/hsts").replacing("https:", with: "http:"))
        #expect(upgraded.status == 0, "\(upgraded.errors)")
        let jar = try await served.get("-c", "absent/jar", served.url("/bytes/1"))
        #expect(jar.status == 23 && jar.errors.contains("(-c)"), "\(jar.errors)")
    }

    @Test func `A redirect to a dead host does not give up the URL's own`() async throws {
        let dead = try closedPort()
        let served = try Served { configuration in
            configuration.routes["/away"] = { _ in
                .init(status: .found, headerFields: [.location: "https://localhost:\(dead)/"])
            }
        }
        let result = try await served.get(
            "-L", "--parallel-max", "1", served.url("/away"), served.url("/bytes/3"), "-o", "a", "-o", "b")
        #expect(result.status == 7, "\(result.errors)")
        #expect(served.files == ["b"], "\(served.files)")
    }

    @Test func `Devices are written to, and not replaced`() async throws {
        let served = try Served { configuration in
            configuration.routes["/tag"] = { _ in
                .init(headerFields: [.eTag: "\"a\"", .setCookie: "a=1"], body: Array("body".utf8))
            }
        }
        for option in ["--etag-save", "-c"] {
            let result = try await served.get(option, "/dev/null", served.url("/tag"))
            #expect(result.status == 0 && result.text == "body", "\(option): \(result.errors)")
            #expect(
                try FileManager.default.attributesOfItem(atPath: "/dev/null")[.type] as? FileAttributeType
                    == .typeCharacterSpecial)
        }
    }

    @Test func `A redirect leads only where --proto allows`() async throws {
        let served = try Served { configuration in
            configuration.routes["/down"] = { _ in
                .init(status: .found, headerFields: [.location: "http://localhost:1/"])
            }
        }
        let result = try await served.get("-L", "--proto", "=https", served.url("/down"))
        #expect(result.status == 47 && result.errors.contains("--proto"), "\(result.errors)")
    }

    @Test func `-i shows the heads of redirects, too`() async throws {
        let served = try Served { configuration in
            configuration.routes["/to"] = { _ in .init(status: .found, headerFields: [.location: "/bytes/1"]) }
        }
        for version in ["--http1.1", "--http2"] {
            let result = try await served.get("-L", "-I", version, served.url("/to"))
            let statuses = result.text.split(separator: "\r\n").filter { $0.hasPrefix("HTTP/") }
            #expect(statuses.count == 2, "\(result.text)")
        }
    }
}
