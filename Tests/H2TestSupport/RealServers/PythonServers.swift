import H2Platform

/// A small Flask application, and what it needs to run behind Python's servers.
///
/// Its routes, of which `PythonApplication.bytes` tells the second:
/// - GET `/small.txt`: `abc`.
/// - GET `/bytes/N`: N bytes, with a Content-Length.
/// - GET `/chunks/N/SIZE`: N pieces of SIZE letters, `aaabbb…`; chunked where the server speaks HTTP/1.1 and does not wait
///   for the whole (gunicorn).
/// - POST `/echo`: the body comes back.
/// - GET `/delay/MS`: the number, that many milliseconds later.
/// - GET or POST `/status/CODE?retry-after=SECONDS`: that status, and Retry-After where it is asked for.
/// - GET or POST `/json`: `{"method": …, "numbers": [1, 2, 3], "received": the request's JSON or null}`.
/// - GET `/connection`: the client's port, so the same for each request of a connection.
public enum PythonApplication {
    /// What `/bytes/N` serves.
    public static func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 % 251) } }

    /// Debian's script of that name, whose first line names the interpreter that Debian's packages are for; else the one in
    /// PATH, as in a virtual environment.
    static func script(_ name: String) -> String {
        let debian = "/usr/bin/\(name)"
        return access(debian, X_OK) == 0 ? debian : name
    }

    /// Why a server's script cannot run the application: the interpreter of its first line lacks a package.
    static func obstacle(_ name: String, modules: String) -> String? {
        guard let path = Program.path(of: script(name)), let first = try? readText(path).split(separator: "\n").first,
            first.hasPrefix("#!/")
        else { return "\(name) is not installed (Scripts/setup test installs it)" }
        let interpreter = first.dropFirst(2).split(separator: " ").map(String.init)
        do {
            try Program.run(interpreter[0], interpreter.dropFirst() + ["-c", "import \(modules)"])
            return nil
        } catch {
            return "the Python of \(path) lacks one of \(modules) (Scripts/setup test installs them)"
        }
    }

    static func write(to folder: String) throws { try writeText(source, to: "\(folder)/application.py") }

    private static let source = #"""
        import asyncio, os, time
        from concurrent.futures import ThreadPoolExecutor
        from flask import Flask, Response, jsonify, request

        app = Flask(__name__)
        PATTERN = bytes(range(251))

        @app.get("/small.txt")
        def small():
            return Response("abc", mimetype="text/plain")

        @app.get("/bytes/<int:count>")
        def some_bytes(count):
            whole = PATTERN * (count // len(PATTERN) + 1)
            return Response(whole[:count], mimetype="application/octet-stream")

        @app.get("/chunks/<int:count>/<int:size>")
        def chunks(count, size):
            return Response((bytes([97 + number % 26]) * size for number in range(count)), mimetype="text/plain")

        @app.post("/echo")
        def echo():
            return Response(request.get_data(), mimetype="application/octet-stream")

        @app.get("/delay/<int:milliseconds>")
        def delay(milliseconds):
            time.sleep(milliseconds / 1000)
            return Response(str(milliseconds), mimetype="text/plain")

        @app.route("/status/<int:code>", methods=["GET", "POST"])
        def status(code):
            response = Response("" if code in (204, 304) else str(code), status=code, mimetype="text/plain")
            if "retry-after" in request.args:
                response.headers["Retry-After"] = request.args["retry-after"]
            return response

        @app.route("/json", methods=["GET", "POST"])
        def json():
            received = request.get_json() if request.data else None
            return jsonify(method=request.method, received=received, numbers=[1, 2, 3])

        @app.get("/connection")
        def connection():
            return Response(str(request.environ["REMOTE_PORT"]), mimetype="text/plain")

        class OverASGI:
            """The application for hypercorn: in so many threads, and with the client's port, which WSGI lacks there."""
            def __init__(self):
                self.wsgi = None

            async def __call__(self, scope, receive, send):
                if self.wsgi is None:
                    from hypercorn.middleware import AsyncioWSGIMiddleware
                    threads = ThreadPoolExecutor(int(os.environ["APPLICATION_THREADS"]))
                    asyncio.get_running_loop().set_default_executor(threads)
                    self.wsgi = AsyncioWSGIMiddleware(self.call, max_body_size=1 << 28)
                if scope["type"] == "http":
                    port = str(scope["client"][1]).encode()
                    scope = dict(scope, headers=[*scope["headers"], (b"x-remote-port", port)])
                await self.wsgi(scope, receive, send)

            def call(self, environ, start_response):
                environ["REMOTE_PORT"] = environ["HTTP_X_REMOTE_PORT"]
                return app(environ, start_response)

        over_asgi = OverASGI()

        """#
}

extension RealServer {
    /// Servers of the Python application.
    public static let python = [gunicorn, hypercorn]

    /// gunicorn, with threads and keep-alive: HTTP/1.1 only, over TLS without ALPN, and in cleartext.
    public static let gunicorn = RealServer(
        name: "gunicorn", command: PythonApplication.script("gunicorn"), upload: .echo, fixedStreamLimit: nil,
        sendsTrailers: false, gracefulSignal: SIGHUP, outlivesGracefulSignal: true,
        endpoints: [.http1TLS, .http1OnlyTLS, .http1Cleartext], obeys: [.keepAliveSeconds, .threads],
        content: .application, obstacle: { gunicornObstacle }
    ) { site in
        try PythonApplication.write(to: site.folder)
        // Preloaded, the application is there before its port is. A process has TLS on all of its ports or on none.
        func process(_ port: Int, _ more: [String]) throws -> ServerProcess {
            try ServerProcess(
                PythonApplication.script("gunicorn"),
                [
                    "--chdir", site.folder, "--bind", "127.0.0.1:\(port)", "--preload", "--workers", "1",
                    "--worker-class", "gthread", "--threads", "\(site.options.threads ?? 8)",
                    "--keep-alive", "\(site.options.keepAliveSeconds ?? 60)", "--graceful-timeout", "20",
                ] + more + ["application:app"],
                environment: ["PYTHONDONTWRITEBYTECODE": "1"], ports: [port], stopSignal: SIGKILL)
        }
        return [
            try process(site.http1Cleartext, []),
            try process(site.tls, ["--certfile", site.leaf.certificateFile, "--keyfile", site.leaf.keyFile]),
        ]
    }

    /// hypercorn: HTTP/2 and HTTP/1.1, over TLS and in cleartext. Its HTTP/2 takes uploads slowly, 1 MB in some seconds,
    /// and the time after which it is to close idle connections does not work in Debian's version.
    public static let hypercorn = RealServer(
        name: "hypercorn", command: PythonApplication.script("hypercorn"), upload: .echo, fixedStreamLimit: nil,
        sendsTrailers: false, gracefulSignal: SIGTERM, outlivesGracefulSignal: false,
        endpoints: [.http2TLS, .http1TLS, .http2Cleartext, .http1Cleartext], obeys: [.threads],
        content: .application, obstacle: { hypercornObstacle }
    ) { site in
        try PythonApplication.write(to: site.folder)
        try writeText(
            """
            bind = ["127.0.0.1:\(site.tls)"]
            insecure_bind = ["127.0.0.1:\(site.cleartext)", "127.0.0.1:\(site.http1Cleartext)"]
            certfile = "\(site.leaf.certificateFile)"
            keyfile = "\(site.leaf.keyFile)"
            h2_max_concurrent_streams = \(site.streamLimit)
            keep_alive_timeout = 60

            """, to: "\(site.folder)/hypercorn.toml")
        return [
            try ServerProcess(
                PythonApplication.script("hypercorn"),
                ["--config", "\(site.folder)/hypercorn.toml", "\(site.folder)/application.py:over_asgi"],
                environment: [
                    "PYTHONDONTWRITEBYTECODE": "1", "APPLICATION_THREADS": "\(site.options.threads ?? 8)",
                ],
                ports: [site.tls, site.cleartext, site.http1Cleartext], stopSignal: SIGKILL)
        ]
    }

    // Asked once in a process, since each question starts an interpreter.
    private static let gunicornObstacle = PythonApplication.obstacle("gunicorn", modules: "flask, gunicorn")
    private static let hypercornObstacle = PythonApplication.obstacle("hypercorn", modules: "flask, hypercorn, h2")
}
