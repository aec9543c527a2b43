/// Filters frames on their way to nghttp2, to handle what nghttp2 does not.
///
/// - It accepts no header block string longer than 64 KiB: see `LargeFields`.
/// - It ignores PRIORITY frames unread if RFC 7540's priorities are turned off, including one on stream 0.
/// - Its limit on CONTINUATION frames differs from ours.
///
/// Everything else passes unchanged, and for most input only nine bytes per frame are examined.
package final class InboundFrames {
    /// Why the connection must be closed.
    package enum Problem {
        case protocolError(String)
        case compressionError(String)
        /// More CONTINUATION frames than the limit.
        case continuationFlood
    }

    private enum Kind {
        static let headers: UInt8 = 1
        static let priority: UInt8 = 2
        static let continuation: UInt8 = 9
    }

    private enum Flag {
        static let endStream: UInt8 = 0x1
        static let endHeaders: UInt8 = 0x4
        static let padded: UInt8 = 0x8
        static let priority: UInt8 = 0x20
    }

    private static let headerCount = 9
    /// Frames of this size are always allowed (RFC 9113 section 4.2).
    private static let pieceLimit = 16_384
    /// CONTINUATION frames of this size do not count towards the limit while their block is within `toleratedBlock`: a block
    /// over `headerListSize` fails its stream, which is no reason to end all others.
    private static let largeFrame = 4_096
    private static let toleratedBlock = 16 << 20

    private let maximumFrame: Int
    private let headerListSize: Int
    private let continuationLimit: Int

    // Unchecked exclusivity: used on one thread, and `feed`, which may reenter by `takeLarge`, is never called during a change
    // of `fields`.
    /// Bytes to pass before the next frame begins.
    @exclusivity(unchecked) private var rest: Int
    /// The start of a frame header.
    @exclusivity(unchecked) private var header: [UInt8] = []
    /// The payload of a frame being examined, and how much of it is still to come.
    @exclusivity(unchecked) private var payload: [UInt8] = []
    @exclusivity(unchecked) private var missing = 0
    /// The header block arriving in several frames.
    @exclusivity(unchecked) private var fields: LargeFields?
    @exclusivity(unchecked) private var blockStream: UInt32 = 0
    @exclusivity(unchecked) private var continuationFrames = 0
    @exclusivity(unchecked) private var blockBytes = 0

    /// - Parameters:
    ///   - skipping: bytes before the first frame.
    ///   - maximumFrame: larger frames are rejected by nghttp2.
    ///   - headerListSize: maximum bytes of a field that are kept.
    ///   - continuationFrames: limit per header block, besides large ones.
    package init(skipping: Int = 0, maximumFrame: Int, headerListSize: Int, continuationFrames: Int) {
        rest = skipping
        self.maximumFrame = maximumFrame
        self.headerListSize = headerListSize
        continuationLimit = continuationFrames
    }

    /// Frees what is kept of incomplete frames.
    package func release() {
        (header, payload, fields) = ([], [], nil)
    }

    // MARK: - The common case

    /// Whether all of these bytes may pass unchanged. If not, nothing has changed, and they go to `pass`.
    @inline(__always)
    package func areOrdinary(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard header.isEmpty, missing == 0, fields == nil, let base = bytes.baseAddress else { return false }
        var at = rest
        let end = bytes.count - Self.headerCount
        while at <= end {
            let word = UInt32(bigEndian: (base + at).loadUnaligned(as: UInt32.self))
            let type = UInt8(truncatingIfNeeded: word)
            if type == Kind.headers || type == Kind.priority,
                isSpecial(type, Int(word >> 8), (base + at + 4).load(as: UInt8.self))
            {
                return false
            }
            at += Self.headerCount + Int(word >> 8)
        }
        // A partial frame header must wait for the rest: afterwards it would be too late to change what nghttp2 does with its
        // frame.
        guard at >= bytes.count else { return false }
        rest = at - bytes.count
        return true
    }

    @inline(__always)
    private func isSpecial(_ type: UInt8, _ length: Int, _ flags: UInt8) -> Bool {
        if type == Kind.priority { return true }
        return flags & (Flag.endHeaders | Flag.priority) != Flag.endHeaders || length > LargeFields.longest
    }

    // MARK: - Special cases

    /// Passes bytes on in pieces, some of them changed, until `feed` returns false.
    package func pass(_ bytes: UnsafeRawBufferPointer, to takes: (UnsafeRawBufferPointer) -> Bool) -> Problem? {
        var at = 0
        // Once it has rejected something it gets no more.
        var goesOn = true
        func feed(_ piece: UnsafeRawBufferPointer) -> Bool {
            goesOn = goesOn && takes(piece)
            return goesOn
        }
        while at < bytes.count, goesOn {
            let here = bytes.count - at
            if rest > 0 {
                let count = min(rest, here)
                rest -= count
                guard feed(UnsafeRawBufferPointer(rebasing: bytes[at..<at + count])) else { return nil }
                at += count
            } else if missing > 0 {
                let count = min(missing, here)
                payload += bytes[at..<at + count]
                at += count
                missing -= count
                if missing == 0, let problem = frameEnded(feed) { return problem }
            } else {
                let count = min(Self.headerCount - header.count, here)
                header += bytes[at..<at + count]
                at += count
                if header.count == Self.headerCount, let problem = frameBegan(feed) { return problem }
            }
        }
        return nil
    }

    private var type: UInt8 { header[3] }
    private var flags: UInt8 { header[4] }
    private var stream: UInt32 { number(header[5...]) & 0x7fff_ffff }

    private func number(_ bytes: ArraySlice<UInt8>) -> UInt32 { bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }

    private func frameBegan(_ feed: (UnsafeRawBufferPointer) -> Bool) -> Problem? {
        let length = Int(number([0] + header[..<3]))
        var isLookedAt = false
        switch type {
        case Kind.headers: isLookedAt = isSpecial(type, length, flags) && fields == nil
        case Kind.priority:
            // RFC 9113 section 6.3.
            if stream == 0, fields == nil { return .protocolError("PRIORITY on stream 0") }
            isLookedAt = length == 5 && fields == nil
        case Kind.continuation:
            isLookedAt = fields != nil && stream == blockStream
            if isLookedAt, !mayContinue(length) { return .continuationFlood }
        default: break
        }
        guard isLookedAt, length <= maximumFrame else {
            // A frame that is not allowed within a header block: nghttp2 reports it.
            fields = nil
            rest = length
            return flushHeader(feed)
        }
        missing = length
        return length == 0 ? frameEnded(feed) : nil
    }

    private func mayContinue(_ length: Int) -> Bool {
        blockBytes += length
        if length < Self.largeFrame || blockBytes > max(headerListSize, Self.toleratedBlock) { continuationFrames += 1 }
        return continuationFrames <= continuationLimit
    }

    private func flushHeader(_ feed: (UnsafeRawBufferPointer) -> Bool) -> Problem? {
        let bytes = header
        header.removeAll(keepingCapacity: true)
        _ = bytes.withUnsafeBytes(feed)
        return nil
    }

    private func frameEnded(_ feed: (UnsafeRawBufferPointer) -> Bool) -> Problem? {
        defer {
            header.removeAll(keepingCapacity: true)
            payload = []
        }
        if type == Kind.priority {
            if number(payload[...]) & 0x7fff_ffff == stream { return Self.dependsOnItself }
            return passOn(feed)
        }
        guard type == Kind.headers else { return block(payload[...], feed) }
        guard let fragment = headersFragment() else { return passOn(feed) }
        if flags & Flag.priority != 0, number(payload[(flags & Flag.padded == 0 ? 0 : 1)...]) & 0x7fff_ffff == stream {
            return Self.dependsOnItself
        }
        if flags & Flag.endHeaders != 0, fragment.count <= LargeFields.longest { return passOn(feed) }
        fields = LargeFields(limit: headerListSize)
        blockStream = stream
        (continuationFrames, blockBytes) = (0, fragment.count)
        return block(fragment, feed)
    }

    /// An error in RFC 7540 section 5.3.1; it is still meaningless.
    private static let dependsOnItself = Problem.protocolError("a stream that depends on itself")

    /// The header block part of a HEADERS frame; nil if its padding is invalid, which nghttp2 reports.
    private func headersFragment() -> ArraySlice<UInt8>? {
        var fragment = payload[...]
        if flags & Flag.padded != 0 {
            guard let padding = fragment.popFirst(), Int(padding) <= fragment.count else { return nil }
            fragment = fragment.dropLast(Int(padding))
        }
        guard flags & Flag.priority != 0 else { return fragment }
        return fragment.count >= 5 ? fragment.dropFirst(5) : nil
    }

    private func passOn(_ feed: (UnsafeRawBufferPointer) -> Bool) -> Problem? {
        _ = (header + payload).withUnsafeBytes(feed)
        return nil
    }

    /// Handles a piece of a header block that is split into frames or in a large frame.
    private func block(_ fragment: ArraySlice<UInt8>, _ feed: (UnsafeRawBufferPointer) -> Bool) -> Problem? {
        let isEnd = flags & Flag.endHeaders != 0
        // Not in place: feeding may reenter by `takeLarge`.
        let piece = fields?.rewrite(fragment) ?? []
        if fields?.isMalformed == true { return .compressionError("a bad Huffman code in a header field") }
        if isEnd, fields?.isBetweenFields == false {
            return .compressionError("a header block that ends within a field")
        }
        if piece.elementsEqual(fragment) {
            _ = passOn(feed)
        } else {
            _ = frames(of: piece).withUnsafeBytes(feed)
        }
        if isEnd { fields = nil }
        return nil
    }

    /// The current frame with another piece of the block, followed by CONTINUATION frames if needed.
    private func frames(of piece: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var at = 0
        repeat {
            let count = min(piece.count - at, Self.pieceLimit)
            var flags = at + count == piece.count ? self.flags & Flag.endHeaders : 0
            if at == 0, type == Kind.headers { flags |= self.flags & Flag.endStream }
            out += [UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)]
            out += [at == 0 ? type : Kind.continuation, flags]
            out += header[5...]
            out += piece[at..<at + count]
            at += count
        } while at < piece.count
        return out
    }

    // MARK: - Large fields

    /// The field that a substitute stands for. Called for each field that nghttp2 decodes.
    @inline(__always)
    package func takeLarge(
        _ name: UnsafePointer<UInt8>?, _ nameCount: Int, _ value: UnsafePointer<UInt8>?, _ valueCount: Int
    ) -> LargeField? {
        // One comparison for both lengths, since this runs for each field.
        guard nameCount | valueCount >= LargeFields.substituteCount else { return nil }
        return takeLarge(
            UnsafeBufferPointer(start: name, count: nameCount), UnsafeBufferPointer(start: value, count: valueCount))
    }

    private func takeLarge(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> LargeField? {
        guard let first = fields?.fields.first else { return nil }
        let isSubstitute =
            name.elementsEqual(LargeFields.substitute) || value.elementsEqual(LargeFields.substitute)
        guard isSubstitute else { return nil }
        _ = fields?.takeFirst()
        return switch first {
        case .value(let bytes): LargeField(value: bytes)
        case .tooLarge: LargeField(value: nil)
        }
    }
}

/// A field that was hidden from nghttp2.
package struct LargeField {
    /// Its value; nil if its name or value is over the limit.
    package let value: [UInt8]?
}
