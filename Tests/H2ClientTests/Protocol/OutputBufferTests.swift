import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct OutputBufferTests {
    @Test func `Bytes leave in the order they came, through growth and wrap`() {
        var random = SeededGenerator(seed: 9)
        var buffer = OutputBuffer(capacity: 16)
        var model: [UInt8] = []
        var next: UInt8 = 0
        for _ in 0..<5_000 {
            if random.oneIn(2) {
                let count = random.int(0...40)
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: Int(next) + $0) }
                next &+= UInt8(count)
                bytes.withUnsafeBytes { if let base = $0.baseAddress { buffer.append(base, count: count) } }
                model += bytes
            } else if random.oneIn(10) {
                let count = random.int(0...min(5, model.count))
                buffer.removeLast(count)
                model.removeLast(count)
            } else {
                let count = random.int(0...model.count)
                buffer.removeFirst(count)
                model.removeFirst(count)
            }
            #expect(buffer.count == model.count)
            #expect(buffer.isEmpty == model.isEmpty)
            #expect(buffer.bytes.elementsEqual(model))
        }
    }

    @Test func `A buffer that is just full stays where it is, and moves its bytes before it grows`() {
        var buffer = OutputBuffer(capacity: 16)
        func append(_ count: Int) {
            [UInt8](repeating: 7, count: count).withUnsafeBytes { buffer.append($0.baseAddress!, count: count) }
        }
        append(1)
        let place = buffer.bytes.baseAddress
        append(15)
        #expect(buffer.bytes.baseAddress == place)
        // Removing the front leaves enough room.
        buffer.removeFirst(8)
        append(8)
        #expect(buffer.bytes.baseAddress == place)
        #expect(buffer.count == 16)
        // Also behind what was taken, and no byte is moved for it.
        buffer.removeFirst(10)
        append(4)
        buffer.removeFirst(2)
        let behind = buffer.bytes.baseAddress
        append(6)
        #expect(buffer.bytes.baseAddress == behind)
        buffer.removeFirst(buffer.count)
        append(16)
        append(1)
        #expect(buffer.bytes.baseAddress != place)
        #expect(buffer.bytes.elementsEqual(repeatElement(7, count: 17)))
        // It has twice the room now.
        let larger = buffer.bytes.baseAddress
        append(15)
        #expect(buffer.bytes.baseAddress == larger)
    }
}
