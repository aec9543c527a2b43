import Foundation
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// Redirects, credentials, cookies and codings, as curl has them.
@Suite(.inTurn, .timeLimit(.minutes(5)), .enabled(if: CurlParity.hasCurl)) struct ClientParityTests {
    /// Echoes what matters of a request.
    private static func echo(_ request: OriginServer.Request) -> OriginServer.Response {
        let names: [HTTPField.Name] = [.authorization, .cookie, .contentType, .acceptEncoding, .referer]
        var text = "\(request.method.rawValue) \(request.path)?\(request.query ?? "")\n"
        for name in names {
            // HTTP/2 may send each cookie in a field of its own, and the order is each client's.
            var values = request.headerFields[values: name]
            if name == .cookie, !values.isEmpty {
                values = [
                    values.joined(separator: "; ").split(separator: ";").map { $0.drop { $0 == " " } }.sorted().joined(
                        separator: "; ")
                ]
            }
            for value in values { text += "\(name.canonicalName): \(value)\n" }
        }
        return .init(text: text + String(decoding: request.body, as: UTF8.self) + "\n")
    }

    /// Such as `/to/302/echo`.
    private static func redirect(_ request: OriginServer.Request) -> OriginServer.Response {
        let parts = request.path.split(separator: "/", maxSplits: 2)
        let target = parts.count > 2 ? "/\(parts[2])" : "/echoed"
        return .init(
            status: .init(code: Int(parts[1]) ?? 302),
            headerFields: [.location: request.query.map { "\($0)\(target)" } ?? target],
            body: Array("moved\n".utf8))
    }

    private static func basic(_ request: OriginServer.Request) -> OriginServer.Response {
        let isRight =
            request.headerFields[.authorization] == "Basic \(Data("ada:open sesame".utf8).base64EncodedString())"
        return isRight
            ? .init(text: "welcome\n")
            : .init(
                status: .unauthorized, headerFields: [.wwwAuthenticate: "Basic realm=\"r\""], body: Array("no\n".utf8))
    }

    private func served() throws -> Served {
        try Served { configuration in
            configuration.routes["/echoed"] = Self.echo
            configuration.routes["/to/"] = Self.redirect
            configuration.routes["/basic"] = Self.basic
            configuration.routes["/loop"] = { _ in .init(status: .found, headerFields: [.location: "/loop?x"]) }
            configuration.routes["/set"] = { request in
                var fields = HTTPFields()
                fields.append(.init(name: .setCookie, value: "a=1; Path=/"))
                fields.append(.init(name: .setCookie, value: "b=2; Path=/; Max-Age=1000000"))
                fields[.location] = "/echoed"
                return .init(status: request.query == nil ? .ok : .found, headerFields: fields)
            }
            configuration.routes["/gzip"] = { request in
                let isAsked = request.headerFields[.acceptEncoding]?.contains("gzip") == true
                guard isAsked else { return .init(text: "plain\n") }
                // printf 'hello, hello, hello\n' | gzip -n
                let body = Data(base64Encoded: "H4sIAAAAAAACA8tIzcnJ11HIQKK4AOdCblIUAAAA")!
                return .init(headerFields: [.contentEncoding: "gzip"], body: Array(body))
            }
        }
    }

    /// `URL` is the origin's address.
    @Test(arguments: [
        "-L URL/to/302/echoed", "-L URL/to/301/echoed URL/to/307/echoed", "URL/to/302/echoed",
        "-L -d a=1 URL/to/301/echoed",
        "-L -d a=1 URL/to/302/echoed", "-L -d a=1 URL/to/303/echoed", "-L -d a=1 URL/to/307/echoed",
        "-L -d a=1 URL/to/308/echoed", "-L --post301 -d a=1 URL/to/301/echoed", "-L --post302 -d a=1 URL/to/302/echoed",
        "-L --post303 -d a=1 URL/to/303/echoed", "-L --max-redirs 1 URL/to/302/to/302/echoed",
        "-L --max-redirs 2 URL/to/302/to/302/echoed", "-L --max-redirs 0 URL/to/302/echoed",
        "-L --max-redirs -1 URL/to/302/echoed", "-L -X PUT -d a URL/to/307/echoed", "-L -o out URL/to/302/echoed",
        "-L --fail URL/to/302/status/404", "-L -H Cookie:a=1 URL/to/302/echoed",
        "-L -u ada:x URL/to/302/echoed", "-L -b c=3 URL/to/302/echoed", "--location-trusted -u ada:x URL/to/302/echoed",
    ])
    func `Redirects are curl's`(_ line: String) async throws { try await expectSame(line) }

    @Test(arguments: [
        "-u ada:x URL/echoed", "-u ada: URL/echoed", "-u ada:x:y --basic URL/echoed", "--oauth2-bearer tok URL/echoed",
        "-u 'ada:open sesame' URL/basic", "-u ada:wrong URL/basic", "-f -u ada:wrong URL/basic",
        "-n URL/echoed", "--netrc-file netrc URL/echoed", "--netrc-optional --netrc-file netrc URL/echoed",
        "--netrc-file netrc -u me:too URL/echoed", "-u ada:x -H 'Authorization: mine' URL/echoed", "USERURL/echoed",
        "-L --netrc-file netrc URL/to/302/echoed",
    ])
    func `Credentials are curl's`(_ line: String) async throws { try await expectSame(line) }

    @Test(arguments: [
        "-b a=1 URL/echoed", "-b 'a=1; b=2' URL/echoed", "-b a=1 -b b=2 URL/echoed", "-b '' URL/set URL/echoed",
        "-b missing URL/set URL/echoed", "-c jar URL/set", "-L -c jar URL/set?go", "-L -b '' URL/set?go",
        "-b cookies URL/echoed", "-b cookies -j URL/echoed", "-b cookies -b z=26 URL/echoed",
        "-b cookies -c jar URL/echoed",
        "-c - URL/set", "URL/set URL/echoed",
    ])
    func `Cookies are curl's`(_ line: String) async throws { try await expectSame(line, parallelOrder: true) }

    @Test(arguments: [
        "--compressed URL/gzip", "URL/gzip", "--compressed -o out URL/gzip", "-H 'Accept-Encoding: gzip' URL/gzip",
        "--compressed URL/echoed",
    ])
    func `Codings are curl's`(_ line: String) async throws { try await expectSame(line) }

    private func expectSame(_ line: String, parallelOrder: Bool = false) async throws {
        let served = try served()
        let url = served.url("")
        let text = line.replacing("USERURL", with: url.replacing("https://", with: "https://ada:x%20y@"))
            .replacing("URL", with: url)
        let parity = CurlParity(
            served,
            files: [
                "netrc": "machine localhost login ada password x\n",
                "cookies": "# Netscape HTTP Cookie File\nlocalhost\tFALSE\t/\tFALSE\t0\ts\t1\n"
                    + "localhost\tFALSE\t/\tFALSE\t4102444800\tp\t2\n",
            ])
        // One after the other, so that a cookie of the first URL is there for the second.
        let sequence = parallelOrder ? ["--parallel-max", "1"] : []
        try await parity.expectSame(CurlParity.words(text) + sequence, normalize: withoutTimes)
    }

    /// Offers of codings and expiry times differ.
    private func withoutTimes(_ data: Data) -> Data {
        let lines = String(decoding: data, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        let kept = lines.filter { !$0.hasPrefix("# ") && !$0.hasPrefix("accept-encoding:") }.map { line in
            let columns = line.split(separator: "\t", omittingEmptySubsequences: false)
            return columns.count == 7 && columns[4] != "0"
                ? (columns[..<4] + ["T"] + columns[5...]).joined(separator: "\t") : String(line)
        }
        // The order of cookies is each client's.
        let isJar = kept.contains { $0.split(separator: "\t", omittingEmptySubsequences: false).count == 7 }
        return Data((isJar ? kept.sorted() : kept).joined(separator: "\n").utf8)
    }
}
