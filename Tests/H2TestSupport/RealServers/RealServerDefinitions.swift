import H2Platform

extension RealServer {
    /// Every server of files that speaks HTTP/2.
    public static let all = [nghttpd, nginx, apache2, h2o, haproxy, caddy]

    /// Every server that speaks HTTP/1.1, of files and Python's.
    public static let http1 = (all + python).filter { $0.endpoints.contains(.http1TLS) }

    /// nghttp2's own server.
    public static let nghttpd = RealServer(
        name: "nghttpd", command: "nghttpd", upload: .echo, fixedStreamLimit: nil, sendsTrailers: true,
        gracefulSignal: nil,
        outlivesGracefulSignal: false,
        endpoints: [.http2TLS, .http2Cleartext, .http2OnlyTLS], obeys: []
    ) { site in
        // One process serves one port.
        let common = [
            "--address=127.0.0.1", "--htdocs=\(site.root)", "--echo-upload", "--trailer=x-trailer: yes",
            "--max-concurrent-streams=\(site.streamLimit)",
        ]
        return [
            try ServerProcess("nghttpd", common + ["--no-tls", "\(site.cleartext)"], ports: [site.cleartext]),
            try ServerProcess(
                "nghttpd", common + ["\(site.tls)", site.leaf.keyFile, site.leaf.certificateFile], ports: [site.tls]),
        ]
    }

    /// nginx, with WebDAV's PUT. `/slow/NAME` is a file at 40 KiB a second, `/coded/NAME` one that is sent compressed (as with
    /// h2o and Caddy) where the client allows it, and `/connection` tells the number of the
    /// connection and how many requests it has served, as `12 3`.
    public static let nginx = RealServer(
        name: "nginx", command: "nginx", upload: .put, fixedStreamLimit: nil, sendsTrailers: false,
        gracefulSignal: SIGHUP,
        outlivesGracefulSignal: true,
        endpoints: [.http2TLS, .http1TLS, .http2Cleartext, .http1Cleartext, .http1OnlyTLS],
        obeys: [.keepAliveSeconds, .requestsPerConnection, .refusal]
    ) { site in
        let requests: (zone: String, limit: String) =
            switch site.options.refusal?.above {
            case .requestsPerSecond(let rate, let burst):
                (
                    "limit_req_zone all zone=refusal:1m rate=\(rate)r/s;",
                    "limit_req zone=refusal burst=\(burst) nodelay;"
                )
            case .requestsAtATime(let count):
                ("limit_conn_zone all zone=refusal:1m;", "limit_conn refusal \(count);")
            case nil: ("", "")
            }
        let refused = site.options.refusal?.status ?? 503
        try writeText(
            """
            daemon off;
            error_log stderr notice;
            pid \(site.folder)/pid;
            worker_processes 1;
            worker_shutdown_timeout 30s;
            events { worker_connections 512; }
            http {
                access_log off;
                default_type application/octet-stream;
                client_body_temp_path \(site.folder)/body;
                proxy_temp_path \(site.folder)/proxy;
                fastcgi_temp_path \(site.folder)/fastcgi;
                uwsgi_temp_path \(site.folder)/uwsgi;
                scgi_temp_path \(site.folder)/scgi;
                client_max_body_size 0;
                keepalive_requests \(site.options.requestsPerConnection ?? 100_000);
                keepalive_timeout \(site.options.keepAliveSeconds ?? 75);
                \(requests.zone)
                limit_req_status \(refused);
                limit_req_log_level info;
                limit_conn_status \(refused);
                limit_conn_log_level info;
                map $status $retry_after { \(refused) \(site.options.refusal?.retryAfterSeconds ?? 1); default ""; }
                http2_max_concurrent_streams \(site.streamLimit);
                ssl_protocols TLSv1.2 TLSv1.3;
                ssl_certificate \(site.leaf.certificateFile);
                ssl_certificate_key \(site.leaf.keyFile);
                server {
                    listen 127.0.0.1:\(site.tls) ssl http2;
                    listen 127.0.0.1:\(site.cleartext) http2;
                    listen 127.0.0.1:\(site.http1) ssl;
                    listen 127.0.0.1:\(site.http1Cleartext);
                    root \(site.root);
                    add_header Retry-After $retry_after always;
                    \(requests.limit)
                    location = /connection { return 200 "$connection $connection_requests"; }
                    location /slow/ { alias \(site.root)/; limit_rate 40k; }
                    location /coded/ { alias \(site.root)/; gzip on; gzip_types *; }
                    location /up/ { alias \(site.uploads)/; dav_methods PUT DELETE; }
                }
            }
            """, to: "\(site.folder)/nginx.conf")
        return [
            try ServerProcess(
                "nginx", ["-p", site.folder, "-c", "\(site.folder)/nginx.conf", "-e", "stderr"],
                ports: [site.tls, site.cleartext, site.http1, site.http1Cleartext])
        ]
    }

