import Foundation
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Bodies that wait for 100 (Continue).
extension UploadTests {
    func expecting(
        _ rig: ConnectionRig, _ limit: Duration = .seconds(1), _ body: HTTPRequestBody = .bytes([1, 2, 3])
    ) -> Pending<Int> {
        var options = RequestOptions()
        options.expectContinue = limit
        return rig.start { [options] in try await $0.send(.to("/", .post), body: body, options: options).status.code }
    }

    func head(_ rig: ConnectionRig, _ status: String, endStream: Bool = false) -> Frame {
        .headers(1, rig.encoder.encode([(":status", status)]), endStream: endStream)
    }

    @Test(arguments: [true, false]) func `The body waits for 100`(_ isWriter: Bool) throws {
        let rig = ConnectionRig(isScripted: true)
        let body: HTTPRequestBody =
            isWriter ? .writer(length: 3) { try await $0.write([1, 2, 3]) } : .bytes([1, 2, 3])
        let pending = expecting(rig, .seconds(10), body)
        rig.advance(1_000)
        #expect(rig.received(Frame.Kind.data).isEmpty)
        let fields = try #require(rig.decoder.decode(rig.received(Frame.Kind.headers)[0].payload))
        #expect(fields.contains(Field("expect", "100-continue")))
        #expect(fields.contains(Field("content-length", "3")))
        rig.wire.send(head(rig, "100"))
        rig.settle()
        #expect(rig.received(Frame.Kind.data).flatMap(\.payload) == [1, 2, 3])
        #expect(rig.received.contains { $0.type == Frame.Kind.data && $0.endsStream })
        rig.wire.send(head(rig, "200", endStream: true))
        rig.finish(pending)
        #expect(pending.value == 200)
        rig.expectNothingLeft()
    }

    @Test func `A server that says nothing gets the body after the time`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = expecting(rig, .milliseconds(200))
        rig.advance(190)
        #expect(rig.received(Frame.Kind.data).isEmpty)
        rig.advance(30)
        #expect(rig.received(Frame.Kind.data).flatMap(\.payload) == [1, 2, 3])
        rig.wire.send(head(rig, "200", endStream: true))
        rig.finish(pending)
        rig.expectNothingLeft()
    }

    @Test func `The time for 100 begins when the header fields leave, not before`() {
        let rig = ConnectionRig(isScripted: true)
        // The socket is full of another request when this one begins.
        (rig.wire.shape.room, rig.wire.isStalled) = (20, true)
        let other = rig.start { try await $0.send(.to("/other")).status.code }
        rig.advance(1)
        let pending = expecting(rig, .milliseconds(200))
        rig.advance(150)
        (rig.wire.shape.room, rig.wire.isStalled) = (1 << 20, false)
        rig.advance(190)
        #expect(rig.received(Frame.Kind.headers).count == 2)
        #expect(rig.received(Frame.Kind.data).isEmpty)
        rig.advance(250)
        #expect(rig.received(Frame.Kind.data).flatMap(\.payload) == [1, 2, 3])
        rig.wire.send(head(rig, "200", endStream: true))
        rig.wire.send(.headers(3, rig.encoder.encode([(":status", "200")]), endStream: true))
        rig.finish(pending)
        rig.finish(other)
        rig.expectNothingLeft()
    }

    @Test func `A final answer instead of 100 means that the body is not sent`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = expecting(rig, .milliseconds(200))
        rig.settle()
        rig.wire.send(head(rig, "417", endStream: true))
        rig.finish(pending)
        #expect(pending.value == 417)
        rig.advance(1_000)
        #expect(rig.received(Frame.Kind.data).isEmpty)
        rig.expectNothingLeft()
    }

    @Test func `Another informational response does not release the body`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = expecting(rig, .milliseconds(500))
        rig.settle()
        rig.wire.send(head(rig, "103"))
        rig.settle()
        #expect(rig.received(Frame.Kind.data).isEmpty)
        pending.task?.cancel()
        rig.finish(pending)
        rig.expectNothingLeft()
    }
}
