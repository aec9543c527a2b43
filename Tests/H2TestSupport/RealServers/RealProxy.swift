public import H2Client
import H2Platform
public import Testing

/// How to start one of the proxies that Debian packages.
public struct RealProxy: Sendable, CustomTestStringConvertible {
    public let name: String
    /// The schemes that it speaks.
    public let schemes: [HTTPClient.Proxy.Scheme]
    /// Whether it requires `user` and `password`.
    public let wantsPassword: Bool
    private let commands: [String]
    private let make: @Sendable (Site) throws -> [ServerProcess]

    public static let user = "me"
    public static let password = "open sesame"

    public var testDescription: String { name }

    /// The input for a definition's configuration.
    private struct Site: Sendable {
        var folder: String
        var leaf: TestCertificates.Leaf
        var port: Int
        var backend: Int
    }

    /// A proxy that runs on loopback for one test.
    public struct Running: Sendable {
        public let port: Int
        fileprivate let process: ServerProcess

        /// Kills it, as a crash would.
        public func crash() async { await process.crash() }
    }

    /// Starts the proxy, runs `body`, and ends the proxy on every exit. If it is not installed, the test is skipped.
    public func run<R>(_ body: nonisolated(nonsending) (Running) async throws -> R) async throws -> R {
        for command in commands where Program.path(of: command) == nil {
            try RealServer.skip("\(command) is not installed (Scripts/setup test installs it)")
        }
        let site = Site(
            folder: try TemporaryDirectory.shared.newFolder("proxy", mode: 0o777),
            leaf: try TestCertificates.shared.valid, port: try LoopbackPort.unused(),
            backend: try LoopbackPort.unused())
        let processes = try make(site)
        do {
            // A backend is started first.
            for process in processes { try await process.start() }
            guard let process = processes.last else { throw ProcessFailure("\(name) has no process") }
            let result = try await body(Running(port: site.port, process: process))
            for process in processes.reversed() { await process.stop() }
            return result
        } catch {
            for process in processes.reversed() { await process.stop() }
            throw error
        }
    }

    /// The proxy in the form that a client uses.
    public func proxy(
        _ scheme: HTTPClient.Proxy.Scheme, port: Int, password: String = RealProxy.password
    ) throws -> HTTPClient.Proxy {
        try HTTPClient.Proxy(
            scheme, host: "localhost", port: port, user: wantsPassword ? Self.user : nil,
            password: wantsPassword ? password : nil)
    }
}

extension RealProxy {
    public static let squid = RealProxy(
        name: "squid", schemes: [.http], wantsPassword: true, commands: ["squid", "openssl"]
    ) { site in [try squid(site, port: site.port)] }

    private static func squid(_ site: Site, port: Int) throws -> ServerProcess {
        let hash = try Program.run("openssl", ["passwd", "-apr1", password]).filter { $0 != "\n" }
        try writeText("\(user):\(hash)\n", to: "\(site.folder)/passwords")
        try writeText(
            """
            http_port 127.0.0.1:\(port)
            visible_hostname localhost
            auth_param basic program /usr/lib/squid/basic_ncsa_auth \(site.folder)/passwords
            auth_param basic children 1
            acl users proxy_auth REQUIRED
            acl forbidden port 1
            http_access deny forbidden
            http_access allow users
            http_access deny all
            pid_filename none
            cache_log \(site.folder)/cache.log
            access_log none
            cache deny all
            coredump_dir \(site.folder)
            shutdown_lifetime 0 seconds
            pinger_enable off
            """, to: "\(site.folder)/squid.conf")
        return try ServerProcess("squid", ["-N", "-f", "\(site.folder)/squid.conf"], ports: [port])
    }

    public static let tinyproxy = RealProxy(
        name: "tinyproxy", schemes: [.http], wantsPassword: false, commands: ["tinyproxy"]
    ) { site in
        try writeText(
            """
            Port \(site.port)
            Listen 127.0.0.1
            Timeout 60
            LogLevel Warning
            LogFile "\(site.folder)/log"
            Allow 127.0.0.1
            """, to: "\(site.folder)/tinyproxy.conf")
        return [try ServerProcess("tinyproxy", ["-d", "-c", "\(site.folder)/tinyproxy.conf"], ports: [site.port])]
    }

