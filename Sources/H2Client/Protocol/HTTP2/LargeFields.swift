/// Replaces header block strings that are too long for nghttp2's decompressor (64 KiB encoded) with short ones.
///
/// nghttp2 ends the connection at such a string, as if the peer were at fault. A block is parsed here only as far as needed to
/// find its strings (RFC 7541 section 6); everything else passes unchanged. Like the original, a substitute does not fit in the
/// dynamic table (section 4.4: an entry larger than the table empties it), so both sides' tables stay the same.
struct LargeFields {
    /// A field with a replaced string.
    enum Field {
        /// Its value.
        case value([UInt8])
        /// Its name or value exceeds the header list limit.
        case tooLarge
    }

    /// The longest encoded string that nghttp2 accepts.
    static let longest = 65_536
    /// A name or value of 4,111 bytes that nobody else can send, since it ends in random letters chosen for this process: a
    /// peer that knew it could make one field pass for another. The table has 4,096 bytes (SETTINGS_HEADER_TABLE_SIZE is not
    /// changed).
    static let substitute: [UInt8] =
        Array("a-string-larger-than-64-kib-".utf8) + [UInt8](repeating: 0x78, count: 4_051)
        + (0..<32).map { _ in UInt8.random(in: 0x61...0x7a) }
    static let substituteCount = 4_111

    private enum State {
        case representation
        /// The rest of a number after which the next representation begins.
        case number
        /// The rest of a number that is the index of a name.
        case nameIndex
        case length
        case lengthRest
        case string(remaining: Int)
        case largeString(remaining: Int)
        /// Invalid HPACK: nghttp2 reports it.
        case broken
    }

    private let limit: Int
    private var state = State.representation
    private var isName = false
    /// The start of a string, until its length is known.
    private var lengthBytes: [UInt8] = []
    private var length = 0
    private var shift = 0
    private var decoder: HuffmanDecoder?
    private var text: [UInt8] = []
    private var isTooLarge = false
    /// Whether the current field has a large string.
    private var isLarge = false
    /// The fields with large strings so far, in order.
    private(set) var fields: [Field] = []
    /// Whether a large string had an invalid code.
    private(set) var isMalformed = false

    /// - Parameter limit: maximum bytes of a value that are kept.
    init(limit: Int) { self.limit = limit }

    /// Whether the block may end here.
    var isBetweenFields: Bool {
        switch state {
        case .representation, .broken: true
        default: false
        }
    }

    mutating func takeFirst() -> Field { fields.removeFirst() }

    /// Processes the next piece of the block and returns what to pass to nghttp2 instead.
    mutating func rewrite(_ piece: ArraySlice<UInt8>) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(piece.count)
        var at = piece.startIndex
        while at < piece.endIndex {
            switch state {
            case .string(let remaining):
                let count = min(remaining, piece.endIndex - at)
                out += piece[at..<at + count]
                at += count
                state = .string(remaining: remaining - count)
                if count == remaining { endString() }
            case .largeString(let remaining):
                let count = min(remaining, piece.endIndex - at)
                keep(piece[at..<at + count])
                at += count
                state = .largeString(remaining: remaining - count)
                if count == remaining { endLargeString(&out) }
            case .broken:
                out += piece[at...]
                return out
            default:
                step(piece[at], &out)
                at += 1
            }
        }
        return out
    }

    private mutating func step(_ byte: UInt8, _ out: inout [UInt8]) {
        switch state {
        case .representation:
            out.append(byte)
            represent(byte)
        case .number:
            out.append(byte)
            if byte & 0x80 == 0 { state = .representation }
        case .nameIndex:
            out.append(byte)
            if byte & 0x80 == 0 { expectString(isName: false) }
        case .length:
            decoder = byte & 0x80 == 0 ? nil : HuffmanDecoder()
            length = Int(byte & 0x7f)
            lengthBytes = [byte]
            shift = 0
            if length < 0x7f { beginString(&out) } else { state = .lengthRest }
        case .lengthRest:
            lengthBytes.append(byte)
            guard shift <= 21 else {
                out += lengthBytes
                return state = .broken
            }
            length += Int(byte & 0x7f) << shift
            shift += 7
            if byte & 0x80 == 0 { beginString(&out) }
        case .string, .largeString, .broken: break
        }
    }

    /// Starts the representation that begins with this byte (RFC 7541 section 6).
    private mutating func represent(_ byte: UInt8) {
        let mask: UInt8
        switch byte {
        case 0x80...:
            return state = byte & 0x7f == 0x7f ? .number : .representation
        case 0x40...: mask = 0x3f
        case 0x20...:
            return state = byte & 0x1f == 0x1f ? .number : .representation
        default: mask = 0x0f
        }
        isLarge = false
        isTooLarge = false
        text = []
        switch byte & mask {
        case 0: expectString(isName: true)
        case mask: state = .nameIndex
        default: expectString(isName: false)
        }
    }

    private mutating func expectString(isName: Bool) {
        self.isName = isName
        state = .length
    }

    private mutating func beginString(_ out: inout [UInt8]) {
        if length > Self.longest {
            isLarge = true
            // Names are never that long, and one byte of Huffman code decodes to at most 8/5 bytes.
            if isName || decoder == nil && length > limit { isTooLarge = true }
            state = .largeString(remaining: length)
        } else {
            out += lengthBytes
            state = .string(remaining: length)
            if length == 0 { endString() }
        }
    }

    private mutating func endString() {
        if isName {
            expectString(isName: false)
        } else {
            if isLarge { fields.append(isTooLarge ? .tooLarge : .value(text)) }
            text = []
            state = .representation
        }
    }

    private mutating func keep(_ piece: ArraySlice<UInt8>) {
        guard decoder != nil else {
            if !isTooLarge { text += piece }
            return
        }
        for byte in piece {
            var decoded: (first: UInt8, second: UInt8, count: Int) = (0, 0, 0)
            guard
                decoder?.decode(
                    byte,
                    { symbol in
                        if decoded.count == 0 { decoded.first = symbol } else { decoded.second = symbol }
                        decoded.count += 1
                    }) == true
            else { return isMalformed = true }
            guard !isTooLarge else { continue }
            if decoded.count > 0 { text.append(decoded.first) }
            if decoded.count > 1 { text.append(decoded.second) }
            if text.count > limit { (isTooLarge, text) = (true, []) }
        }
    }

    private mutating func endLargeString(_ out: inout [UInt8]) {
        if let decoder, !decoder.mayEnd { isMalformed = true }
        // 127 + 3,984 = 4,111 (RFC 7541 section 5.1).
        out += [0x7f, 0x90, 0x1f]
        out += Self.substitute
        endString()
    }
}