    /// Apache httpd with mod_http2, and WebDAV's PUT. `/basic`, `/digest` and `/digest-2s`, whose nonces last for two seconds,
    /// have the files for the user `ada` with the password `open sesame`; `/digest-up` takes uploads from her.
    public static let apache2 = RealServer(
        name: "apache2", command: "apache2", upload: .put, fixedStreamLimit: nil, sendsTrailers: false,
        gracefulSignal: SIGUSR1,
        outlivesGracefulSignal: true,
        endpoints: [.http2TLS, .http1TLS, .http2Cleartext, .http1Cleartext, .http1OnlyTLS],
        obeys: [.keepAliveSeconds, .requestsPerConnection]
    ) { site in
        for (folder, mode) in [("run", 0o755), ("lock", 0o777)] as [(String, mode_t)] {
            mkdir("\(site.folder)/\(folder)", 0o755)
            chmod("\(site.folder)/\(folder)", mode)
        }
        let modules = [
            "mpm_event", "authz_core", "authz_user", "authn_core", "authn_file", "auth_basic", "auth_digest", "ssl",
            "http2", "dav", "dav_fs", "alias", "mime",
        ]
        .map { "LoadModule \($0)_module /usr/lib/apache2/modules/mod_\($0).so" }
        // SHA-1 of the password, and MD5 of `ada:digest:` and the password.
        try writeText("ada:{SHA}W8r/fyL/UzygmbNAjq2HbA67qac=\n", to: "\(site.folder)/htpasswd")
        try writeText("ada:digest:32877ca7e6fe168f06d8e2984efc1f40\n", to: "\(site.folder)/htdigest")
        let digest = """
            AuthType Digest
                AuthName digest
                AuthDigestProvider file
                AuthUserFile \(site.folder)/htdigest
                Require valid-user
            """
        try writeText(
            """
            ServerRoot \(site.folder)
            PidFile \(site.folder)/run/pid
            DefaultRuntimeDir \(site.folder)/run
            Mutex file:\(site.folder)/run default
            ErrorLog /dev/stderr
            LogLevel warn
            ServerName localhost
            \(modules.joined(separator: "\n"))
            \(site.isRoot ? "User nobody\nGroup nogroup" : "")
            TypesConfig /dev/null
            ServerLimit 4
            StartServers 1
            ThreadsPerChild 16
            ThreadLimit 16
            MaxRequestWorkers 64
            MinSpareThreads 1
            MaxSpareThreads 64
            GracefulShutdownTimeout 30
            KeepAlive On
            KeepAliveTimeout \(site.options.keepAliveSeconds ?? 5)
            MaxKeepAliveRequests \(site.options.requestsPerConnection ?? 0)
            Timeout 30
            SSLSessionCache none
            LimitRequestBody 0
            DavLockDB \(site.folder)/lock/db
            H2MaxSessionStreams \(site.streamLimit)
            DocumentRoot \(site.root)
            <Directory />
                Require all granted
            </Directory>
            Alias /up \(site.uploads)
            <Location /up>
                Dav On
            </Location>
            Alias /basic \(site.root)
            <Location /basic>
                AuthType Basic
                AuthName basic
                AuthBasicProvider file
                AuthUserFile \(site.folder)/htpasswd
                Require valid-user
            </Location>
            Alias /digest-up \(site.uploads)
            Alias /digest-2s \(site.root)
            Alias /digest \(site.root)
            <LocationMatch "^/digest/">
                \(digest)
            </LocationMatch>
            <LocationMatch "^/digest-up/">
                Dav On
                \(digest)
            </LocationMatch>
            <LocationMatch "^/digest-2s/">
                AuthDigestNonceLifetime 2
                \(digest)
            </LocationMatch>
            Listen 127.0.0.1:\(site.tls)
            <VirtualHost *:\(site.tls)>
                SSLEngine on
                SSLCertificateFile \(site.leaf.certificateFile)
                SSLCertificateKeyFile \(site.leaf.keyFile)
                Protocols h2 http/1.1
            </VirtualHost>
            Listen 127.0.0.1:\(site.cleartext)
            <VirtualHost *:\(site.cleartext)>
                Protocols h2c http/1.1
            </VirtualHost>
            Listen 127.0.0.1:\(site.http1)
            <VirtualHost *:\(site.http1)>
                SSLEngine on
                SSLCertificateFile \(site.leaf.certificateFile)
                SSLCertificateKeyFile \(site.leaf.keyFile)
                Protocols http/1.1
            </VirtualHost>
            Listen 127.0.0.1:\(site.http1Cleartext)
            <VirtualHost *:\(site.http1Cleartext)>
                Protocols http/1.1
            </VirtualHost>

            """, to: "\(site.folder)/httpd.conf")
        return [
            try ServerProcess(
                "apache2", ["-f", "\(site.folder)/httpd.conf", "-DFOREGROUND"],
                ports: [site.tls, site.cleartext, site.http1, site.http1Cleartext])
        ]
    }

