import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

@Suite(.inTurn) struct DownloadStepTests {
    private static let state = DownloadState(request: "ab", validator: .entityTag("\"1\""), total: 100)
    private static let dated = DownloadState(
        request: "ab", validator: .lastModified("Sun, 06 Nov 1994 08:49:37 GMT"), total: 100)

    private static func response(_ status: Int, _ fields: HTTPFields = [:]) -> HTTPResponse {
        HTTPResponse(status: HTTPResponse.Status(code: status), headerFields: fields)
    }

    private func step(_ response: HTTPResponse, _ state: DownloadState? = state, size: Int = 40) -> DownloadStep {
        DownloadStep(response, to: state.flatMap { DownloadStep.Rest($0, size: size) }, request: "ab")
    }

    @Test(
        arguments: [
            (["content-range": "bytes 40-99/100"], true),
            (["content-range": "bytes 40-99/100", "etag": "\"1\""], true),
            // Less than was requested.
            (["content-range": "bytes 40-49/100"], true),
            (["content-range": "bytes 40-99/100", "content-encoding": "identity"], true),
            // Another range, length, state or coding, or one that cannot be parsed.
            (["content-range": "bytes 39-99/100"], false), (["content-range": "bytes 41-99/100"], false),
            (["content-range": "bytes 0-99/100"], false), (["content-range": "bytes 40-100/101"], false),
            (["content-range": "bytes 40-98/99"], false), (["content-range": "bytes 40-99/*"], false),
            (["content-range": "bytes */100"], false), (["content-range": "40-99/100"], false), ([:], false),
            (["content-type": "multipart/byteranges; boundary=x"], false),
            (["content-range": "bytes 40-99/100", "etag": "\"2\""], false),
            (["content-range": "bytes 40-99/100", "etag": "W/\"1\""], false),
            (["content-range": "bytes 40-99/100", "content-encoding": "gzip"], false),
        ] as [([String: String], Bool)])
    func `A partial response is used only if it continues the part`(_ fields: [String: String], _ fits: Bool) {
        var all = HTTPFields()
        for (name, value) in fields { all[HTTPField.Name(name)!] = value }
        #expect(step(Self.response(206, all)) == (fits ? .append(offset: 40) : .requestAll))
    }

    @Test func `A date has to stay the same too`() {
        let range = HTTPField(name: .contentRange, value: "bytes 40-99/100")
        let same = HTTPField(name: .lastModified, value: "Sun, 06 Nov 1994 08:49:37 GMT")
        let other = HTTPField(name: .lastModified, value: "Sun, 06 Nov 1994 08:49:38 GMT")
        #expect(step(Self.response(206, [range, same].asFields), Self.dated) == .append(offset: 40))
        #expect(step(Self.response(206, [range, other].asFields), Self.dated) == .requestAll)
    }

    @Test func `A complete response starts over, and is remembered if it can be continued`() {
        let fields: HTTPFields = [.eTag: "\"2\"", .contentLength: "50"]
        let state = DownloadState(request: "ab", validator: .entityTag("\"2\""), total: 50)
        #expect(step(Self.response(200, fields)) == .startOver(state))
        #expect(step(Self.response(200, fields), nil) == .startOver(state))
        for (name, value) in [
            (HTTPField.Name.eTag, "W/\"2\""), (.contentLength, "5O"), (.contentLength, ""), (.contentEncoding, "gzip"),
            (.acceptRanges, "none"), (.contentLength, "99999999999999999999"), (.contentLength, "-1"),
        ] {
            var changed = fields
            changed[name] = value
            #expect(step(Self.response(200, changed)) == .startOver(nil), "\(name): \(value)")
        }
    }

    @Test func `416 means everything, and other statuses the end`() {
        #expect(step(Self.response(416)) == .requestAll)
        for (status, state) in [
            (416, nil), (206, nil), (404, Self.state), (204, nil), (301, nil), (304, Self.state), (500, nil),
        ] {
            guard case .refuse(let error) = step(Self.response(status), state) else {
                Issue.record("\(status) is used")
                continue
            }
            #expect(error.code == .unexpectedResponse)
            #expect(error.message.contains("\(status)"))
        }
    }

    @Test func `The rest begins where the part ends, and a whole part asks for its last byte`() {
        func offset(_ size: Int, total: Int = 100) -> Int? {
            DownloadStep.Rest(DownloadState(request: "ab", validator: .entityTag("\"1\""), total: total), size: size)?
                .offset
        }
        #expect(offset(0) == nil)
        #expect(offset(1) == 1)
        #expect(offset(99) == 99)
        #expect(offset(100) == 99)
        #expect(offset(101) == nil)
        #expect(offset(0, total: 0) == nil)
        #expect(offset(1, total: 1) == nil)
        var request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/")
        DownloadStep.Rest(Self.state, size: 40)?.apply(to: &request)
        #expect(request.headerFields[.range] == "bytes=40-")
        #expect(request.headerFields[.ifRange] == "\"1\"")
    }

    @Test func `What is known of a part is read as it was written, and nothing else`() {
        for state in [Self.state, Self.dated] {
            let bytes = Array(state.text.utf8)
            #expect(DownloadState(bytes) == state)
            for count in 0..<bytes.count { #expect(DownloadState(Array(bytes[..<count])) == nil, "cut at \(count)") }
            #expect(DownloadState(bytes + [0x0a]) == nil)
        }
        for text in [
            "", "h2client-download 3\nrequest a\nlength 1\netag \"1\"\nend\n",
            "h2client-download 1\nrequest a\nlength -1\netag \"1\"\nend\n",
            "h2client-download 1\nrequest a\nlength +1\netag \"1\"\nend\n",
            "h2client-download 1\nrequest a\nlength 1\netag W/\"1\"\nend\n",
            "h2client-download 1\nrequest a\nlength 99999999999999999999\netag \"1\"\nend\n",
        ] {
            #expect(DownloadState(Array(text.utf8)) == nil)
        }
        #expect(DownloadState([0xff, 0xfe]) == nil)
    }
}

extension [HTTPField] {
    fileprivate var asFields: HTTPFields { HTTPFields(self) }
}
