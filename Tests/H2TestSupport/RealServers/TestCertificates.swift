import H2Platform

/// An authority and certificates that it signed, made once in a test process with the openssl command.
public struct TestCertificates: Sendable {
    /// A certificate with its key, as PEM files.
    public struct Leaf: Sendable {
        public var certificateFile: String
        public var keyFile: String
    }

    /// The authority that signed all but `selfSigned`.
    public let caFile: String
    /// An authority that signed nothing of these.
    public let otherCAFile: String
    /// For localhost, 127.0.0.1 and ::1, valid now.
    public let valid: Leaf
    /// As `valid`, but its last day was 1 February 2020.
    public let expired: Leaf
    /// For `elsewhere.test`, which nothing here is called.
    public let wrongHost: Leaf
    /// For localhost, signed by itself.
    public let selfSigned: Leaf
    /// For localhost, signed by `intermediateFile`, which its file holds as well.
    public let chained: Leaf
    /// The leaf of `chained` alone.
    public let chainedLeafFile: String
    /// An authority that `caFile` signed.
    public let intermediateFile: String

    private let authorityKeyFile: String

    /// An OCSP response for `valid` to staple, created by the openssl command.
    public enum Staple: Sendable {
        case good, revoked
        /// It is about `expired`.
        case ofAnotherCertificate
    }

    /// A file with the response.
    /// - Throws: `ProcessFailure` if openssl fails.
    public func staple(_ staple: Staple) throws -> String {
        let folder = try TemporaryDirectory.shared.newFolder("staple")
        // The database of `openssl ca`: status, expiry, time of revocation, serial number, file, subject.
        let status = staple == .revoked ? "R\t491231000000Z\t200101000000Z" : "V\t491231000000Z\t"
        try writeText(
            "\(status)\t01\tunknown\t/CN=valid\nV\t491231000000Z\t\t02\tunknown\t/CN=expired\n",
            to: "\(folder)/index.txt")
        let serial = staple == .ofAnotherCertificate ? "0x02" : "0x01"
        try Program.run(
            "openssl",
            ["ocsp", "-issuer", caFile, "-serial", serial, "-no_nonce", "-reqout", "\(folder)/request.der"])
        try Program.run(
            "openssl",
            ["ocsp", "-index", "\(folder)/index.txt", "-CA", caFile, "-rsigner", caFile, "-rkey", authorityKeyFile]
                + ["-reqin", "\(folder)/request.der", "-respout", "\(folder)/response.der", "-ndays", "1"])
        return "\(folder)/response.der"
    }

    /// The certificates of this process.
    /// - Throws: `ProcessFailure` where openssl is missing or fails.
    public static var shared: TestCertificates { get throws { try made.get() } }

    private static let made = Result { try TestCertificates() }

    private init() throws {
        let folder = try TemporaryDirectory.shared.newFolder("certificates")
        let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        func leaf(_ name: String) -> Leaf {
            Leaf(certificateFile: "\(folder)/\(name).pem", keyFile: "\(folder)/\(name).key")
        }
        func authority(_ name: String) throws -> Leaf {
            let leaf = leaf(name)
            try Program.run(
                "openssl",
                ["req", "-x509", "-days", "30", "-subj", "/CN=H2Client tests \(name)", "-keyout", leaf.keyFile, "-out"]
                    + [leaf.certificateFile, "-addext", "keyUsage=critical,keyCertSign,cRLSign"] + newKey)
            return leaf
        }
        let authorityLeaf = try authority("authority")
        caFile = authorityLeaf.certificateFile
        authorityKeyFile = authorityLeaf.keyFile
        otherCAFile = try authority("other-authority").certificateFile

        let local = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
        try writeText("\(local)\nbasicConstraints=CA:FALSE\n", to: "\(folder)/local.ext")
        try writeText("subjectAltName=DNS:elsewhere.test\nbasicConstraints=CA:FALSE\n", to: "\(folder)/elsewhere.ext")
        try writeText("", to: "\(folder)/index.txt")
        try writeText("01\n", to: "\(folder)/serial")
        // `openssl x509` of OpenSSL 3.0 cannot set dates in the past; `openssl ca` can, and wants this ledger for it.
        try writeText(
            """
            [ca]
            default_ca = ledger
            [ledger]
            database = \(folder)/index.txt
            new_certs_dir = \(folder)
            serial = \(folder)/serial
            unique_subject = no
            default_md = sha256
            policy = names
            [names]
            commonName = supplied
            """, to: "\(folder)/ca.cnf")
        func signed(_ name: String, subject: String, from: String, until: String, extensions: String) throws -> Leaf {
            let leaf = leaf(name)
            try Program.run(
                "openssl",
                ["req", "-new", "-subj", "/CN=\(subject)", "-keyout", leaf.keyFile, "-out", "\(folder)/\(name).csr"]
                    + newKey)
            try Program.run(
                "openssl",
                ["ca", "-batch", "-notext", "-config", "\(folder)/ca.cnf", "-cert", authorityLeaf.certificateFile]
                    + ["-keyfile", authorityLeaf.keyFile, "-in", "\(folder)/\(name).csr", "-extfile", extensions]
                    + ["-startdate", from, "-enddate", until, "-out", leaf.certificateFile])
            return leaf
        }
        valid = try signed(
            "valid", subject: "localhost", from: "20200101000000Z", until: "20491231000000Z",
            extensions: "\(folder)/local.ext")
        expired = try signed(
            "expired", subject: "localhost", from: "20200101000000Z", until: "20200201000000Z",
            extensions: "\(folder)/local.ext")
        wrongHost = try signed(
            "wrong-host", subject: "elsewhere.test", from: "20200101000000Z", until: "20491231000000Z",
            extensions: "\(folder)/elsewhere.ext")
        selfSigned = leaf("self-signed")
        try Program.run(
            "openssl",
            ["req", "-x509", "-days", "30", "-subj", "/CN=localhost", "-addext", local, "-keyout", selfSigned.keyFile]
                + ["-out", selfSigned.certificateFile] + newKey)
        func issued(_ name: String, subject: String, by issuer: Leaf, extensions: String) throws -> Leaf {
            let leaf = leaf(name)
            try Program.run(
                "openssl",
                ["req", "-new", "-subj", "/CN=\(subject)", "-keyout", leaf.keyFile, "-out", "\(folder)/\(name).csr"]
                    + newKey)
            try Program.run(
                "openssl",
                ["x509", "-req", "-days", "30", "-in", "\(folder)/\(name).csr", "-CA", issuer.certificateFile]
                    + ["-CAkey", issuer.keyFile, "-CAcreateserial", "-extfile", extensions]
                    + ["-out", leaf.certificateFile])
            return leaf
        }
        try writeText(
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n",
            to: "\(folder)/intermediate.ext")
        let intermediate = try issued(
            "intermediate", subject: "H2Client tests intermediate", by: authorityLeaf,
            extensions: "\(folder)/intermediate.ext")
        intermediateFile = intermediate.certificateFile
        let last = try issued("chained", subject: "localhost", by: intermediate, extensions: "\(folder)/local.ext")
        chainedLeafFile = last.certificateFile
        chained = Leaf(certificateFile: "\(folder)/chain.pem", keyFile: last.keyFile)
        try writeText(readText(chainedLeafFile) + readText(intermediateFile), to: chained.certificateFile)
        // Servers that give up root's rights read their keys later, on a reload.
        for file in [valid, expired, wrongHost, selfSigned, chained] { chmod(file.keyFile, 0o644) }
    }
}
