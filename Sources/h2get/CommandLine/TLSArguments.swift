internal import ArgumentParser
import H2Client

/// Which certificates to trust, and which to show: the same options in all commands that connect.
struct TLSArguments: ParsableArguments {
    @Flag(name: [.customShort("k"), .customLong("insecure")], help: "Do not verify the server's certificate.")
    var insecure = false

    @Option(
        name: .customLong("cacert"), help: ArgumentHelp("Trust these authorities only (PEM).", valueName: "FILE"))
    var authorityFile: String?

    @Option(
        name: [.customShort("E", allowingJoined: true), .customLong("cert")],
        help: ArgumentHelp("Our certificate, if the server asks (PEM).", valueName: "FILE"))
    var certificate: String?

    @Option(name: .customLong("key"), help: ArgumentHelp("Its key, if in another file.", valueName: "FILE"))
    var key: String?

    /// - Throws: `Failure` (`usage`).
    func configuration(authorityDirectory: String? = nil) throws -> ConnectionConfiguration.TLS {
        guard key == nil || certificate != nil else { throw Failure.usage("--key goes with --cert") }
        return TLSFiles(
            isInsecure: insecure, authorityFile: authorityFile, authorityDirectory: authorityDirectory,
            certificate: certificate, key: key
        ).configuration
    }
}
