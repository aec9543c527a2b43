import Foundation
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

/// The options about files, heads and failures.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct OutputFileTests {
    private static func served() throws -> Served {
        try Served {
            func named(_ disposition: String) -> OriginServer.Handler {
                let field = HTTPField(name: HTTPField.Name("content-disposition")!, value: disposition)
                return { _ in .init(headerFields: HTTPFields([field]), body: Array("abc".utf8)) }
            }
            $0.routes["/named"] = named("attachment; filename=\"report.txt\"")
            $0.routes["/evil"] = named("attachment; filename=\"../../.profile\"")
            $0.routes["/dated"] = { _ in
                .init(headerFields: [.lastModified: "Thu, 02 Jan 2020 03:04:05 GMT"], body: Array("abc".utf8))
            }
        }
    }

    private static func status(_ path: String) throws -> stat {
        var status = stat()
        try #require(stat(path, &status) == 0)
        return status
    }

    // MARK: - Heads

    @Test func `-D writes the heads of all responses to one file, also of those that -f refuses`() async throws {
        let served = try Self.served()
        try served.folder.write("old", to: "heads")
        let result = try await served.get(
            "-D", "heads", "-o", "a", "-f", served.url("/bytes/3"), served.url("/status/404"))
        #expect(result.status == 22)
        let heads = try served.folder.read("heads")
        #expect(heads.contains("HTTP/2 200 \r\n") && heads.contains("content-length: 3\r\n"))
        #expect(heads.contains("HTTP/2 404 \r\n"))
        #expect(heads.hasSuffix("\r\n\r\n") && !heads.contains("old"))
        #expect(try served.folder.data("a") == Served.pattern(3))
        #expect(result.output.isEmpty)
    }

    @Test func `-D - writes each head before its body, and those of files between bodies`() async throws {
        let served = try Self.served()
        let alone = try await served.get("-D", "-", served.url("/bytes/3"), served.url("/bytes/200000"))
        let included = try await served.get("-i", served.url("/bytes/3"), served.url("/bytes/200000"))
        #expect(alone.status == 0, "\(alone.errors)")
        #expect(alone.output == included.output)
        let toFile = try await served.get("-D", "-", "-o", "a", served.url("/bytes/3"))
        #expect(toFile.text.hasPrefix("HTTP/2 200 \r\n") && toFile.text.hasSuffix("\r\n\r\n"))
        #expect(try served.folder.data("a") == Served.pattern(3))
        let refused = try await served.get("-D", "-", "-f", served.url("/status/404"))
        #expect(refused.status == 22)
        #expect(refused.text.hasPrefix("HTTP/2 404 \r\n") && refused.text.hasSuffix("\r\n\r\n"))
    }

    @Test func `A file of -D that cannot be written ends the run before anything is fetched`() async throws {
        let served = try Self.served()
        let result = try await served.get("-D", "missing/heads", "-o", "a", served.url("/bytes/3"))
        #expect(result.status == 23)
        #expect(result.errors.contains("missing/heads"))
        #expect(served.files.isEmpty)
        #expect(served.origin.statistics.requests == 0)
    }

    // MARK: - Failures

    @Test func `--fail-with-body writes the body and fails`() async throws {
        let served = try Self.served()
        let result = try await served.get(
            "--fail-with-body", "-w", #"|%{exitcode} %{size_download}\n"#, served.url("/status/404"), "-o", "f",
            served.url("/status/500"), served.url("/bytes/0"))
        #expect(result.status == 22)
        #expect(result.errors.contains("2 of 3 transfers failed"))
        #expect(served.files == ["f"])
        #expect(try served.folder.read("f") == "status 404\n")
        #expect(result.text.contains("status 500\n|22 11\n"), "\(result.text)")
        #expect(result.text.contains("|0 0\n"))
    }

    @Test func `--fail-early stops the other transfers`() async throws {
        let served = try Self.served()
        let result = try await served.get(
            "--fail-early", "-f", "-o", "a", "-o", "b", "-o", "c", served.url("/stall?after=10"),
            served.url("/status/404"),
            served.url("/stall?after=20"))
        #expect(result.status == 22)
        #expect(result.errors.contains("stopped at the first failure"))
        #expect(served.files.allSatisfy { $0.hasSuffix(".part") }, "\(served.files)")
    }

    @Test func `--remove-on-error leaves nothing of a download that fails`() async throws {
        let served = try Self.served()
        let kept = try await served.get("-o", "f", served.url("/reset/2?after=1000"))
        #expect(kept.status == 92)
        #expect(served.parts == ["f"])
        let removed = try await served.get("--remove-on-error", "-o", "g", served.url("/reset/2?after=1000"))
        #expect(removed.status == 92)
        #expect(!served.files.contains { $0.hasPrefix("g") })
    }

    @Test func `--remove-on-error leaves nothing when a signal ends the process`() async throws {
        let served = try Self.served()
        let folder = served.folder
        let result = try await served.get(
            ["--remove-on-error", "-o", "f", served.url("/stall?after=1000")],
            whileRunning: { pid in
                _ = Program.waitUntil { folder.names.contains { $0.hasPrefix("f.") } }
                kill(pid, SIGTERM)
            })
        #expect(result.status == -SIGTERM || result.status == 143)
        #expect(served.files.isEmpty, "\(served.files)")
    }

    @Test(arguments: ["/bytes/1025", "/drip?bytes=5000&chunk=500&interval=1"])
    func `--max-filesize keeps nothing of a longer body, whether its length is known or not`(
        _ path: String
    ) async throws {
        let served = try Self.served()
        let result = try await served.get("--max-filesize", "1K", "-o", "f", served.url(path))
        #expect(result.status == 63)
        #expect(result.errors.contains("--max-filesize"))
        #expect(served.files.isEmpty, "\(served.files)")
    }

    @Test func `--max-filesize allows a body of just that length, and 0 allows any`() async throws {
        let served = try Self.served()
        let result = try await served.get("--max-filesize", "1K", "-o", "f", served.url("/bytes/1024"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.folder.data("f") == Served.pattern(1024))
        let unlimited = try await served.get("--max-filesize", "0", served.url("/bytes/3000"))
        #expect(unlimited.output == Served.pattern(3000))
    }

    // MARK: - Files that exist

    @Test func `--no-clobber takes the next free name, also for URLs of the same run`() async throws {
        let served = try Self.served()
        try served.folder.write("mine", to: "3")
        try served.folder.link("3.1", to: "nowhere")
        let result = try await served.get(
            "--no-clobber", "-O", "-w", #"%{filename_effective}\n"#, served.url("/bytes/3"), served.url("/bytes/3?b"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.folder.read("3") == "mine")
        #expect(served.files == ["3", "3.1", "3.2", "3.3"])
        #expect(try served.folder.data("3.2") == Served.pattern(3))
        #expect(Set(result.text.split(separator: "\n")) == ["3.2", "3.3"])
    }

    @Test func `--no-clobber ends after a hundred names`() async throws {
        let served = try Self.served()
        for name in ["f"] + (1...100).map({ "f.\($0)" }) { try served.folder.write("", to: name) }
        let result = try await served.get("--no-clobber", "-o", "f", served.url("/bytes/3"))
        #expect(result.status == 23)
        #expect(result.errors.contains("f.100"))
        #expect(served.files.count == 101)
        #expect(served.origin.statistics.requests == 0)
    }

    @Test func `--skip-existing asks only for what is missing`() async throws {
        let served = try Self.served()
        try served.folder.write("mine", to: "3")
        let result = try await served.get(
            "--skip-existing", "-O", "-w", #"%{filename_effective}\n"#, served.url("/bytes/3"), served.url("/bytes/4"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.folder.read("3") == "mine")
        #expect(try served.folder.data("4") == Served.pattern(4))
        #expect(result.text == "4\n")
        #expect(served.origin.statistics.requests == 1)
    }

    // MARK: - New files

    @Test func `--create-file-mode is the mode of new files, and old ones keep theirs`() async throws {
        let served = try Self.served()
        try served.folder.write("old", to: "old")
        chmod(served.folder.path("old"), 0o640)
        let result = try await served.get(
            "--create-file-mode", "604", "-o", "old", "-o", "new", served.url("/bytes/3"), served.url("/bytes/4"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try Self.status(served.folder.path("old")).st_mode & 0o777 == 0o640)
        #expect(try Self.status(served.folder.path("new")).st_mode & 0o777 == 0o604)
    }

    @Test func `-R gives files the server's time, if it has one`() async throws {
        let served = try Self.served()
        let result = try await served.get("-R", "-O", served.url("/dated"), served.url("/bytes/3"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try Self.status(served.folder.path("dated")).changeSeconds == 1_577_934_245)
        #expect(try Self.status(served.folder.path("3")).changeSeconds > 1_577_934_245)
        // A file with a second name is not replaced by a rename.
        try served.folder.write("old", to: "linked")
        link(served.folder.path("linked"), served.folder.path("second"))
        let copied = try await served.get("-R", "-o", "linked", served.url("/dated"))
        #expect(copied.status == 0, "\(copied.errors)")
        #expect(try Self.status(served.folder.path("second")).changeSeconds == 1_577_934_245)
    }

    /// Prints the extended attributes of a file, in order, or `none` if the file system has no such thing.
    private static let attributes = """
        import os, sys
        try: names = sorted(os.listxattr(sys.argv[1]))
        except OSError: sys.exit(print("none"))
        print("\\n".join(n + "=" + os.getxattr(sys.argv[1], n).decode() for n in names if n.startswith("user.")))
        """

    @Test func `--xattr stores what is known of a file, without passwords`() async throws {
        let served = try Served { configuration in
            configuration.routes["/moved"] = { _ in
                .init(status: .found, headerFields: [.location: "/page"])
            }
            configuration.routes["/page"] = { _ in .init(headerFields: [.contentType: "text/x; a=b"], body: [65]) }
        }
        try served.folder.write("old", to: "linked")
        link(served.folder.path("linked"), served.folder.path("second"))
        let url = served.url("/moved").replacing("://", with: "://me:secret@")
        let result = try await served.get("-L", "--xattr", "-e", "http://r/", "-o", "new", "-o", "linked", url, url)
        #expect(result.status == 0, "\(result.errors)")
        let expected = """
            user.creator=h2get
            user.mime_type=text/x; a=b
            user.xdg.origin.url=\(served.url("/page"))
            user.xdg.referrer.url=http://r/

            """
        for name in ["new", "second"] {
            let found = try await Program.run(
                program: "/usr/bin/env", ["python3", "-c", Self.attributes, served.folder.path(name)])
            if found.text == "none\n" {
                #expect(result.errors.contains("cannot set the attributes"))
            } else {
                #expect(found.text == expected, "\(name): \(found.text) \(result.errors)")
                #expect(result.errors.isEmpty)
            }
        }
    }

    @Test func `-J names files as the server says, in the folder only, and replaces none`() async throws {
        let served = try Self.served()
        let result = try await served.get(
            "-J", "-O", "-w", #"%{filename_effective}\n"#, served.url("/named"), served.url("/evil"),
            served.url("/bytes/3"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(served.files == ["3", "profile", "report.txt"])
        #expect(Set(result.text.split(separator: "\n")) == ["3", "profile", "report.txt"])
        try served.folder.write("mine", to: "report.txt")
        let again = try await served.get("-J", "-O", served.url("/named"))
        #expect(again.status == 23)
        #expect(again.errors.contains("--no-clobber"))
        #expect(try served.folder.read("report.txt") == "mine")
        let numbered = try await served.get("-J", "-O", "--no-clobber", served.url("/named"))
        #expect(numbered.status == 0, "\(numbered.errors)")
        #expect(try served.folder.read("report.txt.1") == "abc")
    }

    @Test func `--remote-name-all is -O`() async throws {
        let served = try Self.served()
        let result = try await served.get("-N", "--remote-name-all", served.url("/bytes/3"), served.url("/bytes/4"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(served.files == ["3", "4"])
    }

    // MARK: - Messages

    @Test func `--stderr puts messages into a file, or on stdout`() async throws {
        let served = try Self.served()
        let result = try await served.get("--stderr", "log", "-f", served.url("/status/404"))
        #expect(result.status == 22)
        #expect(result.errors.isEmpty && result.output.isEmpty)
        #expect(try served.folder.read("log").contains("answered 404"))
        let onOutput = try await served.get("--stderr", "-", "-f", served.url("/status/404"))
        #expect(onOutput.errors.isEmpty)
        #expect(onOutput.text.contains("answered 404"))
        let missing = try await served.get("--stderr", "missing/log", served.url("/bytes/3"))
        #expect(missing.status == 23)
        #expect(missing.output.isEmpty)
        #expect(missing.errors.contains("missing/log"))
    }

    // MARK: - What is refused

    @Test(arguments: [
        (["-f", "--fail-with-body"], "keep one"), (["--fail-with-body", "--remove-on-error", "-O"], "keep one"),
        (["--no-clobber", "--skip-existing", "-O"], "keep one"), (["-J"], "or -O"), (["-J", "-o", "f"], "add -O"),
        (["-J", "-O", "-i"], "-D FILE"), (["-J", "-O", "--skip-existing"], "keep one"),
        (["--skip-existing"], "add -o FILE or -O"),
        (["--no-clobber", "-o", "-"], "add -o FILE or -O"), (["-R"], "add -o FILE or -O"),
        (["--xattr"], "--xattr is about files"),
        (["--remove-on-error"], "add -o FILE or -O"), (["--create-file-mode", "644"], "add -o FILE or -O"),
        (["--create-file-mode", "888", "-O"], "octal"), (["--create-file-mode", "7777", "-O"], "octal"),
        (["--create-file-mode", "", "-O"], "octal"), (["--max-filesize", "x"], "size in bytes"),
        (["--max-filesize", "-1"], "size in bytes"), (["--max-filesize", "99999999999G"], "size in bytes"),
        (["-D", ""], "names no file"), (["-D", "f", "-o", "f"], "another name"), (["-D", "-", "-i"], "keep one"),
        (["-D", "-", "-I"], "keep one"), (["--stderr", ""], "names no file"),
        (["--stderr", "f", "-o", "f"], "another name"),
    ]) func `A combination without sense is refused with what to do instead`(
        _ arguments: [String], _ remedy: String
    ) async throws {
        let served = try Self.served()
        let result = try await served.get(arguments + [served.url("/bytes/3")])
        #expect(result.status == 2)
        #expect(result.errors.contains(remedy), "\(result.errors)")
        #expect(result.output.isEmpty && served.files.isEmpty)
        #expect(served.origin.statistics.requests == 0)
    }
}

extension stat {
    /// When the content was last changed, in seconds since 1970.
    fileprivate var changeSeconds: Int {
        #if canImport(Darwin)
            Int(st_mtimespec.tv_sec)
        #else
            Int(st_mtim.tv_sec)
        #endif
    }
}
