import H2Platform
import Testing

/// A client made of a blocking socket and hand-written frames: what it sends, no library has checked.
///
/// Every read and write ends after a minute at the latest.
package final class RawPeer {
    package struct Frame: CustomStringConvertible {
        package var type: UInt8
        package var flags: UInt8
        package var stream: UInt32
        package var payload: [UInt8]

        /// The big-endian number at an offset of the payload.
        package func number(at offset: Int) -> UInt32 {
            payload[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }
        package var description: String { "type \(type) flags \(flags) stream \(stream) length \(payload.count)" }
    }

    package static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    package let socket: RawSocket
    private var buffer: [UInt8] = []

    package init(_ socket: RawSocket) { self.socket = socket }

    /// - Parameter receiveBuffer: bytes that the system may hold for it; nil for the usual.
    package convenience init(port: Int, receiveBuffer: CInt? = nil) throws {
        self.init(try RawSocket.connect(to: port, receiveBuffer: receiveBuffer))
    }

    // MARK: - Sending

    /// Sends what the other end takes; that it is gone shows when reading.
    package func send(_ bytes: [UInt8]) { try? socket.send(bytes) }

    package static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags]
            + bytes(stream) + payload
    }

    package static func bytes(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(number >> (24 - 8 * $0) & 255) } }

    /// Preface, empty SETTINGS and the acknowledgement of the server's, which is sent before it came.
    package func greet() { send(Self.preface + Self.frame(4) + Self.frame(4, flags: 1)) }

    /// A literal field without indexing or Huffman coding.
    package static func field(_ name: String, _ value: String) -> [UInt8] { [0] + string(name) + string(value) }

    /// RFC 7541 section 5.
    private static func string(_ text: String) -> [UInt8] {
        var rest = text.utf8.count
        guard rest >= 127 else { return [UInt8(rest)] + text.utf8 }
        var bytes: [UInt8] = [127]
        rest -= 127
        while rest >= 128 {
            bytes.append(UInt8(rest & 127 | 128))
            rest >>= 7
        }
        return bytes + [UInt8(rest)] + text.utf8
    }

    package func request(
        _ path: String, stream: UInt32 = 1, method: String = "GET", fields: [(String, String)] = [], ends: Bool = true
    ) {
        var block = Self.field(":method", method) + Self.field(":scheme", "http")
        block += Self.field(":path", path) + Self.field(":authority", "localhost")
        for (name, value) in fields { block += Self.field(name, value) }
        send(Self.frame(1, flags: ends ? 5 : 4, stream: stream, block))
    }

    // MARK: - Receiving

    /// Reads `count` bytes at most and keeps them for `next`; false at the connection's end.
    package func trickle(_ count: Int = 64 << 10) -> Bool {
        switch socket.read(upTo: count) {
        case .bytes(let bytes):
            buffer += bytes
            return true
        case .failed(EAGAIN):
            Issue.record("nothing came for a minute")
            return false
        case .end, .failed:
            return false
        }
    }

    /// The next bytes; nil where the connection ends before.
    package func take(_ count: Int) -> [UInt8]? {
        while buffer.count < count { guard trickle() else { return nil } }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    /// The next frame; nil at the connection's end, however it ended.
    package func next() -> Frame? {
        guard let head = take(9) else { return nil }
        let count = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
        guard let payload = take(count) else { return nil }
        return Frame(
            type: head[3], flags: head[4], stream: head[5..<9].reduce(0) { $0 << 8 | UInt32($1) }, payload: payload)
    }

    /// The next frame of a type, others skipped.
    package func next(_ type: UInt8) -> Frame? {
        while let frame = next() {
            if frame.type == type { return frame }
        }
        return nil
    }

    /// The response on one stream, until it ends, is reset, or the connection ends.
    package struct Answer {
        package var body: [UInt8] = []
        package var headers: [Frame] = []
        package var resetCode: UInt32?
        package var ended = false
    }

    package func answer(stream: UInt32 = 1) -> Answer {
        var answer = Answer()
        while let frame = next() {
            guard frame.stream == stream else { continue }
            switch frame.type {
            case 0: answer.body += frame.payload
            case 1: answer.headers.append(frame)
            case 3:
                answer.resetCode = frame.number(at: 0)
                return answer
            default: continue
            }
            if frame.flags & 1 != 0 {
                answer.ended = true
                return answer
            }
        }
        return answer
    }

    /// Everything up to the connection's end.
    package func rest() -> [Frame] {
        var frames: [Frame] = []
        while let frame = next() { frames.append(frame) }
        return frames
    }
}