    /// An HTTPS proxy that speaks HTTP/2 and HTTP/1.1, in front of squid, which makes the connections.
    public static let nghttpx = RealProxy(
        name: "nghttpx", schemes: [.https], wantsPassword: true, commands: ["nghttpx", "squid", "openssl"]
    ) { site in
        [
            try squid(site, port: site.backend),
            try ServerProcess(
                "nghttpx",
                [
                    "--http2-proxy", "--conf=/dev/null", "--frontend=127.0.0.1,\(site.port)",
                    "--backend=127.0.0.1,\(site.backend)", "--no-ocsp", "--workers=1", site.leaf.keyFile,
                    site.leaf.certificateFile,
                ], ports: [site.port]),
        ]
    }

    /// An HTTPS proxy that speaks HTTP/2 and HTTP/1.1, in front of squid.
    public static let haproxy = haproxy("haproxy", protocols: "h2,http/1.1")
    /// An HTTPS proxy that speaks HTTP/1.1, in front of squid.
    public static let haproxyHTTP1 = haproxy("haproxy with HTTP/1.1", protocols: "http/1.1")

    private static func haproxy(_ name: String, protocols: String) -> RealProxy {
        RealProxy(
            name: name, schemes: [.https], wantsPassword: true, commands: ["haproxy", "squid", "openssl"]
        ) { site in
            try writeText(
                readText(site.leaf.certificateFile) + readText(site.leaf.keyFile), to: "\(site.folder)/both.pem")
            try writeText(
                """
                global
                    maxconn 512
                    nbthread 1
                defaults
                    mode http
                    timeout connect 5s
                    timeout client 60s
                    timeout server 60s
                    timeout tunnel 60s
                frontend all
                    bind 127.0.0.1:\(site.port) ssl crt \(site.folder)/both.pem alpn \(protocols)
                    default_backend squid
                backend squid
                    server squid 127.0.0.1:\(site.backend)

                """, to: "\(site.folder)/haproxy.cfg")
            return [
                try squid(site, port: site.backend),
                try ServerProcess("haproxy", ["-db", "-f", "\(site.folder)/haproxy.cfg"], ports: [site.port]),
            ]
        }
    }

    public static let dante = RealProxy(
        name: "dante", schemes: [.socks4, .socks5, .socks5h], wantsPassword: false, commands: ["danted"]
    ) { site in
        try writeText(
            """
            logoutput: stderr
            internal: 127.0.0.1 port = \(site.port)
            external: lo
            clientmethod: none
            socksmethod: none
            user.privileged: \(getuid() == 0 ? "root" : "nobody")
            user.unprivileged: nobody
            client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
            socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
            """, to: "\(site.folder)/danted.conf")
        return [
            try ServerProcess(
                "danted", ["-N", "1", "-f", "\(site.folder)/danted.conf", "-p", "\(site.folder)/pid"],
                ports: [site.port])
        ]
    }

    public static let microsocks = RealProxy(
        name: "microsocks", schemes: [.socks5, .socks5h], wantsPassword: true, commands: ["microsocks"]
    ) { site in
        [
            try ServerProcess(
                "microsocks", ["-i", "127.0.0.1", "-p", "\(site.port)", "-u", user, "-P", password], ports: [site.port])
        ]
    }

    /// `ssh -D`, which speaks SOCKS 4A and 5, to its own sshd.
    public static let ssh = RealProxy(
        name: "ssh", schemes: [.socks4, .socks4a, .socks5, .socks5h], wantsPassword: false,
        commands: ["ssh", "sshd", "ssh-keygen"]
    ) { site in
        let folder = site.folder
        for key in ["host", "user"] {
            try Program.run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", "\(folder)/\(key)"])
        }
        // sshd does not run without it, wherever it is configured.
        mkdir("/run/sshd", 0o755)
        let server = [
            "-D", "-e", "-p", "\(site.backend)", "-h", "\(folder)/host", "-f", "/dev/null", "-o",
            "ListenAddress=127.0.0.1", "-o", "AuthorizedKeysFile=\(folder)/user.pub", "-o", "StrictModes=no", "-o",
            "UsePAM=no", "-o", "PidFile=none",
        ]
        let client = [
            "-N", "-D", "127.0.0.1:\(site.port)", "-p", "\(site.backend)", "-i", "\(folder)/user", "-F", "/dev/null",
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "127.0.0.1",
        ]
        return [
            // It executes itself again for each connection, by its full path.
            try ServerProcess("sshd", server, ports: [site.backend]),
            try ServerProcess("ssh", client, ports: [site.port]),
        ]
    }

    /// All of them, each with all of its schemes.
    public static let all: [(RealProxy, HTTPClient.Proxy.Scheme)] = [
        squid, tinyproxy, nghttpx, haproxy, haproxyHTTP1, dante, microsocks, ssh,
    ].flatMap { proxy in proxy.schemes.map { (proxy, $0) } }
}
