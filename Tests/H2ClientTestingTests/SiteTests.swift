import CNghttp2
import Foundation
import H2TestSupport
import Testing

@testable import H2ClientTesting

@Suite(.inTurn) struct SiteTests {
    /// `root/` with files, and a secret beside it that links and dots try to reach.
    private func withSite(servesDotFiles: Bool = false, _ body: (Site) throws -> Void) throws {
        let files = FileManager.default
        let folder = files.temporaryDirectory.appendingPathComponent("site-\(UUID().uuidString)")
        let root = folder.appendingPathComponent("root")
        try files.createDirectory(at: root.appendingPathComponent("sub"), withIntermediateDirectories: true)
        try files.createDirectory(at: root.appendingPathComponent("bare"), withIntermediateDirectories: true)
        defer { try? files.removeItem(at: folder) }
        try "secret".write(to: folder.appendingPathComponent("secret.txt"), atomically: true, encoding: .utf8)
        try "beside".write(
            to: folder.appendingPathComponent("root-beside.txt"), atomically: true, encoding: .utf8)
        for name in ["sub/.well-known", ".well-known", ".git"] {
            try files.createDirectory(at: root.appendingPathComponent(name), withIntermediateDirectories: true)
        }
        for name in [
            "a.txt", "a b.html", "ü.json", "sub/index.html", "noextension", ".env", "sub/.env", ".git/config", "..env",
            ".well-known/a", "sub/.well-known/a",
        ] {
            try name.write(to: root.appendingPathComponent(name), atomically: true, encoding: .utf8)
        }
        let links = [
            "out": "../secret.txt", "outer": "..", "absolute": "/etc/passwd", "beside": "../root-beside.txt",
            "inside": "a.txt", "loop": "loop", "absolute-inside": root.appendingPathComponent("a.txt").path,
        ]
        for (name, target) in links {
            try files.createSymbolicLink(
                atPath: root.appendingPathComponent(name).path, withDestinationPath: target)
        }
        #expect(mkfifo(root.appendingPathComponent("fifo").path, 0o600) == 0)
        try body(Site(documentRoot: root.path, servesDotFiles: servesDotFiles))
    }

