import Foundation
import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@testable import h2get

/// --checksum, --checksum-file and --verify-digest.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct ChecksumTests {
    // Of `abc`.
    private static let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    private static let sha512 =
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    private static let sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d"
    private static let md5 = "900150983cd24fb0d6963f7d28e17f72"
    private static let wrong = String(repeating: "0", count: 64)

    private static func served() throws -> Served {
        let abc = FileServer(.init(content: Array("abc".utf8)))
        let digest = HTTPField.Name("content-digest")!
        func stating(_ value: String) -> FileServer {
            FileServer(.init(content: Array("abc".utf8), fields: [digest: value]))
        }
        return try Served(files: [
            "/abc": abc, "/other": FileServer(.init(content: Array("abd".utf8))),
            "/missing": FileServer(.init(content: [], status: .notFound)),
            "/right": stating("sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:"),
            "/wrong": stating("sha-256=:X0zXK9NTpZTUzRJ9QNQWRsVeTQ0V3R8EpQ1aDvdyqU4=:"),
            "/md5": stating("md5=:kAFQmDzST7DWlj99KOF/cg==:"),
        ])
    }

    // MARK: - --checksum

    @Test(arguments: [
        "sha-256:\(sha256)", "sha256:\(sha256.uppercased())", "SHA-256=\(sha256)", "sha-512=\(sha512)", "sha1:\(sha1)",
        "sha-1=\(sha1)", "md5:\(md5)",
    ]) func `A file with the right checksum gets its name`(_ checksum: String) async throws {
        let served = try Self.served()
        let result = try await served.get("--checksum", checksum, "-o", "f", served.url("/abc"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.folder.read("f") == "abc")
        #expect(served.files == ["f"])
    }

    @Test func `A file with a wrong checksum does not get its name, and an old one stays`() async throws {
        let served = try Self.served()
        try served.folder.write("old", to: "f")
        for arguments in [[], ["-C", "-", "--skip-existing", "--output-dir", "d", "--create-dirs"]] {
            let result = try await served.get(
                arguments + ["--checksum", "sha-256:\(Self.sha256)", "-o", "f", served.url("/other")])
            #expect(result.status == 32)
            #expect(result.errors.contains("should have sha-256 \(Self.sha256)"), "\(result.errors)")
            #expect(try served.folder.read("f") == "old")
        }
        #expect(served.files == ["d", "f"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: served.folder.path("d")).isEmpty)
    }

    @Test func `Each URL has its own checksum, in order`() async throws {
        let served = try Self.served()
        let result = try await served.get(
            "--checksum", "md5:\(Self.md5)", "--checksum", "sha-256:\(Self.wrong)", "-O", served.url("/abc"),
            served.url("/other"))
        #expect(result.status == 32)
        #expect(result.errors.contains("1 of 2 transfers failed"))
        #expect(served.files == ["abc"])
    }

    @Test func `An error of the server is told as such, not as a wrong checksum`() async throws {
        let served = try Self.served()
        let result = try await served.get("--checksum", "md5:\(Self.md5)", "-O", served.url("/missing"))
        #expect(result.status == 22)
        #expect(result.errors.contains("404"))
        #expect(served.files.isEmpty)
    }

    @Test func `A file that --skip-existing or -C leaves alone is checked, too`() async throws {
        let served = try Self.served()
        try served.folder.write("abc", to: "good")
        try served.folder.write("abx", to: "bad")
        for option in [["--skip-existing"], ["-C", "-"]] {
            for (name, status) in [("good", 0), ("bad", 32)] {
                let result = try await served.get(
                    option + ["--checksum", "md5:\(Self.md5)", "-o", name, served.url("/abc")])
                #expect(result.status == status, "\(option) \(name): \(result.errors)")
            }
            #expect(try served.folder.read("bad") == "abx")
        }
    }

    @Test func `A continued file is checked as a whole`() async throws {
        let served = try Self.served()
        try served.folder.write("ab", to: "f")
        let right = try await served.get("-C", "-", "--checksum", "md5:\(Self.md5)", "-o", "f", served.url("/abc"))
        #expect(right.status == 0, "\(right.errors)")
        #expect(try served.folder.read("f") == "abc")
        try served.folder.write("xb", to: "f")
        let wrong = try await served.get("-C", "-", "--checksum", "md5:\(Self.md5)", "-o", "f", served.url("/abc"))
        #expect(wrong.status == 32, "\(wrong.errors)")
        #expect(served.files.isEmpty, "\(served.files)")
    }

    @Test func `A file that is written in place is emptied if it is wrong`() async throws {
        let served = try Self.served()
        try FileManager.default.createDirectory(atPath: served.folder.path("d"), withIntermediateDirectories: false)
        try served.folder.write("old", to: "d/f")
        chmod(served.folder.path("d"), 0o500)
        defer { chmod(served.folder.path("d"), 0o700) }
        let result = try await served.get("--checksum", "md5:\(Self.md5)", "-o", "d/f", served.url("/other"))
        #expect(result.status == 32)
        // Root may create files in any folder, and then the old file stays.
        #expect(try ["old", ""].contains(served.folder.read("d/f")))
    }

    @Test(arguments: [
        (["--checksum", "sha-256:00", "-o", "f"], "64 hexadecimal digits"),
        (["--checksum", "sha-256:" + String(repeating: "g", count: 64), "-o", "f"], "64 hexadecimal digits"),
        (["--checksum", "crc32:00000000", "-o", "f"], "use sha-256"),
        (["--checksum", "x", "-o", "f"], "ALGORITHM:HEX"),
        (["--checksum", "md5:\(md5)"], "add -o FILE or -O"),
        (["--checksum", "md5:\(md5)", "-o", "/dev/null"], "-o FILE"),
        (["--checksum", "md5:\(md5)", "--checksum", "md5:\(md5)", "-O"], "2 --checksum for 1 URL"),
        (["--checksum", "md5:\(md5)", "--compressed", "-O"], "--compressed"),
        (["--checksum", "md5:\(md5)", "-i", "-O"], "-D FILE"),
        (["--checksum", "md5:\(md5)", "--checksum-file", "sums", "-O"], "keep one"),
        (["--checksum", "md5:\(md5)", "--input-file", "list"], "checksum= lines"),
    ]) func `A checksum that cannot be checked is refused`(_ arguments: [String], _ words: String) async throws {
        let served = try Self.served()
        try served.folder.write("\(Self.md5)  abc\n", to: "sums")
        let result = try await served.get(arguments + [served.url("/abc")])
        #expect(result.status == 2, "\(result.errors)")
        #expect(result.errors.contains(words), "\(result.errors)")
        #expect(served.origin.statistics.requests == 0)
    }

    // MARK: - --checksum-file

    @Test func `Files are checked against the lines with their names`() async throws {
        let served = try Self.served()
        try served.folder.write(
            "# made by hand\n\n\(Self.sha256)  ./abc\r\n\(Self.sha256) *other\n\(Self.md5)  third\n", to: "sums")
        let result = try await served.get("--checksum-file", "sums", "-O", served.url("/abc"), served.url("/other"))
        #expect(result.status == 32)
        #expect(result.errors.contains("other have the checksum"), "\(result.errors)")
        #expect(result.errors.contains("1 of 3 files in sums were not fetched: third"), "\(result.errors)")
        #expect(try served.folder.read("abc") == "abc")
        #expect(served.files == ["abc", "sums"])
    }

    @Test func `A file that has no line is not fetched`() async throws {
        let served = try Self.served()
        try served.folder.write("\(Self.sha256)  other\n", to: "sums")
        let result = try await served.get("--checksum-file", "sums", "-O", served.url("/abc"))
        #expect(result.status == 32)
        #expect(result.errors.contains("sums has no checksum for abc"))
        #expect(served.origin.statistics.requests == 0)
        let stdout = try await served.get("--checksum-file", "sums", "-O", "-o", "-", served.url("/abc"))
        #expect(stdout.status == 2, "\(stdout.errors)")
        #expect(stdout.output.isEmpty)
    }

    @Test(arguments: [["--output-dir", "d", "-o", "abc"], ["-o", "d/abc"], ["-o", "./abc"], ["-o", "d/x/../abc"]])
    func `A name is found with or without its folder`(_ output: [String]) async throws {
        let served = try Self.served()
        try served.folder.write("\(Self.sha256)  abc\n", to: "sums")
        try FileManager.default.createDirectory(atPath: served.folder.path("d/x"), withIntermediateDirectories: true)
        let result = try await served.get(["--checksum-file", "sums"] + output + [served.url("/abc")])
        #expect(result.status == 0, "\(result.errors)")
    }

    @Test func `Lines of all forms are read`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(
            """
            \(Self.sha256)  a b
            SHA512 (c (1).txt) = \(Self.sha512)
            \\\(Self.md5)  new\\nline\\\\end
            \(Self.md5)  a b

            """, to: "sums")
        let file = try ChecksumFile(path: path)
        #expect(file.checksums["a b"]?.algorithm == .sha256)
        #expect(file.checksums["c (1).txt"]?.algorithm == .sha512)
        #expect(file.checksums["new\nline\\end"]?.algorithm == .md5)
        #expect(file.checksums.count == 3)
    }

    @Test(arguments: [
        ("x", "line 1"), ("\(sha256)  a\n\(sha256) b", "line 2"), ("\(md5)0  a", "line 1"), ("", "no checksum"),
        ("\(sha256)  a\n\(wrong)  a", "two checksums"), ("SHA256 (a) = 00", "line 1"),
    ]) func `A line that is no checksum is an error before anything is fetched`(
        _ text: String, _ words: String
    ) async throws {
        let served = try Self.served()
        try served.folder.write(text, to: "sums")
        let result = try await served.get("--checksum-file", "sums", "-O", served.url("/abc"))
        #expect(result.status == 26, "\(result.errors)")
        #expect(result.errors.contains(words), "\(result.errors)")
        #expect(served.origin.statistics.requests == 0)
    }

    // MARK: - --verify-digest

    @Test(arguments: [
        [], ["-o", "f"], ["-o", "/dev/null"], ["-C", "-", "-o", "f"], ["--max-filesize", "3", "-o", "f"],
    ])
    func `The digest that the server states is verified`(_ output: [String]) async throws {
        let served = try Self.served()
        let right = try await served.get(["--verify-digest"] + output + [served.url("/right")])
        #expect(right.status == 0, "\(right.errors)")
        if output.isEmpty { #expect(right.text == "abc") }
        if output.last == "f" { #expect(try served.folder.read("f") == "abc") }
        try? FileManager.default.removeItem(atPath: served.folder.path("f"))
        for path in ["/wrong", "/md5", "/abc"] {
            let result = try await served.get(["--verify-digest"] + output + [served.url(path)])
            #expect(result.status == 32, "\(path) \(result.errors)")
            #expect(served.files.isEmpty, "\(served.files)")
        }
    }

    @Test func `Digests are asked for, and -I has none to verify`() async throws {
        let served = try Served {
            $0.routes["/f"] = { request in
                .init(text: request.headerFields[HTTPField.Name("want-repr-digest")!] ?? "none")
            }
        }
        let result = try await served.get("--verify-digest", served.url("/f"))
        #expect(result.status == 32)
        #expect(result.text == "sha-512=10, sha-256=5")
        let head = try await served.get("--verify-digest", "-I", served.url("/f"))
        #expect(head.status == 2)
    }
}
