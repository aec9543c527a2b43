import H2Client
import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct TargetCacheTests {
    @Test(
        arguments: [
            "http://a/1", "http://a/2?x=/../y", "http://a:80/3", "http://A/4", "http://a/b/../5", "http://a/./6",
            "http://a/.b", "http://a/7#f", "http://a/%2e%2e/8", "http://a/é", "http://a", "http://a?q", "http://a.b/9",
            "https://a/10", "http://u:p@a/11", "http://a/12@b", "http://a:8/13", "a/14", "http://a/x\\y",
            "http://a//15",
            "http://[::1]/16", "http://[::1]/17",
        ])
    func `A target is what parsing the URL alone makes of it, whichever came before`(_ url: String) throws {
        for before in ["http://a/x", "http://a:80/x", "https://a/", "http://u:p@a/x", "a/x", "http://[::1]/x", url] {
            for keepsPath in [false, true] {
                var cache = TargetCache(URLSchemes(), keepsPath: keepsPath)
                _ = try cache.target(of: before)
                let target = try cache.target(of: url)
                let whole = FetchTarget(try URLSchemes().target(of: url, pathAsIs: keepsPath))
                #expect(target == whole, "\(url) after \(before)")
            }
        }
    }

    @Test(arguments: ["http://a/b c", "http://a/\u{7f}", "http://a:0/", "ftp://a/x", "http://", "http://a/\u{1}"])
    func `A URL that is not valid stays so`(_ url: String) throws {
        var cache = TargetCache(URLSchemes(), keepsPath: false)
        _ = try cache.target(of: "http://a/x")
        #expect(throws: (any Error).self) { try cache.target(of: url) }
        _ = try cache.target(of: "http://a/y")
    }
}
