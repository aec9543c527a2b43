/// A value of MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), as far as Locust uses it.
package indirect enum MessagePack: Sendable, Equatable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    /// Binary data, or text that is not UTF-8.
    case bytes([UInt8])
    case array([MessagePack])
    case map([Entry])

    package struct Entry: Sendable, Equatable {
        package var key: MessagePack
        package var value: MessagePack

        package init(_ key: MessagePack, _ value: MessagePack) { (self.key, self.value) = (key, value) }
    }

    // MARK: - Writing

    package var encoded: [UInt8] {
        var out: [UInt8] = []
        write(to: &out)
        return out
    }

    private func write(to out: inout [UInt8]) {
        switch self {
        case .null: out.append(0xc0)
        case .bool(let value): out.append(value ? 0xc3 : 0xc2)
        case .int(let value): Self.write(value, to: &out)
        case .double(let value):
            out.append(0xcb)
            Self.append(value.bitPattern, bytes: 8, to: &out)
        case .string(let text):
            let bytes = text.utf8
            Self.head(bytes.count, short: (0xa0, 32), byte: 0xd9, word: 0xda, long: 0xdb, to: &out)
            out += bytes
        case .bytes(let bytes):
            Self.head(bytes.count, short: nil, byte: 0xc4, word: 0xc5, long: 0xc6, to: &out)
            out += bytes
        case .array(let values):
            Self.head(values.count, short: (0x90, 16), byte: nil, word: 0xdc, long: 0xdd, to: &out)
            for value in values { value.write(to: &out) }
        case .map(let entries):
            Self.head(entries.count, short: (0x80, 16), byte: nil, word: 0xde, long: 0xdf, to: &out)
            for entry in entries {
                entry.key.write(to: &out)
                entry.value.write(to: &out)
            }
        }
    }

    private static func write(_ value: Int, to out: inout [UInt8]) {
        switch value {
        case 0..<128: out.append(UInt8(value))
        case -32..<0: out.append(UInt8(bitPattern: Int8(value)))
        case 0..<(1 << 8):
            out.append(0xcc)
            append(UInt64(value), bytes: 1, to: &out)
        case 0..<(1 << 16):
            out.append(0xcd)
            append(UInt64(value), bytes: 2, to: &out)
        case 0..<(1 << 32):
            out.append(0xce)
            append(UInt64(value), bytes: 4, to: &out)
        default:
            out.append(value < 0 ? 0xd3 : 0xcf)
            append(UInt64(bitPattern: Int64(value)), bytes: 8, to: &out)
        }
    }

    /// - Parameters:
    ///   - short: the first byte of the shortest form, and the lengths that it has; nil if there is none.
    ///   - byte: the first byte of the form with a length of one byte; nil if there is none.
    private static func head(
        _ count: Int, short: (first: UInt8, lengths: Int)?, byte: UInt8?, word: UInt8, long: UInt8,
        to out: inout [UInt8]
    ) {
        if let short, count < short.lengths {
            out.append(short.first | UInt8(count))
        } else if let byte, count < 1 << 8 {
            out.append(byte)
            append(UInt64(count), bytes: 1, to: &out)
        } else if count < 1 << 16 {
            out.append(word)
            append(UInt64(count), bytes: 2, to: &out)
        } else {
            out.append(long)
            append(UInt64(count), bytes: 4, to: &out)
        }
    }

    private static func append(_ value: UInt64, bytes: Int, to out: inout [UInt8]) {
        for index in (0..<bytes).reversed() { out.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
    }

    // MARK: - Reading

    /// The value in `bytes`; nil if they are not exactly one value, or it is nested too deeply.
    package init?(_ bytes: [UInt8]) {
        var reader = Reader(bytes: bytes)
        guard let value = reader.value(depth: 0), reader.index == bytes.count else { return nil }
        self = value
    }

    private struct Reader {
        let bytes: [UInt8]
        var index = 0
        static let maximumDepth = 32

        mutating func value(depth: Int) -> MessagePack? {
            guard depth <= Self.maximumDepth, let first = number(1) else { return nil }
            switch UInt8(first) {
            case 0x00...0x7f: return .int(Int(first))
            case 0x80...0x8f: return map(UInt64(first & 15), depth)
            case 0x90...0x9f: return array(UInt64(first & 15), depth)
            case 0xa0...0xbf: return text(UInt64(first & 31))
            case 0xc0: return .null
            case 0xc2: return .bool(false)
            case 0xc3: return .bool(true)
            case 0xc4: return number(1).flatMap { take($0) }.map { .bytes(Array($0)) }
            case 0xc5: return number(2).flatMap { take($0) }.map { .bytes(Array($0)) }
            case 0xc6: return number(4).flatMap { take($0) }.map { .bytes(Array($0)) }
            case 0xc7: return number(1).flatMap { skip($0 + 1) }
            case 0xc8: return number(2).flatMap { skip($0 + 1) }
            case 0xc9: return number(4).flatMap { skip($0 + 1) }
            case 0xca: return number(4).map { .double(Double(Float(bitPattern: UInt32($0)))) }
            case 0xcb: return number(8).map { .double(Double(bitPattern: $0)) }
            case 0xcc: return number(1).map { .int(Int($0)) }
            case 0xcd: return number(2).map { .int(Int($0)) }
            case 0xce: return number(4).map { .int(Int($0)) }
            case 0xcf: return number(8).map { .int(Int(clamping: $0)) }
            case 0xd0: return number(1).map { .int(Int(Int8(truncatingIfNeeded: $0))) }
            case 0xd1: return number(2).map { .int(Int(Int16(truncatingIfNeeded: $0))) }
            case 0xd2: return number(4).map { .int(Int(Int32(truncatingIfNeeded: $0))) }
            case 0xd3: return number(8).map { .int(Int(Int64(bitPattern: $0))) }
            // Extensions, such as times. Locust says nothing in them that a worker needs.
            case 0xd4...0xd8: return skip(1 + (1 << UInt64(first - 0xd4)))
            case 0xd9: return number(1).flatMap { text($0) }
            case 0xda: return number(2).flatMap { text($0) }
            case 0xdb: return number(4).flatMap { text($0) }
            case 0xdc: return number(2).flatMap { array($0, depth) }
            case 0xdd: return number(4).flatMap { array($0, depth) }
            case 0xde: return number(2).flatMap { map($0, depth) }
            case 0xdf: return number(4).flatMap { map($0, depth) }
            case 0xe0...0xff: return .int(Int(Int8(truncatingIfNeeded: first)))
            default: return nil
            }
        }

        private mutating func take(_ count: UInt64) -> ArraySlice<UInt8>? {
            guard count <= UInt64(bytes.count - index) else { return nil }
            defer { index += Int(count) }
            return bytes[index..<(index + Int(count))]
        }

        private mutating func skip(_ count: UInt64) -> MessagePack? { take(count).map { _ in .null } }

        private mutating func number(_ count: UInt64) -> UInt64? {
            take(count)?.reduce(0) { $0 << 8 | UInt64($1) }
        }

        private mutating func text(_ count: UInt64) -> MessagePack? {
            guard let bytes = take(count) else { return nil }
            return String(validating: bytes, as: UTF8.self).map { .string($0) } ?? .bytes(Array(bytes))
        }

        private mutating func array(_ count: UInt64, _ depth: Int) -> MessagePack? {
            // Each element takes at least a byte.
            guard count <= UInt64(bytes.count - index) else { return nil }
            var values: [MessagePack] = []
            for _ in 0..<count {
                guard let value = value(depth: depth + 1) else { return nil }
                values.append(value)
            }
            return .array(values)
        }

        private mutating func map(_ count: UInt64, _ depth: Int) -> MessagePack? {
            guard count <= UInt64(bytes.count - index) / 2 else { return nil }
            var entries: [Entry] = []
            for _ in 0..<count {
                guard let key = value(depth: depth + 1), let value = value(depth: depth + 1) else { return nil }
                entries.append(Entry(key, value))
            }
            return .map(entries)
        }
    }

    // MARK: - Looking inside

    /// The value of a key of a map.
    package subscript(key: String) -> MessagePack? {
        guard case .map(let entries) = self else { return nil }
        return entries.last { $0.key == .string(key) }?.value
    }

    package var text: String? { if case .string(let text) = self { text } else { nil } }

    /// A whole number, also if it came as a floating-point one.
    package var number: Int? {
        switch self {
        case .int(let value): value
        case .double(let value): Int(exactly: value.rounded())
        default: nil
        }
    }

    package var real: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }
}

extension MessagePack: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(integerLiteral value: Int) { self = .int(value) }
    package init(stringLiteral value: String) { self = .string(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: MessagePack...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (MessagePack, MessagePack)...) {
        self = .map(elements.map { Entry($0, $1) })
    }
}