    private func content(_ finding: Site.Finding) -> String? {
        guard case .file(let file) = finding else { return nil }
        defer { close(file.descriptor) }
        var bytes = [UInt8](repeating: 0, count: file.size)
        #expect(read(file.descriptor, &bytes, bytes.count) == file.size)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `Files are found by their decoded path, folders by their index`() throws {
        try withSite { site in
            let expected = [
                "/a.txt": "a.txt", "/a%20b.html": "a b.html", "/%C3%BC.json": "ü.json", "/%61.txt": "a.txt",
                "/sub/": "sub/index.html", "/sub/index.html": "sub/index.html", "//a.txt": "a.txt",
                "/inside": "a.txt", "/absolute-inside": "a.txt", "/noextension": "noextension",
            ]
            for (path, text) in expected { #expect(content(site.find(path[...])) == text, "\(path)") }
        }
    }

    @Test func `Nothing outside the folder is found, nor what is no file`() throws {
        try withSite { site in
            let paths = [
                "/../secret.txt", "/sub/../../secret.txt", "/%2e%2e/secret.txt", "/%2E%2E%2Fsecret.txt",
                "/..%2fsecret.txt", "/sub/..%2f..%2fsecret.txt", "/out", "/outer/secret.txt", "/absolute", "/beside",
                "/loop", "/fifo", "/a.txt%00", "/a.txt%00.html", "/%zz", "/%", "/%2", "/%ff", "/a.txt/", "/absent",
                "/bare/", "/./a.txt", "/root-beside.txt", "/",
            ]
            for path in paths {
                guard case .missing = site.find(path[...]) else {
                    Issue.record("\(path) was found")
                    continue
                }
            }
        }
    }

    @Test func `A folder without its slash is told apart`() throws {
        try withSite { site in
            guard case .folder = site.find("/sub") else {
                Issue.record("/sub is a folder")
                return
            }
        }
    }

    @Test func `A changed file has another entity tag`() throws {
        try withSite { site in
            func tag() throws -> String {
                guard case .file(let file) = site.find("/a.txt") else {
                    throw CocoaError(.fileNoSuchFile)
                }
                defer { close(file.descriptor) }
                #expect(String(describing: file.contentType) == "text/plain; charset=utf-8")
                return file.entityTag
            }
            let before = try tag()
            #expect(try tag() == before)
            guard case .file(let file) = site.find("/a.txt") else { return }
            var path = [UInt8](repeating: 0, count: 4_096)
            let count = readlink("/proc/self/fd/\(file.descriptor)", &path, path.count)
            close(file.descriptor)
            try #require(count > 0)
            try "longer than before".write(
                toFile: String(decoding: path[..<count], as: UTF8.self), atomically: true, encoding: .utf8)
            #expect(try tag() != before)
        }
    }

    @Test func `A date is written as HTTP does`() {
        #expect(Site.httpDate(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(Site.httpDate(0) == "Thu, 01 Jan 1970 00:00:00 GMT")
    }

    @Test(
        arguments: [
            ("bytes=0-9223372036854775807", 0..<10), ("bytes=0-9223372036854775808", 0..<10),
            ("bytes=9223372036854775807-9223372036854775807", 0..<0), ("bytes=9223372036854775808-", 0..<0),
            ("bytes=-9223372036854775807", 0..<10), ("bytes=-9223372036854775808", 0..<10),
            ("bytes=9-1000000000000000000000000000000", 9..<10), ("bytes=-1000000000000000000000000000000", 0..<10),
            ("BYTES=1-1", 1..<2), ("bytes=+1-2", nil), ("bytes=1-+2", nil), ("bytes=--1", nil), ("bytes=1--1", nil),
            ("bytes= 1-2", nil), ("bytes=1 -2", nil), ("bytes=1-2-3", nil), ("bytes=", nil), ("bytes=1", nil),
            ("bytes=0x1-2", nil), ("bytes=\u{661}-2", nil), ("", nil),
            ("bytes=0-0", 0..<1), ("bytes=2-", 2..<10), ("bytes=-3", 7..<10),
            ("bytes=5-100", 5..<10),
            ("bytes=-100", 0..<10), ("bytes=10-", 0..<0), ("bytes=-0", 10..<10), ("bytes=4-3", nil),
            ("bytes=0-1,3-4", nil), ("bytes=a-b", nil), ("bytes=-", nil), ("lines=1-2", nil),
        ] as [(String, Range<Int>?)])
    func `One range of a file is understood, and any other field ignored`(field: String, expected: Range<Int>?) {
        #expect(Site.range(field, size: 10) == expected)
    }

    @Test(arguments: 1...20) func `Whatever a Range field has, the range lies within the file`(seed: UInt64) {
        var random = Noise(seed: seed)
        for _ in 0..<2_000 {
            let field = "bytes=" + random.number() + random.oneOf(["-", "-", "-", "", ",", "--"]) + random.number()
            let size = random.oneOf([0, 1, 10, 1 << 40, .max])
            guard let range = Site.range(field, size: size), !range.isEmpty else { continue }
            #expect(range.lowerBound >= 0 && range.upperBound <= size, "\(field) of \(size), seed \(seed)")
        }
    }

    @Test func `Names that begin with a dot are not found, but where they are to be`() throws {
        try withSite { site in
            let paths = ["/.env", "/%2eenv", "/sub/.env", "/.git/config", "/sub/.well-known/a", "/.hidden/", "/..env"]
            for path in paths {
                guard case .missing = site.find(path[...]) else {
                    Issue.record("\(path) was found")
                    continue
                }
            }
            #expect(content(site.find("/.well-known/a")) == ".well-known/a")
        }
        try withSite(servesDotFiles: true) { site in
            for path in [".env", "sub/.env", ".git/config", "sub/.well-known/a"] {
                #expect(content(site.find("/\(path)")) == path)
            }
        }
    }

    @Test func `A file of an impossible time has a date all the same`() {
        for seconds in [Int.min, Int.max, -1, 67_768_036_191_676_799] { #expect(!Site.httpDate(seconds).isEmpty) }
    }
}

@Suite(.inTurn) struct TargetTests {
    @Test func `A target is a route, its argument and its query`() throws {
        let target = Target("/reset/8?after=5&debug=calm%20down&flag")
        #expect(target.route.name == "reset")
        #expect(target.route.argument == "8")
        #expect(try target.number("after") == 5)
        #expect(throws: Target.BadNumber.self) { try target.number("debug") }
        #expect(throws: Target.BadNumber.self) { try target.number("flag") }
        #expect(try target.number("absent") == nil)
        #expect(target["debug"] == "calm down")
        #expect(target["flag"] == "")
        #expect(target["absent"] == nil)
        #expect(target.path == "/reset/8")
    }

    @Test(
        arguments: [("/", "", nil), ("", "", nil), ("/a", "a", nil), ("/a/", "a", ""), ("/a/b/c", "a", "b/c")]
            as [(String, String, String?)])
    func `Slashes divide route and argument once`(text: String, name: String, argument: String?) {
        let route = Target(text).route
        #expect(route.name == name)
        #expect(route.argument.map { String($0) } == argument)
    }

    @Test func `A number is digits, and as large as there are`() {
        for (text, number) in [
            ("0", 0), ("007", 7), ("9223372036854775807", .max), ("9223372036854775808", .max),
            ("92233720368547758070", .max), ("1000000000000000000000000000000", .max),
            ("1000000000000000000", 1_000_000_000_000_000_000),
        ] as [(String, Int)] { #expect(wholeNumber(text.utf8) == number) }
        for text in ["", "-1", "+1", " 1", "1 ", "1_0", "0x1", "1e3", "\u{661}"] {
            #expect(wholeNumber(text.utf8) == nil)
        }
    }

    @Test func `Fields of any number and size survive until they are submitted`() {
        let list = FieldList()
        for size in [10, 10_000] {
            list.begin(status: 200)
            for index in 0..<100 { list.add("x-number", text: "\(index)" + String(repeating: "v", count: size)) }
            #expect(list.count == 101)
            for index in 0..<100 {
                let field = list.pointer[index + 1]
                let value = UnsafeBufferPointer(start: field.value, count: field.valuelen)
                #expect(String(decoding: value, as: UTF8.self) == "\(index)" + String(repeating: "v", count: size))
            }
        }
    }
}
