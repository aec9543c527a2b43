import H2TestSupport
import Testing

/// Everything that runs other programs, one test after another: the machine's cores are for the test that runs.
@Suite(.serialized)
enum RealServers {}

extension RealServers {
    /// The harness itself, judged with curl, so that a failure elsewhere is the client's.
    @Suite("The harness", .timeLimit(.minutes(1)))
    struct Harness {
        @Test(arguments: RealServer.all)
        func `serves a file to curl over TLS and in cleartext`(_ server: RealServer) async throws {
            try await server.run { running in
                let curl = ["-sS", "--max-time", "10", "--cacert", try TestCertificates.shared.caFile]
                #expect(try Program.run("curl", curl + ["--http2", "\(running.origin)/small.txt"]) == "abc")
                let cleartext = ["--http2-prior-knowledge", "\(try running.cleartextOrigin)/small.txt"]
                #expect(try Program.run("curl", curl + cleartext) == "abc")
            }
        }
    }
}