    /// h2o, whose announced 100 streams are not an option; a few lines of mruby echo uploads.
    public static let h2o = RealServer(
        name: "h2o", command: "h2o", upload: .echo, fixedStreamLimit: 100, sendsTrailers: false,
        gracefulSignal: SIGTERM,
        outlivesGracefulSignal: false,
        endpoints: [.http2TLS, .http1TLS, .http2Cleartext, .http1Cleartext], obeys: [.keepAliveSeconds]
    ) { site in
        try writeText(
            """
            \(site.isRoot ? "user: root" : "")
            error-log: /dev/stderr
            num-threads: 1
            http2-graceful-shutdown-timeout: 300
            limit-request-body: 1073741824
            http1-request-timeout: \(site.options.keepAliveSeconds ?? 60)
            http2-idle-timeout: \(site.options.keepAliveSeconds ?? 60)
            listen:
              host: 127.0.0.1
              port: \(site.tls)
              ssl:
                certificate-file: \(site.leaf.certificateFile)
                key-file: \(site.leaf.keyFile)
                ocsp-update-interval: 0
            listen:
              host: 127.0.0.1
              port: \(site.cleartext)
            listen:
              host: 127.0.0.1
              port: \(site.http1Cleartext)
            hosts:
              default:
                paths:
                  /:
                    file.dir: \(site.root)
                  /coded:
                    file.dir: \(site.root)
                    compress: ON
                  /echo:
                    mruby.handler: |
                      Proc.new do |env|
                        body = env["rack.input"] ? env["rack.input"].read : ""
                        [200, {"content-type" => "application/octet-stream"}, [body]]
                      end

            """, to: "\(site.folder)/h2o.conf")
        // SIGTERM would wait for connections.
        return [
            try ServerProcess(
                "h2o", ["-c", "\(site.folder)/h2o.conf"], ports: [site.tls, site.cleartext, site.http1Cleartext],
                stopSignal: SIGKILL)
        ]
    }

