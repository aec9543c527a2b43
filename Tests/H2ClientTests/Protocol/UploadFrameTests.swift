import Foundation
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Request bodies and trailers as frames (RFC 9113 section 8.1).
@Suite(.inTurn) struct UploadFrameTests {
    private func data(_ frames: [Frame]) -> [UInt8] {
        frames.filter { $0.type == Frame.Kind.data }.flatMap(\.payload)
    }

    @Test func `A request without a body ends with its head`() throws {
        let rig = SessionRig()
        _ = try rig.request()
        let frames = rig.sent()
        #expect(frames.map(\.type) == [Frame.Kind.headers])
        #expect(frames[0].endsStream)
    }

    @Test func `A body in memory goes out in order and ends the stream once`() throws {
        let rig = SessionRig(settings: [Setting.initialWindowSize: 1 << 20])
        let body = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        _ = try rig.request(.post, body: .bytes(body, offset: 0))
        let frames = rig.sent()
        #expect(data(frames) == body)
        #expect(frames.filter(\.endsStream).count == 1)
        #expect(frames.last?.endsStream == true)
    }

    @Test func `Chunks go out as they come, and an end without a chunk is an empty DATA frame`() throws {
        let rig = SessionRig()
        let stream = try rig.request(.post, body: .awaitingChunk)
        #expect(data(rig.sent()) == [])
        stream.outgoing = .chunk(text("one"), offset: 0)
        rig.session.resumeBody(stream)
        #expect(data(rig.sent()) == text("one"))
        #expect(stream.bodyRequests == 1)
        stream.outgoing = .finished
        rig.session.resumeBody(stream)
        let frames = rig.sent()
        #expect(frames.map(\.payload) == [[]])
        #expect(frames.last?.endsStream == true)
        #expect(stream.isOutgoingDone)
    }

    @Test func `A chunk larger than the window is taken only when all of it has gone`() throws {
        let rig = SessionRig(settings: [Setting.initialWindowSize: 10])
        let stream = try rig.request(.post, body: .chunk(text("0123456789abcdef"), offset: 0))
        #expect(data(rig.sent()) == text("0123456789"))
        #expect(stream.bodyRequests == 0)
        rig.receive(.windowUpdate(stream.id, 6))
        #expect(data(rig.sent()) == text("abcdef"))
        #expect(stream.bodyRequests == 1)
    }

    @Test(arguments: [0, 5]) func `Trailers end the stream, after a body of any length`(_ count: Int) throws {
        let rig = SessionRig()
        let body = [UInt8](repeating: 1, count: count)
        let outgoing: StreamState.Outgoing = body.isEmpty ? .done : .bytes(body, offset: 0)
        let stream = try rig.request(.post, body: outgoing, trailers: [HTTPField.Name("x-sum")!: "9"])
        let frames = rig.sent()
        #expect(data(frames) == body)
        let last = try #require(frames.last)
        #expect(last.type == Frame.Kind.headers)
        #expect(last.endsStream)
        #expect(frames.filter(\.endsStream).count == 1)
        #expect(stream.isOutgoingDone)
        _ = rig.decoder.decode(frames[0].payload)
        #expect(rig.decoder.decode(last.payload) == [Field("x-sum", "9")])
    }

    @Test func `Trailers after chunks`() throws {
        let rig = SessionRig()
        let stream = try rig.request(.post, body: .awaitingChunk, trailers: [HTTPField.Name("x-sum")!: "9"])
        rig.sent()
        stream.outgoing = .chunk(text("abc"), offset: 0)
        rig.session.resumeBody(stream)
        rig.sent()
        stream.outgoing = .finished
        rig.session.resumeBody(stream)
        let frames = rig.sent()
        #expect(data(frames) == [])
        #expect(frames.last?.type == Frame.Kind.headers)
        #expect(frames.last?.endsStream == true)
        #expect(stream.isOutgoingDone)
    }

    @Test func `Trailers that have no place in HTTP-2 reset the stream, and the fault is the caller's`() throws {
        let rig = SessionRig()
        let stream = try rig.request(.post, body: .bytes([1], offset: 0), trailers: [.connection: "close"])
        rig.sent()
        #expect(stream.failure?.code == .invalidRequest, "\(String(describing: stream.failure))")
        #expect(stream.failure?.initiator == .user)
    }

    @Test func `A file goes out as it is, and its descriptor is closed`() throws {
        let path = NSTemporaryDirectory() + "h2-upload-\(UUID().uuidString)"
        let body = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 / 3) }
        try Data(body).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        var file: BodyFile? = try BodyFile(path)
        let descriptor = file!.descriptor
        let rig = SessionRig()
        let stream = try rig.request(.put, body: .file(FileBody(file!)))
        file = nil
        #expect(data(rig.sent()) == body)
        #expect(stream.isOutgoingDone)
        #expect(fcntl(descriptor, F_GETFD) == -1)
    }

    #if os(Linux)
        @Test func `A file that does not say how long it is is refused rather than sent as nothing`() throws {
            let error = #expect(throws: H2Error.self) { try BodyFile("/proc/version") }
            #expect(error?.code == .localIO)
            #expect(error?.remedy == "stream it instead")
        }
    #endif

    @Test func `A file that shrinks while it is sent resets the stream`() throws {
        let path = NSTemporaryDirectory() + "h2-upload-\(UUID().uuidString)"
        try Data([UInt8](repeating: 1, count: 3_000)).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = try BodyFile(path)
        let rig = SessionRig(settings: [Setting.initialWindowSize: 1_000])
        let stream = try rig.request(.put, body: .file(FileBody(file)))
        #expect(data(rig.sent()).count == 1_000)
        truncate(path, 1_500)
        rig.receive(.windowUpdate(stream.id, 1_000))
        let frames = rig.sent()
        // What is left of it goes out, and nothing that looks like an end.
        #expect(data(frames).count == 500)
        let ends = frames.contains { $0.endsStream }
        #expect(!ends)
        #expect(frames.contains { $0.type == Frame.Kind.resetStream })
        #expect(stream.failure?.code == .localIO)
        #expect(stream.failure?.initiator == .user)
        // The connection goes on.
        let other = try rig.sentRequest()
        rig.receive(rig.head(other, endStream: true))
        #expect(other.hasEnded)
    }

    @Test(arguments: ["/no/such/file", "/dev/null", "/"]) func `What is no regular file is refused`(_ path: String) {
        let error = #expect(throws: H2Error.self) { try BodyFile(path) }
        #expect(error?.code == .localIO)
        #expect(error?.message.contains(path) == true)
    }

    @Test func `A whole answer ends an upload with RST_STREAM NO_ERROR and stays whole`() throws {
        let rig = SessionRig()
        let stream = try rig.request(.post, body: .awaitingChunk)
        rig.sent()
        rig.receive(rig.head(stream, status: "413"), .data(stream.id, text("no"), endStream: true))
        #expect(rig.sent(Frame.Kind.resetStream).map { $0.number() } == [0])
        #expect(stream.hasEnded)
        #expect(stream.isOutgoingDone)
        #expect(stream.bodyText == "no")
        #expect(rig.session.openStreamCount == 0)
    }

    @Test func `A whole answer stays whole when the server resets the upload`() throws {
        let rig = SessionRig()
        let stream = try rig.request(.post, body: .awaitingChunk)
        rig.sent()
        rig.receive(
            rig.head(stream, status: "413"), .data(stream.id, text("no"), endStream: true), .resetStream(stream.id, 0))
        rig.sent()
        #expect(stream.hasEnded)
        #expect(stream.failure == nil)
    }
}
