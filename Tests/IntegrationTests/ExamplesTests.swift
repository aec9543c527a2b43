import H2Client
import H2Platform
import H2TestSupport
import Testing

/// The tests that build another package.
@Suite(.inTurnFirst)
enum OtherPackages {}

extension OtherPackages {
    /// The package in Examples, built as a consumer builds it and run as its reader would.
    @Suite(.timeLimit(.minutes(5)))
    struct ExamplesTests {
        @Test
        func `Each example builds as a package of its own, and does what it says`() async throws {
            let binaries = try await build()
            let site = try StaticSite.shared
            try await RealServer.nghttpd.run { running in
                let origin = try running.origin
                let caFile = try TestCertificates.shared.caFile

                let fetch = try await Program.finish(
                    "\(binaries)/ParallelFetch", ["\(origin)/\(site.hundredKiB.name)", "200", caFile])
                #expect(fetch.exitCode == 0, "\(fetch.output)")
                #expect(fetch.output.contains("200 responses, \(200 * site.hundredKiB.size) bytes, 200 streams"))

                let echo = try TemporaryDirectory.shared.newPath("echo")
                defer { unlink(echo) }
                let upload = try await Program.finish(
                    "/bin/sh",
                    ["-c", "\"$0\" \"$1\" \"$2\" >\"$3\"", "\(binaries)/StreamingUpload"]
                        + ["\(origin)/echo", caFile, echo], input: site.uploadPath)
                #expect(upload.exitCode == 0, "\(upload.output)")
                #expect(upload.output.contains("200: \(site.upload.size) bytes came back"))
                #expect(try sha256(ofFile: echo) == site.upload.sha256)

                let file = try TemporaryDirectory.shared.newPath("download")
                defer { unlink(file) }
                let url = "\(origin)/\(site.hundredMiB.name)"
                let download = "\(binaries)/DownloadWithCancellation"
                let cancelled = try await Program.finish(download, [url, file, "0", caFile])
                #expect(cancelled.exitCode == 1)
                #expect(cancelled.output.contains("cancelled"), "\(cancelled.output)")
                #expect(access(file, F_OK) != 0)
                #expect(access("\(file).part", F_OK) != 0)

                let whole = try await Program.finish(download, [url, file, "60", caFile])
                #expect(whole.exitCode == 0, "\(whole.output)")
                #expect(try sha256(ofFile: file) == site.hundredMiB.sha256)
                #expect(access("\(file).part", F_OK) != 0)
            }
            // They start their own servers.
            for name in ["TestingYourCode", "ServiceClient"] {
                let program = try await Program.finish("\(binaries)/\(name)", [])
                #expect(program.exitCode == 0, "\(program.output)")
                #expect(program.output.contains("all checks passed"))
            }

            // It wants both versions at one address.
            try await RealServer.nginx.run { running in
                let url = "\(try running.origin)/\(site.hundredKiB.name)"
                let caFile = try TestCertificates.shared.caFile
                let ways = try await Program.finish("\(binaries)/WaysOfReuse", [url, "40", caFile])
                #expect(ways.exitCode == 0, "\(ways.output)")
                // Callers that come late may find a stream that is free again, so not all that may be opened need be.
                for (way, allowed) in [
                    ("a connection for each request", 40...40), ("HTTP/1.1, one connection by hand", 1...1),
                    ("HTTP/1.1, a pool of 4", 2...4), ("one connection by hand", 1...1), ("multiplexed", 1...1),
                    ("up to 3 connections", 2...3),
                ] {
                    let holds = allowed.contains { count in
                        let line = "\(way): \(count) connections, \(count) handshakes,"
                        return ways.output.split(separator: "\n").contains { $0.hasPrefix(line) }
                    }
                    #expect(holds, "\(way), in:\n\(ways.output)")
                }
            }
        }

        /// Builds the examples in a separate scratch folder, since this build's is locked. Returns the folder of the
        /// binaries.
        private func build() async throws -> String {
            let root = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
            // A cached plan does not know of files that were added to the library since. Neither an index nor debug
            // information is of use here, and both take time.
            let arguments = [
                "build", "--disable-build-manifest-caching", "--disable-index-store", "-debug-info-format", "none",
                "--package-path", "\(root)/Examples", "--scratch-path",
                "\(root)/.build-examples",
            ]
            let outcome = try await Program.finish("swift", arguments)
            guard outcome.exitCode == 0 else { throw ProcessFailure("the examples do not build:\n\(outcome.output)") }
            let place = try await Program.finish("swift", arguments + ["--show-bin-path"])
            return String(place.output.split(separator: "\n").last ?? "")
        }
    }
}
