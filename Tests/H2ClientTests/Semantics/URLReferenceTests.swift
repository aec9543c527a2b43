import H2TestSupport
import Testing

@testable import H2Client

/// References, resolved as in RFC 3986 section 5.4, as far as they are http URLs.
@Suite(.inTurn) struct URLReferenceTests {
    private func resolve(_ reference: String, _ base: String = "http://a/b/c/d;p?q") throws -> String {
        let resolved = try URLReference(reference, from: try RequestTarget(base))
        return resolved.target.url + (resolved.fragment.map { "#" + $0 } ?? "")
    }

    @Test(arguments: [
        ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"), ("g/", "http://a/b/c/g/"), ("/g", "http://a/g"),
        ("//g", "http://g/"), ("?y", "http://a/b/c/d;p?y"), ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q#s"), ("g#s", "http://a/b/c/g#s"), ("g?y#s", "http://a/b/c/g?y#s"),
        (";x", "http://a/b/c/;x"), ("g;x", "http://a/b/c/g;x"), ("g;x?y#s", "http://a/b/c/g;x?y#s"),
        ("", "http://a/b/c/d;p?q"), (".", "http://a/b/c/"), ("./", "http://a/b/c/"), ("..", "http://a/b/"),
        ("../", "http://a/b/"), ("../g", "http://a/b/g"), ("../..", "http://a/"), ("../../", "http://a/"),
        ("../../g", "http://a/g"), ("../../../g", "http://a/g"), ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"), ("/../g", "http://a/g"), ("g.", "http://a/b/c/g."), (".g", "http://a/b/c/.g"),
        ("g..", "http://a/b/c/g.."), ("..g", "http://a/b/c/..g"), ("./../g", "http://a/b/g"),
        ("./g/.", "http://a/b/c/g/"), ("g/./h", "http://a/b/c/g/h"), ("g/../h", "http://a/b/c/h"),
        ("g;x=1/./y", "http://a/b/c/g;x=1/y"), ("g;x=1/../y", "http://a/b/c/y"),
        ("http://g/x", "http://g/x"), ("HTTPS://G:8443/", "https://g:8443/"),
    ])
    func `The examples of RFC 3986`(_ reference: String, _ target: String) throws {
        #expect(try resolve(reference) == target)
    }

    @Test(arguments: [
        ("/a b", "http://a/a%20b"), ("/ü?ü#ü", "http://a/%C3%BC?%C3%BC#%C3%BC"), (" /g\t", "http://a/g"),
        ("/a%20b", "http://a/a%20b"), ("g?u=http://x/y", "http://a/b/c/g?u=http://x/y"),
        ("/x:y", "http://a/x:y"), ("./x:y", "http://a/b/c/x:y"), ("?a/../b", "http://a/b/c/d;p?a/../b"),
        ("//user@g/x", "http://g/x"), ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/"),
    ])
    func `References as servers write them`(_ reference: String, _ target: String) throws {
        #expect(try resolve(reference) == target)
    }

    @Test func `A query of the base does not move its folder`() throws {
        #expect(try resolve("g", "http://a/b/c?x=/y/z") == "http://a/b/g")
        #expect(try resolve("?n", "http://a") == "http://a/?n")
    }

    @Test(arguments: ["x:y", "about:blank", "/a\u{1}b", "/a\nb", "//", "http:g", "https:/g"])
    func `Others are refused`(_ reference: String) {
        let error = #expect(throws: H2Error.self) { _ = try resolve(reference) }
        #expect(error?.code == .invalidURL)
    }
}
