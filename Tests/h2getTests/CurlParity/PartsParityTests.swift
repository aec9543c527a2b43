import Foundation
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// --next, limits on speed, retries and traces: the same command line with h2get and with curl.
@Suite(.inTurn, .timeLimit(.minutes(5)), .enabled(if: CurlParity.hasCurl)) struct PartsParityTests {
    /// A request as text, as far as options change it.
    private static func describe(_ request: OriginServer.Request) -> OriginServer.Response {
        var text = "\(request.method.rawValue) \(request.path)?\(request.query ?? "-")\n"
        for name in ["content-type", "x", "referer", "cookie", "authorization"] {
            for field in request.headerFields where field.name.canonicalName == name {
                text += "\(name): \(field.value)\n"
            }
        }
        return .init(text: text + String(decoding: request.body, as: UTF8.self) + "\n")
    }

    private func served(_ security: OriginServer.Security? = nil) throws -> Served {
        try Served {
            if let security { $0.security = security }
            $0.routes["/tell"] = Self.describe
            $0.routes["/set"] = { _ in .init(headerFields: [.setCookie: "a=1; Path=/"], body: Array("set\n".utf8)) }
            $0.routes["/away"] = { _ in .init(status: .found, headerFields: [.location: "/tell"], body: []) }
        }
    }

    private func expectSame(_ line: String, config: String? = nil) async throws {
        let served = try served()
        let url = served.url("")
        var files = ["f": "one\ntwo\n"]
        files["config"] = config?.replacing("URL", with: url)
        try await CurlParity(served, files: files).expectSame(
            CurlParity.words(line.replacing("URL", with: url)), normalize: Self.withoutComments)
    }

    /// Cookie files say in a comment who wrote them.
    private static func withoutComments(_ data: Data) -> Data {
        guard data.starts(with: "# Netscape".utf8) else { return data }
        let lines = String(decoding: data, as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("# ") }
        return Data(lines.joined(separator: "\n").utf8)
    }

    @Test(arguments: [
        "URL/tell --next URL/tell?2", "-d a URL/tell --next URL/tell", "URL/tell -: -d b URL/tell",
        "-X PUT URL/tell --next -d c URL/tell", "-H X:1 URL/tell -: -H X:2 URL/tell -: URL/tell",
        "-o a URL/bytes/3 --next -o b URL/bytes/4", "URL/tell --next -f URL/status/404",
        "-G -d a=1 URL/tell --next -d a=1 URL/tell", "-I URL/bytes/3 --next URL/bytes/3",
        "-w '%{urlnum} %{http_code}' URL/bytes/1 --next -w '%{urlnum} %{method}' -d x URL/tell",
        "-b '' URL/set --next -b '' URL/tell", "-b '' URL/set --next URL/tell", "-b c=3 URL/tell --next URL/tell",
        "-c jar URL/set --next -b jar URL/tell", "-u a:b URL/tell --next URL/tell",
        "-L URL/away --next URL/away", "-D h1 -o a URL/bytes/3 --next -D h2 URL/bytes/4",
        "-T f URL/tell --next URL/tell", "-i URL/bytes/2 -: -i URL/bytes/3",
        "--fail-early -f URL/status/404 --next URL/tell", "URL/bytes/1 --next -O URL/bytes/2",
        "-e r URL/tell --next URL/tell", "-d a URL/tell URL/tell --next URL/tell URL/bytes/[1-2]",
        "URL/tell --next -X",
    ])
    func `Parts are curl's`(_ line: String) async throws {
        // curl fetches the URLs of a part one after the other.
        try await expectSame("--no-parallel \(line)")
    }

    @Test(arguments: [
        "url = URL/tell\nnext\ndata = x\nurl = URL/tell\n", "url = URL/tell\n-:\n-X PUT\nurl = URL/tell\n",
    ])
    func `Parts of configuration files are curl's`(_ text: String) async throws {
        try await expectSame("-K config", config: text)
    }

    @Test(arguments: [
        "--limit-rate 100K -o f2 URL/bytes/3000", "--limit-rate 50K -T f URL/tell", "--limit-rate 0 URL/bytes/3",
        "--limit-rate 1M -d @f URL/tell", "--limit-rate nonsense URL/bytes/3", "-y 1 URL/bytes/3",
        "-Y 1 -y 5 -d x URL/tell", "-Y x URL/bytes/1", "-Y 0 -y 1 URL/bytes/1", "-Y 1000 -y 1 URL/delay/10000",
        "--retry 1 --retry-delay 1 --retry-all-errors -f URL/status/404", "--retry 2 --retry-all-errors URL/bytes/3",
        "-Z --parallel-immediate URL/bytes/3",
    ])
    func `Limits on speed and retries are curl's`(_ line: String) async throws { try await expectSame(line) }

    @Test(arguments: [
        "--trace - -o f2 URL/bytes/100", "--trace-ascii - -o f2 URL/bytes/200", "--trace - -o f2 -d abc URL/tell",
        "--trace-ascii - -o f2 --data-binary @f URL/tell", "--trace - -o f2 URL/status/404",
        "--trace-ascii - -o f2 URL/away",
    ])
    func `What a trace says of responses and of bodies is curl's`(_ line: String) async throws {
        let served = try served(.cleartext)
        let words = CurlParity.words(line.replacing("URL", with: served.url("")))
        try await CurlParity(served, files: ["f": "one\r\ntwo\n"]).expectSame(words + ["--http1.1"]) { data in
            // Each client has fields of its own, and words for connections.
            var isShown = true
            let lines = String(decoding: data, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
            let shown = lines.filter { line in
                if line.hasPrefix("== ") || line.hasPrefix("=> Send header") { isShown = false }
                if line.hasPrefix("<= ") || line.hasPrefix("=> Send data") { isShown = true }
                return isShown && !line.isEmpty
            }
            return Data(shown.joined(separator: "\n").utf8)
        }
    }
}
