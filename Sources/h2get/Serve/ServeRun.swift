import H2Client
import H2ClientTesting
import H2Measure
import H2Platform

/// A run of `h2get serve`, from its command line to its end.
struct ServeRun: Sendable {
    let origin: ServedOrigin
    private let directory: String?
    private let address: String
    private let authorityFile: ServeFile?
    private let portFile: ServeFile?

    /// Checks the files to write, then listens.
    /// - Throws: `Failure`.
    init(_ settings: ServeSettings) throws {
        directory = settings.directory
        address = settings.configuration.address
        authorityFile = try settings.authorityFile.map {
            try ServeFile($0, option: "--ca-file", kind: .authority, isForced: settings.isForced)
        }
        portFile = try settings.portFile.map {
            try ServeFile($0, option: "--port-file", kind: .port, isForced: settings.isForced)
        }
        if let authorityFile, let portFile, authorityFile.isSame(as: portFile) {
            throw Failure(.usage, "--ca-file and --port-file name the same file")
        }
        allowOpenFiles(settings.configuration.limits.connections + 100)
        origin = try ServedOrigin(settings.configuration)
    }

    /// Writes the files, and prints where the server listens.
    /// - Throws: `Failure`.
    func announce() throws {
        if let authorityFile, let pem = origin.caPEM { try authorityFile.write(pem) }
        var text = "serving \(directory ?? "the routes") at \(origin.url)\n"
        if let fingerprint = origin.fingerprint { text += "certificate SHA-256 \(fingerprint)\n" }
        if let path = authorityFile?.path { text += "authority in \(path): h2get --cacert \(path) \(origin.url)/\n" }
        text +=
            "routes: /bytes/N /delay/MS /echo /upload /status/N /drip /trailers /103 /reset/CODE ... (GET / tells all)\n"
        _ = text.withUTF8 { writeFully(STDOUT_FILENO, UnsafeRawBufferPointer($0)) }
        if !Self.isLoopback(address) {
            let files = directory.map { "read the files in \(printable($0)) and " } ?? ""
            Console(showsErrors: true, hidesProgress: true).say(
                "h2get: other machines can reach \(address): anyone who reaches port \(origin.port) can \(files)"
                    + "use all routes, since there is no access control; leave out --address to serve this machine only"
            )
        }
        // The port file comes last: a program that waits for it then finds the others.
        try portFile?.write("\(origin.port)\n", isRemoved: true)
    }

    /// Lets running requests finish, removes the port file, and ends the process.
    func end() async -> Never {
        await origin.stop()
        Console.flush()
        Unfinished.clear()
        // Ctrl-C is the normal way to end a server.
        _exit(0)
    }

    /// Whether a literal address is loopback: 127.0.0.0/8, ::1, or IPv4-mapped loopback.
    static func isLoopback(_ address: String) -> Bool {
        var four = in_addr()
        if inet_pton(AF_INET, address, &four) == 1 { return UInt32(bigEndian: four.s_addr) >> 24 == 127 }
        var six = in6_addr()
        guard inet_pton(AF_INET6, address, &six) == 1 else { return false }
        let bytes = withUnsafeBytes(of: &six) { Array($0) }
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127]
        return bytes == [UInt8](repeating: 0, count: 15) + [1] || bytes.starts(with: mapped)
    }
}
