import H2Client
import H2Platform
import H2TestSupport
import Testing

/// Everything that runs servers, one test after another: the machine's cores are for the test that runs.
@Suite(.inTurnFirst)
enum RealServers {}

extension RealServers {
    /// The harness itself, judged with curl, so that a failure elsewhere is the client's.
    @Suite(.timeLimit(.minutes(5)))
    struct HarnessTests {
        @Test(arguments: RealServer.all)
        func `A server serves a file to curl over TLS and in cleartext`(_ server: RealServer) async throws {
            try await server.run { running in
                let tls = try await curl(["--http2", "\(running.origin)/small.txt"])
                #expect(tls.output == "abc")
                let cleartext = try await curl(["--http2-prior-knowledge", "\(running.cleartextOrigin)/small.txt"])
                #expect(cleartext.output == "abc")
            }
        }

        @Test(arguments: RealServer.all)
        func `A server takes an upload from curl`(_ server: RealServer) async throws {
            let site = try StaticSite.shared
            let copy = try TemporaryDirectory.shared.newPath("copy")
            defer { unlink(copy) }
            try await server.run { running in
                switch server.upload {
                case .echo:
                    try await curl([
                        "--http2", "--data-binary", "@\(site.uploadPath)", "-o", copy, "\(running.origin)/echo",
                    ])
                case .put:
                    try await curl(["--http2", "-T", site.uploadPath, "-o", "/dev/null", "\(running.origin)/up/a.bin"])
                    try await curl(["--http2", "-o", copy, "\(running.origin)/up/a.bin"])
                }
                #expect(try sha256(ofFile: copy) == site.upload.sha256)
            }
        }

        @Test(arguments: RealServer.all)
        func `A server leaves no process and no open port behind`(_ server: RealServer) async throws {
            let (pid, port) = try await server.run { running in
                (try #require(await running.process.processID), try running.origin.port)
            }
            // The last of them may be on its way out.
            try await eventually("all processes of \(server) have ended") {
                kill(-pid, 0) != 0 || isZombie(group: pid)
            }
            #expect(!LoopbackPort.accepts(port))
        }

        @Test
        func `The harness hands none of this process's descriptors on to a program`() async throws {
            // Made without FD_CLOEXEC, as those of code that is not ours may be for a moment.
            let descriptor = dup(STDIN_FILENO)
            defer { close(descriptor) }
            let inherited = try await Program.finish("sh", ["-c", "test -e /proc/$$/fd/\(descriptor)"])
            #expect(inherited.exitCode == 1)
        }

        /// Whether all that is left of a process group are children that the system's first process has not reaped: no
        /// one here can do that for it.
        private func isZombie(group: pid_t) -> Bool {
            // PID (NAME) STATE PARENT GROUP …
            let processes = (try? Program.run("sh", ["-c", "cat /proc/[0-9]*/stat 2>/dev/null; true"])) ?? ""
            let states = processes.split(separator: "\n").compactMap { line -> Substring? in
                let fields = line[(line.lastIndex(of: ")") ?? line.startIndex)...].split(separator: " ")
                return fields.count > 3 && fields[3] == "\(group)" ? fields[1] : nil
            }
            return states.allSatisfy { $0 == "Z" }
        }
    }
}
