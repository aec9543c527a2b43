import Foundation
import H2Platform
import Testing

/// A client made of a blocking socket and hand-written frames: what it sends, no library has checked.
///
/// Every read and write ends after half a minute at the latest.
final class RawPeer {
    struct Frame: CustomStringConvertible {
        var type: UInt8
        var flags: UInt8
        var stream: UInt32
        var payload: [UInt8]

        /// The big-endian number at an offset of the payload.
        func number(at offset: Int) -> UInt32 {
            payload[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }
        var description: String { "type \(type) flags \(flags) stream \(stream) length \(payload.count)" }
    }

    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    private let descriptor: CInt
    private var buffer: [UInt8] = []

    /// - Parameter receiveBuffer: bytes that the system may hold for it; nil for the usual.
    init(port: Int, receiveBuffer: CInt? = nil) throws {
        descriptor = socket(AF_INET, streamSocketType, 0)
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<CInt>.size))
        }
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if status != 0 { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    }

    deinit { close(descriptor) }

    // MARK: - Sending

    func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Foundation.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags]
            + bytes(stream) + payload
    }

    static func bytes(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(number >> (24 - 8 * $0) & 255) } }

    /// Preface, empty SETTINGS and the acknowledgement of the server's, which is sent before it came.
    func greet() { send(Self.preface + Self.frame(4) + Self.frame(4, flags: 1)) }

    /// A literal field without indexing or Huffman coding.
    static func field(_ name: String, _ value: String) -> [UInt8] { [0] + string(name) + string(value) }

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

    func request(
        _ path: String, stream: UInt32 = 1, method: String = "GET", fields: [(String, String)] = [], ends: Bool = true
    ) {
        var block = Self.field(":method", method) + Self.field(":scheme", "http")
        block += Self.field(":path", path) + Self.field(":authority", "localhost")
        for (name, value) in fields { block += Self.field(name, value) }
        send(Self.frame(1, flags: ends ? 5 : 4, stream: stream, block))
    }

    // MARK: - Receiving

    /// Reads so many bytes at most and keeps them for `next`; false at the connection's end.
    func trickle(_ count: Int) -> Bool {
        var chunk = [UInt8](repeating: 0, count: count)
        let got = recv(descriptor, &chunk, count, 0)
        guard got > 0 else { return false }
        buffer += chunk[..<got]
        return true
    }

    /// The next frame; nil at the connection's end, however it ended.
    func next() -> Frame? {
        while true {
            if buffer.count >= 9 {
                let count = Int(buffer[0]) << 16 | Int(buffer[1]) << 8 | Int(buffer[2])
                if buffer.count >= 9 + count {
                    let frame = Frame(
                        type: buffer[3], flags: buffer[4],
                        stream: buffer[5..<9].reduce(0) { $0 << 8 | UInt32($1) }, payload: Array(buffer[9..<9 + count]))
                    buffer.removeFirst(9 + count)
                    return frame
                }
            }
            var chunk = [UInt8](repeating: 0, count: 65_536)
            let got = recv(descriptor, &chunk, chunk.count, 0)
            if got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) { Issue.record("nothing came for half a minute") }
            guard got > 0 else { return nil }
            buffer += chunk[..<got]
        }
    }

    /// The next frame of a type, others skipped.
    func next(_ type: UInt8) -> Frame? {
        while let frame = next() {
            if frame.type == type { return frame }
        }
        return nil
    }

    /// What came of one stream until its end, its reset or the connection's end.
    struct Answer {
        var body: [UInt8] = []
        var headers: [Frame] = []
        var resetCode: UInt32?
        var ended = false
    }

    func answer(stream: UInt32 = 1) -> Answer {
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
    func rest() -> [Frame] {
        var frames: [Frame] = []
        while let frame = next() { frames.append(frame) }
        return frames
    }
}

/// Waits for what another thread is about to bring; bounded.
func becomes(_ condition: () -> Bool) -> Bool {
    for _ in 0..<100_000 {
        if condition() { return true }
        usleep(200)
    }
    return condition()
}
