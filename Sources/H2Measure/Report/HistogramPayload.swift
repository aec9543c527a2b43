import CZlib
internal import H2Client
import Histogram

/// The fault of an encoded histogram, worded to follow "the histogram".
struct HistogramPayloadError: Error, Equatable {
    var message: String

    init(_ message: String) { self.message = message }
}

/// A histogram in HdrHistogram's V2 compressed encoding, which all its implementations read and write:
///
///     base64( cookie 0x1c849314, length, zlib( cookie 0x1c849313, length, 0, digits, lowest, highest, 1.0, counts ) )
///
/// Numbers are big-endian. The counts, up to the last one that is not zero, are ZigZag LEB128: a positive number is a count, a
/// negative one a run of that many zeros.
struct HistogramPayload: Equatable {
    let layout: HistogramLayout
    /// The counts that are not zero, in the order of their indexes.
    var counts: [Entry] = []

    struct Entry: Equatable {
        var index: Int
        var count: UInt64
    }

    private static let cookie: UInt32 = 0x1c84_9313
    private static let compressedCookie: UInt32 = 0x1c84_9314
    private static let headLength = 40
    /// The most decompressed bytes; a histogram of five digits with all its counts different needs less.
    private static let longest = 64 << 20

    init(layout: HistogramLayout) { self.layout = layout }

    /// A histogram of nanoseconds, of any size.
    init(_ histogram: TimeHistogram) {
        layout = .nanoseconds
        // With another precision different values would share a count.
        precondition(
            histogram.lowestDiscernibleValue == 1 && histogram.numberOfSignificantValueDigits == .three
                && histogram.maxRecorded <= TimeHistogram.longest, "not a histogram of ours")
        for recorded in histogram.recorded() {
            counts.append(Entry(index: layout.index(of: recorded.value), count: recorded.count))
        }
    }

    // MARK: Writing

    func encoded() -> String {
        var varints: [UInt8] = []
        var next = 0
        for entry in counts {
            let zeros = entry.index - next
            // A run of one is shorter as a plain zero, and the other implementations write it so, too.
            if zeros == 1 { varints.append(0) } else if zeros > 1 { Self.append(-Int64(zeros), to: &varints) }
            Self.append(Int64(clamping: entry.count), to: &varints)
            next = entry.index + 1
        }
        // An empty histogram has the count of value 0.
        if counts.isEmpty { varints.append(0) }

        var inner: [UInt8] = []
        inner.reserveCapacity(Self.headLength + varints.count)
        Self.append(Self.cookie, to: &inner)
        Self.append(UInt32(varints.count), to: &inner)
        Self.append(UInt32(0), to: &inner)
        Self.append(UInt32(layout.digits), to: &inner)
        Self.append(layout.lowest, to: &inner)
        Self.append(layout.highest, to: &inner)
        Self.append((1.0).bitPattern, to: &inner)
        inner += varints

        var length = compressBound(UInt(inner.count))
        let squeezed = [UInt8](unsafeUninitializedCapacity: Int(length)) { buffer, count in
            let status = compress2(
                buffer.baseAddress, &length, inner, UInt(inner.count), Z_BEST_COMPRESSION)
            // It fails only for lack of memory or room, and compressBound gave enough room.
            precondition(status == Z_OK, "zlib cannot compress: \(status)")
            count = Int(length)
        }
        var outer: [UInt8] = []
        Self.append(Self.compressedCookie, to: &outer)
        Self.append(UInt32(squeezed.count), to: &outer)
        return Base64.encode(outer + squeezed)
    }

