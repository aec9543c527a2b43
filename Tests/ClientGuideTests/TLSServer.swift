import H2Client
import H2TestSupport

/// An authority created with the openssl command, and a server with its certificate at `example.com` that requests
/// client certificates and answers with a page that shows them.
struct TLSServer {
    let folder: String
    let port: Int
    let passphrase = "open sesame"
    private let process: ServerProcess

    var authorityFile: String { "\(folder)/authority.pem" }
    /// A client's certificate, with the common name `catalog`.
    var clientCertificateFile: String { "\(folder)/client.pem" }
    /// Its key, encrypted.
    var clientKeyFile: String { "\(folder)/client.key" }
    /// The authority's revocation list, which is empty.
    var listFile: String { "\(folder)/list.pem" }

    init() throws {
        let folder = try TemporaryDirectory.shared.newFolder("guide-tls")
        self.folder = folder
        port = try LoopbackPort.unused()
        func openssl(_ arguments: String) throws {
            try Program.run("openssl", arguments.split(separator: " ").map(String.init))
        }
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256"
        let authority = "-cert \(folder)/authority.pem -keyfile \(folder)/authority.key"
        try writeText("", to: "\(folder)/index.txt")
        try writeText("01\n", to: "\(folder)/serial")
        try writeText(
            """
            [ca]
            default_ca = ledger
            [ledger]
            database = \(folder)/index.txt
            new_certs_dir = \(folder)
            serial = \(folder)/serial
            default_md = sha256
            default_crl_days = 1
            policy = names
            [names]
            commonName = supplied
            """, to: "\(folder)/ca.cnf")
        try writeText("subjectAltName=DNS:example.com\n", to: "\(folder)/names.ext")
        try openssl(
            "req -x509 -days 30 -subj /CN=Company -keyout \(folder)/authority.key -out \(folder)/authority.pem "
                + "-addext keyUsage=critical,keyCertSign,cRLSign -nodes \(key)")
        for (name, subject, protection) in [
            ("server", "example.com", ["-nodes"]), ("client", "catalog", ["-passout", "pass:\(passphrase)"]),
        ] {
            try Program.run(
                "openssl",
                ["req", "-new", "-subj", "/CN=\(subject)", "-keyout", "\(folder)/\(name).key"]
                    + ["-out", "\(folder)/\(name).csr"] + protection + key.split(separator: " ").map(String.init))
            try openssl(
                "ca -batch -notext -config \(folder)/ca.cnf \(authority) -in \(folder)/\(name).csr -days 30 "
                    + "-extfile \(folder)/names.ext -out \(folder)/\(name).pem")
        }
        try openssl("ca -config \(folder)/ca.cnf \(authority) -gencrl -out \(folder)/list.pem")
        try openssl("ocsp -issuer \(folder)/authority.pem -serial 0x01 -no_nonce -reqout \(folder)/request.der")
        try openssl(
            "ocsp -index \(folder)/index.txt -CA \(folder)/authority.pem -rsigner \(folder)/authority.pem "
                + "-rkey \(folder)/authority.key -reqin \(folder)/request.der -respout \(folder)/staple.der -ndays 1")
        process = try ServerProcess(
            "openssl",
            ["s_server", "-quiet", "-www", "-accept", "127.0.0.1:\(port)", "-verify", "1", "-verify_quiet"]
                + [
                    "-cert", "\(folder)/server.pem", "-key", "\(folder)/server.key", "-CAfile",
                    "\(folder)/authority.pem",
                ]
                + ["-status_file", "\(folder)/staple.der"], ports: [port])
    }

    /// Runs the server, and `body` with the configuration of a client that connects to it.
    static func run(
        _ body: nonisolated(nonsending) (TLSServer, HTTPClient.Configuration) async throws -> Void
    )
        async throws
    {
        let server = try TLSServer()
        try await server.process.start()
        var configuration = HTTPClient.Configuration()
        configuration.connectTo = { [port = server.port] _ in
            ConnectionConfiguration.Endpoint(host: "127.0.0.1", port: port)
        }
        do {
            try await body(server, configuration)
        } catch {
            await server.process.stop()
            throw error
        }
        await server.process.stop()
    }
}
