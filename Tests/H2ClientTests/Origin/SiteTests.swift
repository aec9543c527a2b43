import CNghttp2
import Foundation
import Testing

@testable import H2Origin

@Suite struct SiteTests {
    /// `root/` with files, and a secret beside it that links and dots try to reach.
    private func withSite(_ body: (Site) throws -> Void) throws {
        let files = FileManager.default
        let folder = files.temporaryDirectory.appendingPathComponent("site-\(UUID().uuidString)")
        let root = folder.appendingPathComponent("root")
        try files.createDirectory(at: root.appendingPathComponent("sub"), withIntermediateDirectories: true)
        try files.createDirectory(at: root.appendingPathComponent("bare"), withIntermediateDirectories: true)
        defer { try? files.removeItem(at: folder) }
        try "secret".write(to: folder.appendingPathComponent("secret.txt"), atomically: true, encoding: .utf8)
        try "beside".write(
            to: folder.appendingPathComponent("root-beside.txt"), atomically: true, encoding: .utf8)
        for name in ["a.txt", "a b.html", "ü.json", "sub/index.html", "noextension"] {
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
        try body(Site(documentRoot: root.path))
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
            ("bytes=0-9223372036854775807", 0..<10), ("bytes=0-0", 0..<1), ("bytes=2-", 2..<10), ("bytes=-3", 7..<10),
            ("bytes=5-100", 5..<10),
            ("bytes=-100", 0..<10), ("bytes=10-", 0..<0), ("bytes=-0", 10..<10), ("bytes=4-3", nil),
            ("bytes=0-1,3-4", nil), ("bytes=a-b", nil), ("bytes=-", nil), ("lines=1-2", nil),
        ] as [(String, Range<Int>?)])
    func `One range of a file is understood, and any other field ignored`(field: String, expected: Range<Int>?) {
        #expect(Site.range(field, size: 10) == expected)
    }
}

@Suite struct TargetTests {
    @Test func `A target is a route, its argument and its query`() {
        let target = Target("/reset/8?after=5&debug=calm%20down&flag")
        #expect(target.route.name == "reset")
        #expect(target.route.argument == "8")
        #expect(target.number("after") == 5)
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