    private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.bigEndian) { bytes += $0 }
    }

    /// ZigZag LEB128 with at most nine bytes: the ninth has eight bits of the value, instead of seven and a continuation bit.
    private static func append(_ value: Int64, to bytes: inout [UInt8]) {
        var rest = UInt64(bitPattern: value << 1 ^ value >> 63)
        for _ in 0..<8 {
            guard rest >= 0x80 else { break }
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    // MARK: Reading

    /// - Throws: `HistogramPayloadError` for any deviation from the format. Whatever length the text claims, memory use is
    ///   limited to its own layout's counts, and to 64 MiB.
    init(decoding text: ArraySlice<UInt8>) throws(HistogramPayloadError) {
        guard let outer = Base64.decode(text) else { throw HistogramPayloadError("is not base64") }
        guard outer.count >= 8 else { throw HistogramPayloadError("is cut short") }
        let cookie = Self.number32(outer, at: 0)
        guard cookie & ~0xf0 == Self.compressedCookie & ~0xf0 else {
            throw HistogramPayloadError(Self.wrongCookie(cookie))
        }
        let length = Int(Self.number32(outer, at: 4))
        guard length == outer.count - 8 else {
            throw HistogramPayloadError("says that it has \(length) compressed bytes, and has \(outer.count - 8)")
        }
        var inflation = try Inflation()
        defer { inflation.end() }
        let squeezed = Array(outer[8...])
        let head = try inflation.inflate(squeezed, upTo: Self.headLength)
        guard head.count == Self.headLength else { throw HistogramPayloadError("is cut short in its head") }
        let inner = Self.number32(head, at: 0)
        guard inner & ~0xf0 == Self.cookie & ~0xf0 else { throw HistogramPayloadError(Self.wrongCookie(inner)) }
        guard Self.number32(head, at: 8) == 0 else {
            throw HistogramPayloadError("has shifted counts, which are not read here")
        }
        guard Double(bitPattern: Self.number64(head, at: 32)) == 1 else {
            throw HistogramPayloadError("holds fractions, not whole numbers")
        }
        let digits = Self.number32(head, at: 12)
        let (lowest, highest) = (Self.number64(head, at: 16), Self.number64(head, at: 24))
        guard digits <= 5, let layout = HistogramLayout(lowest: lowest, highest: highest, digits: Int(digits)) else {
            throw HistogramPayloadError(
                "has no possible layout: \(digits) digits for values from \(lowest) to \(highest)")
        }
        self.layout = layout
        let told = Int(Self.number32(head, at: 4))
        guard told <= min(layout.count * 9, Self.longest) else {
            throw HistogramPayloadError("says that it has \(told) bytes of counts, more than its layout can fill")
        }
        let varints = try inflation.inflate(squeezed, upTo: told + 1)
        guard varints.count == told, inflation.isAtEnd else {
            throw HistogramPayloadError(
                varints.count < told
                    ? "says that it has \(told) bytes of counts, and has \(varints.count)"
                    : "has more bytes than it says")
        }
        try readCounts(varints)
    }

    private mutating func readCounts(_ varints: [UInt8]) throws(HistogramPayloadError) {
        var (at, index) = (0, 0)
        while at < varints.count {
            var (raw, shift) = (UInt64(0), UInt64(0))
            while true {
                guard at < varints.count else { throw HistogramPayloadError("is cut short in a count") }
                let byte = UInt64(varints[at])
                at += 1
                if shift == 56 {
                    raw |= byte << shift
                    break
                }
                raw |= (byte & 0x7f) << shift
                shift += 7
                if byte < 0x80 { break }
            }
            let value = Int64(bitPattern: raw >> 1) ^ -Int64(raw & 1)
            if value < 0 {
                guard value >= -Int64(layout.count - index) else {
                    throw HistogramPayloadError(
                        "has a run of \(value.magnitude) zeros, more than its layout has counts")
                }
                index += Int(value.magnitude)
            } else {
                guard index < layout.count else { throw HistogramPayloadError("has more counts than its layout") }
                if value > 0 { counts.append(Entry(index: index, count: UInt64(value))) }
                index += 1
            }
        }
    }

    private static func wrongCookie(_ cookie: UInt32) -> String {
        switch cookie & ~0xf0 {
        case 0x1c84_9301, 0x1c84_9302, 0x1c84_9308, 0x1c84_9309: "has the encoding V0 or V1, which is not read here"
        case 0x0c72_120e, 0x0c72_120f: "is a DoubleHistogram, which is not read here"
        default: "begins with 0x\(hex(cookie, width: 8)), and not as HdrHistogram's V2 encoding does"
        }
    }

    private static func number32(_ bytes: [UInt8], at start: Int) -> UInt32 {
        bytes[start..<start + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private static func number64(_ bytes: [UInt8], at start: Int) -> UInt64 {
        bytes[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// A zlib stream that is read in parts, so that its header can limit how much may follow.
private struct Inflation {
    /// zlib's state points back to the stream, so it must not move.
    private let stream: UnsafeMutablePointer<z_stream>
    private var consumed = 0
    /// Whether the stream has ended, with a valid checksum, and nothing follows it.
    private(set) var isAtEnd = false

    init() throws(HistogramPayloadError) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        guard inflateInit_(stream, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size)) == Z_OK else {
            stream.deallocate()
            throw HistogramPayloadError("cannot be decompressed: zlib does not start")
        }
    }

    mutating func end() {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// The next bytes, at most `limit`, of the stream `squeezed`, which must be the same in every call. Memory is allocated as
    /// they arrive.
    mutating func inflate(_ squeezed: [UInt8], upTo limit: Int) throws(HistogramPayloadError) -> [UInt8] {
        var out: [UInt8] = []
        var status = Z_OK
        while out.count < limit, !isAtEnd {
            let room = min(limit - out.count, 64 << 10)
            var used = 0
            let part = squeezed.withUnsafeBufferPointer { input in
                [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
                    // zlib does not write to its input, despite the type in its header.
                    stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress! + consumed)
                    stream.pointee.avail_in = UInt32(input.count - consumed)
                    stream.pointee.next_out = buffer.baseAddress
                    stream.pointee.avail_out = UInt32(room)
                    status = CZlib.inflate(stream, Z_NO_FLUSH)
                    count = room - Int(stream.pointee.avail_out)
                    used = input.count - consumed - Int(stream.pointee.avail_in)
                }
            }
            consumed += used
            out += part
            if status == Z_STREAM_END {
                guard consumed == squeezed.count else { throw HistogramPayloadError("has bytes behind its end") }
                isAtEnd = true
            } else if status == Z_BUF_ERROR || status == Z_OK && part.isEmpty && used == 0 {
                throw HistogramPayloadError("is cut short")
            } else if status != Z_OK {
                throw HistogramPayloadError("is no zlib stream, or a damaged one")
            }
        }
        return out
    }
}

/// The sum of decoded histograms, in nanoseconds.
struct HistogramSum {
    private(set) var histogram = TimeHistogram.nanoseconds()

    /// Adds a histogram. Counts of another layout are added at their lowest value, as other implementations do, and values
    /// above an hour as an hour.
    /// - Throws: an error, with nothing added, if there would be 2^63 values or more, which the format cannot hold.
    mutating func add(_ payload: HistogramPayload) throws(HistogramPayloadError) {
        var count = histogram.totalCount
        for entry in payload.counts {
            let total = count.addingReportingOverflow(entry.count)
            guard !total.overflow, total.partialValue <= UInt64(Int64.max) else {
                throw HistogramPayloadError("has counts that are too large to be added up")
            }
            count = total.partialValue
        }
        for entry in payload.counts {
            let values = payload.layout.values(at: entry.index)
            histogram.record(min(values.lowerBound, TimeHistogram.longest), count: entry.count)
        }
        // The largest value may have been any that shares its count; as elsewhere, the largest of them is used.
        if let last = payload.counts.last {
            histogram.record(min(payload.layout.values(at: last.index).upperBound, TimeHistogram.longest), count: 0)
        }
    }
}
