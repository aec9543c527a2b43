/// Any HTTP/2 frame as bytes, legal or not (RFC 9113 section 4.1).
public struct Frame: Hashable, Sendable, CustomStringConvertible {
    public enum Kind {
        public static let data: UInt8 = 0
        public static let headers: UInt8 = 1
        public static let priority: UInt8 = 2
        public static let resetStream: UInt8 = 3
        public static let settings: UInt8 = 4
        public static let pushPromise: UInt8 = 5
        public static let ping: UInt8 = 6
        public static let goAway: UInt8 = 7
        public static let windowUpdate: UInt8 = 8
        public static let continuation: UInt8 = 9
        public static let priorityUpdate: UInt8 = 0x10
    }

    public enum Flag {
        public static let endStream: UInt8 = 0x1
        public static let ack: UInt8 = 0x1
        public static let endHeaders: UInt8 = 0x4
        public static let padded: UInt8 = 0x8
        public static let priority: UInt8 = 0x20
    }

    public var type: UInt8
    public var flags: UInt8
    public var streamID: Int32
    public var payload: [UInt8]

    public init(_ type: UInt8, flags: UInt8 = 0, streamID: Int32 = 0, payload: [UInt8] = []) {
        self.type = type
        self.flags = flags
        self.streamID = streamID
        self.payload = payload
    }

    /// As it goes over the wire.
    public var bytes: [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags]
            + Frame.bytes(UInt32(bitPattern: streamID)) + payload
    }

    public var description: String {
        "frame type \(type) flags \(flags) stream \(streamID) length \(payload.count)"
    }

    // MARK: - Reading one

    public func has(_ flag: UInt8) -> Bool { flags & flag != 0 }
    public var endsStream: Bool { has(Flag.endStream) }

    /// The big-endian number at an offset of the payload.
    public func number(at offset: Int = 0) -> UInt32 {
        payload[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// A SETTINGS frame's entries.
    public var settings: [UInt16: UInt32] {
        var result: [UInt16: UInt32] = [:]
        for at in stride(from: 0, to: payload.count - 5, by: 6) {
            result[UInt16(payload[at]) << 8 | UInt16(payload[at + 1])] = number(at: at + 2)
        }
        return result
    }

    // MARK: - Making one

    public static func bytes(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(number >> (24 - 8 * $0) & 255) } }

    public static func data(
        _ streamID: Int32, _ payload: [UInt8] = [], endStream: Bool = false, padding: Int? = nil
    ) -> Frame {
        padded(Frame(Kind.data, flags: endStream ? Flag.endStream : 0, streamID: streamID, payload: payload), padding)
    }

    public static func headers(
        _ streamID: Int32, _ block: [UInt8], endStream: Bool = false, endHeaders: Bool = true, padding: Int? = nil
    ) -> Frame {
        let flags = (endStream ? Flag.endStream : 0) | (endHeaders ? Flag.endHeaders : 0)
        return padded(Frame(Kind.headers, flags: flags, streamID: streamID, payload: block), padding)
    }

    private static func padded(_ frame: Frame, _ padding: Int?) -> Frame {
        guard let padding else { return frame }
        var frame = frame
        frame.flags |= Flag.padded
        frame.payload = [UInt8(padding)] + frame.payload + [UInt8](repeating: 0, count: padding)
        return frame
    }

    public static func continuation(_ streamID: Int32, _ block: [UInt8], endHeaders: Bool) -> Frame {
        Frame(Kind.continuation, flags: endHeaders ? Flag.endHeaders : 0, streamID: streamID, payload: block)
    }

    public static func settings(_ entries: KeyValuePairs<UInt16, UInt32> = [:]) -> Frame {
        Frame(
            Kind.settings,
            payload: entries.flatMap { [UInt8($0.key >> 8), UInt8($0.key & 255)] + bytes($0.value) })
    }

    public static let settingsAck = Frame(Kind.settings, flags: Flag.ack)

    public static func ping(_ mark: UInt64 = 0, ack: Bool = false) -> Frame {
        let payload = bytes(UInt32(mark >> 32)) + bytes(UInt32(truncatingIfNeeded: mark))
        return Frame(Kind.ping, flags: ack ? Flag.ack : 0, payload: payload)
    }

    public static func goAway(lastStreamID: Int32, _ code: UInt32 = 0, debugText: String = "") -> Frame {
        Frame(Kind.goAway, payload: bytes(UInt32(bitPattern: lastStreamID)) + bytes(code) + Array(debugText.utf8))
    }

    public static func resetStream(_ streamID: Int32, _ code: UInt32) -> Frame {
        Frame(Kind.resetStream, streamID: streamID, payload: bytes(code))
    }

    public static func windowUpdate(_ streamID: Int32, _ increment: UInt32) -> Frame {
        Frame(Kind.windowUpdate, streamID: streamID, payload: bytes(increment))
    }

    public static func priority(_ streamID: Int32, dependency: Int32 = 0, weight: UInt8 = 15) -> Frame {
        Frame(Kind.priority, streamID: streamID, payload: bytes(UInt32(bitPattern: dependency)) + [weight])
    }

    public static func pushPromise(_ streamID: Int32, promised: Int32, _ block: [UInt8]) -> Frame {
        Frame(
            Kind.pushPromise, flags: Flag.endHeaders, streamID: streamID,
            payload: bytes(UInt32(bitPattern: promised)) + block)
    }
}

/// SETTINGS identifiers (RFC 9113 section 6.5.2).
public enum Setting {
    public static let headerTableSize: UInt16 = 1
    public static let enablePush: UInt16 = 2
    public static let maxConcurrentStreams: UInt16 = 3
    public static let initialWindowSize: UInt16 = 4
    public static let maxFrameSize: UInt16 = 5
    public static let maxHeaderListSize: UInt16 = 6
    public static let noRFC7540Priorities: UInt16 = 9
}

/// What a client sends first (RFC 9113 section 3.4).
public let clientPreface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

/// Cuts a client's or server's bytes into frames, however they arrive.
public final class FrameReader {
    private var buffer: [UInt8] = []
    private var awaitsPreface: Bool
    /// Whether the client's preface came, and was right.
    public private(set) var sawPreface = false

    public init(expectsPreface: Bool) { awaitsPreface = expectsPreface }

    /// All frames that are whole now.
    public func read(_ bytes: some Sequence<UInt8>) -> [Frame] {
        buffer += bytes
        var at = 0
        if awaitsPreface {
            guard buffer.count >= clientPreface.count else { return [] }
            sawPreface = buffer.starts(with: clientPreface)
            awaitsPreface = false
            at = clientPreface.count
        }
        var frames: [Frame] = []
        while buffer.count - at >= 9 {
            let count = Int(buffer[at]) << 16 | Int(buffer[at + 1]) << 8 | Int(buffer[at + 2])
            guard buffer.count - at >= 9 + count else { break }
            let id = buffer[(at + 5)..<(at + 9)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            frames.append(
                Frame(
                    buffer[at + 3], flags: buffer[at + 4], streamID: Int32(bitPattern: id),
                    payload: Array(buffer[(at + 9)..<(at + 9 + count)])))
            at += 9 + count
        }
        buffer.removeFirst(at)
        return frames
    }
}
