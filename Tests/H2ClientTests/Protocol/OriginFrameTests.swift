import H2TestSupport
import Testing

@testable import H2Client

/// ORIGIN frames (RFC 8336).
@Suite(.inTurn) struct OriginFrameTests {
    private func frame(_ origins: [String], flags: UInt8 = 0, stream: Int32 = 0) -> Frame {
        let payload = origins.flatMap { origin in
            let bytes = Array(origin.utf8)
            return [UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes
        }
        return Frame(0x0c, flags: flags, streamID: stream, payload: payload)
    }

    private func hasChanged(_ rig: SessionRig) -> Bool {
        defer { rig.session.events = [] }
        return rig.session.events.contains { if case .originSetChanged = $0 { true } else { false } }
    }

    @Test func `Before an ORIGIN frame there is no origin set`() {
        #expect(SessionRig().session.originSet == nil)
    }

    @Test func `The set begins with the connection's own origin, and grows`() throws {
        let rig = SessionRig()
        #expect(rig.receive(frame(["https://a.example", "https://b.example:8443"])) == nil)
        #expect(hasChanged(rig))
        #expect(
            rig.session.originSet?.descriptions == [
                "https://example.org", "https://a.example", "https://b.example:8443",
            ])
        rig.receive(frame(["https://C.example:443"]))
        #expect(hasChanged(rig))
        #expect(rig.session.originSet?.contains(try Origin("https://c.example")) == true)
        #expect(rig.session.originSet?.contains(try Origin("https://d.example")) == false)
        rig.receive(frame(["https://a.example"]))
        #expect(!hasChanged(rig))
    }

    @Test func `An empty frame makes the connection's own origin the only one`() {
        let rig = SessionRig()
        rig.receive(frame([]))
        #expect(hasChanged(rig))
        #expect(rig.session.originSet?.descriptions == ["https://example.org"])
    }

    @Test(arguments: [
        "", "null", "example.com", "https://", "https://a.example/", "https://a.example/path", "https://u@a.example",
        "https://a.example?q", "http://a.example", "ftp://a.example", "https://a.example:0", "https://a b.example",
        "https://a.example:99999", "https://a.example\0.b.example", "https://*.example", "https://ä.example",
        String(repeating: "a", count: 600),
    ])
    func `What is no origin is passed over, and the entries beside it are not`(entry: String) {
        let rig = SessionRig()
        #expect(rig.receive(frame([entry, "https://good.example"])) == nil)
        #expect(rig.session.originSet?.descriptions == ["https://example.org", "https://good.example"])
    }

    @Test func `A frame with flags, on a stream, cut off, or on a cleartext connection is ignored`() throws {
        let rig = SessionRig()
        for flag: UInt8 in [1, 2, 4, 8] { rig.receive(frame(["https://a.example"], flags: flag)) }
        let stream = try rig.sentRequest()
        rig.receive(frame(["https://a.example"], stream: stream.id))
        rig.receive(Frame(0x0c, payload: [0, 9, 1]))
        rig.receive(Frame(0x0c, payload: [0]))
        #expect(rig.session.originSet == nil)
        #expect(rig.session.violation == nil)
        let cleartext = SessionRig(scheme: .http)
        cleartext.receive(frame(["https://a.example"]))
        #expect(cleartext.session.originSet == nil)
    }

    @Test func `No more than 1,000 origins are kept, nor 64 KiB of them`() {
        let rig = SessionRig()
        for batch in 0..<30 {
            #expect(rig.receive(frame((0..<50).map { "https://h\(batch * 50 + $0).example" })) == nil)
        }
        #expect(rig.session.originSet?.origins.count == 1_000)
        let long = SessionRig()
        let label = String(repeating: "x", count: 240)
        for batch in 0..<30 {
            #expect(long.receive(frame((0..<20).map { "https://h\(batch * 20 + $0).\(label).example" })) == nil)
        }
        let bytes = long.session.originSet?.descriptions.reduce(0) { $0 + $1.utf8.count } ?? 0
        #expect((60_000...65_536).contains(bytes), "\(bytes)")
    }

    @Test func `An origin that was misdirected leaves the set`() throws {
        let rig = SessionRig()
        rig.receive(frame(["https://a.example"]))
        rig.session.originSet?.remove(try Origin("https://a.example"))
        #expect(rig.session.originSet?.descriptions == ["https://example.org"])
    }

    @Test func `A flood of ORIGIN frames ends the connection`() {
        let rig = SessionRig()
        var error: H2Error?
        for _ in 0..<2_000 where error == nil { error = rig.receive(frame(["https://a.example"])) }
        #expect(error?.code == .limitExceeded)
        // Those that are ignored count as well.
        let ignoring = SessionRig()
        error = nil
        for _ in 0..<2_000 where error == nil { error = ignoring.receive(frame([], stream: 1)) }
        #expect(error?.code == .limitExceeded)
    }

    @Test func `The log of frames has what it says`() {
        let log = Log()
        var configuration = ConnectionConfiguration()
        configuration.onFrame = { log.note($0) }
        let rig = SessionRig(configuration)
        rig.receive(frame(["https://a.example", "b\u{7}"]))
        #expect(log.records.last?.type == "ORIGIN")
        #expect(log.records.last?.detail == "https://a.example b\\x07")
        rig.receive(frame((0..<40).map { "https://h\($0).example" }))
        #expect(log.records.last?.detail.hasSuffix("and 24 more") == true)
    }

    /// Invariant behind `@unchecked Sendable`: the session calls on the test's thread.
    private final class Log: @unchecked Sendable {
        private(set) var records: [FrameRecord] = []
        func note(_ record: FrameRecord) { records.append(record) }
    }
}
