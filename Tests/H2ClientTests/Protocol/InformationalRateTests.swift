import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Informational responses (RFC 9110 section 15.2): for hours where they come slowly, and no flood of them.
@Suite(.inTurn) struct InformationalRateTests {
    private func answer(_ count: Int, every seconds: Double, _ fields: [(String, String)] = []) throws -> [H2Error?] {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        let old = HTTP1Rig()
        let request = try old.sentRequest()
        let lines = fields.map { "\($0.0): \($0.1)\r\n" }.joined()
        for _ in 0..<count {
            rig.now += UInt64(seconds * 1e9)
            old.now = rig.now
            rig.receive(rig.head(stream, fields, status: "102"))
            stream.informational = []
            old.receive("HTTP/1.1 102 Processing\r\n\(lines)\r\n")
            request.informational = []
        }
        rig.receive(rig.head(stream, endStream: true))
        rig.sent()
        old.receive("HTTP/1.1 204 No Content\r\n\r\n")
        #expect(stream.hasEnded == (stream.failure == nil))
        #expect(request.hasEnded == (request.failure == nil))
        return [stream.failure, request.failure]
    }

    @Test(arguments: [(4_320, 20.0), (50_000, 1.0), (100, 0.0)])
    func `They may come for hours where they come slowly, and some at once`(_ count: Int, _ seconds: Double) throws {
        for failure in try answer(count, every: seconds) { #expect(failure == nil) }
    }

    @Test(arguments: [(101, 0.0), (300, 0.5), (10_000, 0.9)])
    func `A flood of them fails the request, in both versions`(_ count: Int, _ seconds: Double) throws {
        for failure in try answer(count, every: seconds) {
            #expect(failure?.code == .limitExceeded)
            #expect(failure?.message.contains("our limit is 100 at once") == true)
        }
    }

    @Test func `A flood of their fields fails it too`() throws {
        let fields = [("link", String(repeating: "x", count: 12_000))]
        for failure in try answer(40, every: 0.1, fields) { #expect(failure?.code == .limitExceeded) }
        for failure in try answer(100, every: 20, fields) { #expect(failure == nil) }
    }

    @Test func `The limit is the configuration's`() throws {
        var configuration = ConnectionConfiguration()
        configuration.limits.informationalResponses = 2
        configuration.limits.informationalResponsesPerSecond = 0
        for (count, isGood) in [(2, true), (3, false)] {
            let rig = SessionRig(configuration)
            let stream = try rig.sentRequest()
            for _ in 0..<count {
                rig.receive(rig.head(stream, status: "103"))
                rig.now += 3_600_000_000_000
            }
            rig.sent()
            #expect((stream.failure == nil) == isGood)
        }
    }

    @Test func `The count of one request is none of the next one's`() throws {
        let rig = HTTP1Rig()
        for _ in 0..<5 {
            let stream = try rig.sentRequest()
            for _ in 0..<100 { rig.receive("HTTP/1.1 103 Hints\r\n\r\n") }
            rig.receive("HTTP/1.1 204 No Content\r\n\r\n")
            #expect(stream.hasEnded)
        }
    }
}
