import H2Platform
import H2TestSupport

/// nginx on ports of TLS, with lines of configuration that `RealServer.nginx` does not have. It shows the valid certificate.
struct TLSNginx {
    let process: ServerProcess
    /// One for each port.
    let urls: [String]

    /// - Parameters:
    ///   - listening: what each port's `listen` says after the address.
    ///   - settings: lines for all servers.
    ///   - server: the lines of the one server.
    init(listening: [String] = ["ssl http2", "ssl http2"], settings: String = "", server: String) throws {
        guard Program.path(of: "nginx") != nil else {
            try RealServer.skip("nginx is not installed (Scripts/setup test installs it)")
            throw ProcessFailure("unreachable")
        }
        let certificates = try TestCertificates.shared
        let folder = try TemporaryDirectory.shared.newFolder("nginx-tls")
        let ports = try listening.map { _ in try LoopbackPort.unused() }
        let listens = zip(ports, listening).map { "listen 127.0.0.1:\($0) \($1);" }
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        try writeText(
            """
            daemon off;
            error_log stderr notice;
            pid \(folder)/pid;
            worker_processes 1;
            events { worker_connections 64; }
            http {
                access_log off;
                \(temporary.map { "\($0)_temp_path \(folder)/\($0);" }.joined(separator: "\n    "))
                ssl_certificate \(certificates.valid.certificateFile);
                ssl_certificate_key \(certificates.valid.keyFile);
                \(settings)
                server {
                    \(listens.joined(separator: "\n        "))
                    \(server)
                }
            }
            """, to: "\(folder)/nginx.conf")
        urls = ports.map { "https://localhost:\($0)" }
        process = try ServerProcess(
            "nginx", ["-p", folder, "-c", "\(folder)/nginx.conf", "-e", "stderr"], ports: ports)
    }

    /// Starts the server, runs `body` and ends it on every exit.
    func run<R>(_ body: nonisolated(nonsending) (TLSNginx) async throws -> R) async throws -> R {
        try await process.start()
        do {
            let result = try await body(self)
            await process.stop()
            return result
        } catch {
            await process.stop()
            throw error
        }
    }
}
