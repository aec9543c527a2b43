import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// The limits that a server's SETTINGS set (RFC 9113 section 6.5.2).
@Suite(.inTurn) struct PeerLimitTests {
    @Test func `100 streams are assumed until SETTINGS arrive, then what they say, and no limit where they say none`() {
        let rig = SessionRig(greets: false)
        #expect(rig.session.maxConcurrentStreams == 100)
        rig.receive(.settings([Setting.maxConcurrentStreams: 7]))
        #expect(rig.session.maxConcurrentStreams == 7)
        let other = SessionRig()
        #expect(other.session.maxConcurrentStreams >= 100)
    }

    @Test func `A slot is free below the limit, also when it was lowered below what is open, or to 0`() throws {
        let rig = SessionRig(settings: [Setting.maxConcurrentStreams: 2])
        let (first, second) = (try rig.sentRequest(), try rig.sentRequest())
        #expect(!rig.session.hasFreeSlot)
        rig.receive(.settings([Setting.maxConcurrentStreams: 1]))
        rig.receive(rig.head(first, endStream: true))
        #expect(!rig.session.hasFreeSlot)
        rig.receive(rig.head(second, endStream: true))
        #expect(rig.session.hasFreeSlot)
        rig.receive(.settings([Setting.maxConcurrentStreams: 0]))
        #expect(!rig.session.hasFreeSlot)
        rig.receive(.settings([Setting.maxConcurrentStreams: 1]))
        #expect(rig.session.hasFreeSlot)
    }

    @Test func `Our own limit holds where the server's is wider`() throws {
        var configuration = ConnectionConfiguration()
        configuration.limits.concurrentStreams = 1
        let rig = SessionRig(configuration, settings: [Setting.maxConcurrentStreams: 50])
        _ = try rig.sentRequest()
        #expect(!rig.session.hasFreeSlot)
    }

    @Test(arguments: [0, 64, 4096, 65_536])
    func `Heads are compressed within the table that the server allows`(_ size: UInt32) throws {
        let rig = SessionRig(settings: [Setting.headerTableSize: size])
        rig.decoder.setTableSize(Int(size))
        for number in 0..<20 {
            _ = try rig.request(fields: [HTTPField.Name("x-name")!: "value-\(number)", .userAgent: "test"])
            let head = try #require(rig.sent(Frame.Kind.headers).first)
            let fields = try #require(rig.decoder.decode(head.payload), "request \(number)")
            #expect(fields.contains(Field("x-name", "value-\(number)")))
            #expect(fields.contains(Field("user-agent", "test")))
        }
    }

    @Test func `The table may be changed in the middle`() throws {
        let rig = SessionRig()
        for size: UInt32 in [4096, 0, 100, 4096, 0] {
            rig.receive(.settings([Setting.headerTableSize: size]))
            rig.sent()
            rig.decoder.setTableSize(Int(size))
            for _ in 0..<3 {
                _ = try rig.request(fields: [HTTPField.Name("x-name")!: "value"])
                let head = try #require(rig.sent(Frame.Kind.headers).first)
                #expect(rig.decoder.decode(head.payload)?.contains(Field("x-name", "value")) == true)
            }
        }
    }

    @Test func `A request head that is larger than a frame goes out in CONTINUATIONs`() throws {
        let rig = SessionRig()
        var fields = HTTPFields()
        for number in 0..<30 {
            fields.append(HTTPField(name: HTTPField.Name("x-\(number)")!, value: String(repeating: "~", count: 1_000)))
        }
        _ = try rig.request(fields: fields)
        let frames = rig.sent()
        #expect(frames[0].type == Frame.Kind.headers)
        #expect(!frames[0].has(Frame.Flag.endHeaders))
        #expect(frames.dropFirst().allSatisfy { $0.type == Frame.Kind.continuation })
        #expect(frames.last?.has(Frame.Flag.endHeaders) == true)
        #expect(rig.decoder.decode(frames.flatMap(\.payload))?.count == 34)
    }

    @Test func `The settings of both sides can be asked for`() {
        let rig = SessionRig(settings: [
            Setting.headerTableSize: 1, Setting.maxConcurrentStreams: 2, Setting.initialWindowSize: 3,
            Setting.maxFrameSize: 20_000, Setting.maxHeaderListSize: 5,
        ])
        let remote = rig.session.settings(remote: true)
        #expect(
            remote
                == ConnectionSnapshot.Settings(
                    headerTableSize: 1, maxConcurrentStreams: 2, initialWindowSize: 3, maxFrameSize: 20_000,
                    maxHeaderListSize: 5))
        let local = rig.session.settings(remote: false)
        #expect(local.initialWindowSize == 1 << 20)
        #expect(local.maxHeaderListSize == 64 << 10)
        #expect(local.maxConcurrentStreams == nil)
        #expect(SessionRig().session.settings(remote: true).maxHeaderListSize == nil)
    }

    @Test(arguments: [(0x7fff_fffe, 0x7fff_fffe), (0x7fff_ffff, nil), (0xffff_ffff, nil)] as [(UInt32, Int?)])
    func `A limit that no client reaches is none`(_ said: UInt32, _ limit: Int?) {
        let rig = SessionRig(settings: [Setting.maxConcurrentStreams: said, Setting.maxHeaderListSize: said])
        let remote = rig.session.settings(remote: true)
        #expect(remote.maxConcurrentStreams == limit)
        #expect(remote.maxHeaderListSize == limit)
    }
}