    /// HAProxy, which speaks HTTP/2 on both sides here, before nghttpd.
    public static let haproxy = RealServer(
        name: "haproxy", command: "haproxy", upload: .echo, fixedStreamLimit: nil, sendsTrailers: true,
        gracefulSignal: SIGUSR1,
        outlivesGracefulSignal: false,
        endpoints: [.http2TLS, .http1TLS, .http2Cleartext, .http1Cleartext, .http1OnlyTLS, .http2OnlyTLS],
        obeys: [.keepAliveSeconds]
    ) { site in
        // HAProxy reads a certificate and its key from one file, and OpenSSL from the file of either name.
        try writeText(
            try readText(site.leaf.certificateFile) + readText(site.leaf.keyFile), to: "\(site.folder)/both.pem")
        try writeText(
            """
            global
                maxconn 512
                nbthread 1
                hard-stop-after 30s
                tune.h2.max-concurrent-streams \(site.streamLimit)
            defaults
                mode http
                timeout connect 5s
                timeout client 60s
                timeout server 60s
                timeout http-keep-alive \(site.options.keepAliveSeconds ?? 60)s
            frontend all
                bind 127.0.0.1:\(site.tls) ssl crt \(site.folder)/both.pem alpn h2,http/1.1
                bind 127.0.0.1:\(site.cleartext) proto h2
                bind 127.0.0.1:\(site.http1) ssl crt \(site.folder)/both.pem alpn http/1.1
                bind 127.0.0.1:\(site.http1Cleartext) proto h1
                bind 127.0.0.1:\(site.http2Only) ssl crt \(site.folder)/both.pem alpn h2 proto h2
                default_backend files
            backend files
                server nghttpd 127.0.0.1:\(site.backend) proto h2

            """, to: "\(site.folder)/haproxy.cfg")
        return [
            try backend(site),
            try ServerProcess(
                "haproxy", ["-db", "-f", "\(site.folder)/haproxy.cfg"],
                ports: [site.tls, site.cleartext, site.http1, site.http1Cleartext, site.http2Only]),
        ]
    }

    /// Caddy, so Go's HTTP/2 with its 250 streams; uploads go on to nghttpd.
    public static let caddy = RealServer(
        name: "caddy", command: "caddy", upload: .echo, fixedStreamLimit: 250, sendsTrailers: false,
        gracefulSignal: SIGTERM,
        outlivesGracefulSignal: false,
        endpoints: [.http2TLS, .http1TLS, .http2Cleartext, .http1Cleartext, .http1OnlyTLS], obeys: [.keepAliveSeconds]
    ) { site in
        try writeText(
            """
            {
                admin off
                auto_https off
                skip_install_trust
                grace_period 30s
                default_bind 127.0.0.1
                servers {
                    protocols h1 h2 h2c
                    timeouts {
                        idle \(site.options.keepAliveSeconds ?? 300)s
                    }
                }
                servers 127.0.0.1:\(site.http1) {
                    protocols h1
                    timeouts {
                        idle \(site.options.keepAliveSeconds ?? 300)s
                    }
                }
            }
            (files) {
                root * \(site.root)
                handle /echo* {
                    reverse_proxy h2c://127.0.0.1:\(site.backend)
                }
                handle_path /coded/* {
                    encode zstd gzip
                    file_server
                }
                handle {
                    file_server
                }
            }
            :\(site.tls) {
                tls \(site.leaf.certificateFile) \(site.leaf.keyFile)
                import files
            }
            :\(site.http1) {
                tls \(site.leaf.certificateFile) \(site.leaf.keyFile)
                import files
            }
            :\(site.cleartext) {
                import files
            }
            :\(site.http1Cleartext) {
                import files
            }

            """, to: "\(site.folder)/Caddyfile")
        // Caddy keeps state in the home folder, and SIGTERM would wait for connections.
        return [
            try backend(site),
            try ServerProcess(
                "caddy", ["run", "--config", "\(site.folder)/Caddyfile", "--adapter", "caddyfile"],
                environment: ["HOME": site.folder, "XDG_DATA_HOME": site.folder, "XDG_CONFIG_HOME": site.folder],
                ports: [site.tls, site.cleartext, site.http1, site.http1Cleartext], stopSignal: SIGQUIT),
        ]
    }

    private static func backend(_ site: Site) throws -> ServerProcess {
        try ServerProcess(
            "nghttpd",
            ["--address=127.0.0.1", "--htdocs=\(site.root)", "--echo-upload", "--trailer=x-trailer: yes", "--no-tls"]
                + ["--max-concurrent-streams=1000", "\(site.backend)"],
            ports: [site.backend])
    }
}
