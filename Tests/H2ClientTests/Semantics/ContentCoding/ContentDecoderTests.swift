import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct ContentDecoderTests {
    /// 790 bytes, and their encodings by Python's gzip and zlib, and by the brotli and zstd commands.
    static let text = Array((0..<40).map { "line \($0) of the body\n" }.joined().utf8)

    struct Vector: CustomTestStringConvertible {
        let name: String
        let coding: ContentCoding
        let encoded: [UInt8]
        /// Whether a checksum detects damage.
        var isChecked = true
        var testDescription: String { name }

        init(_ name: String, _ coding: ContentCoding, isChecked: Bool = true, _ hex: String) {
            self.name = name
            self.coding = coding
            self.isChecked = isChecked
            encoded = bytes(hex)
        }
    }

    static let deflated = """
        6dd2310e83501003d19e53fc23609b40b84e042848089a34b97d4419edb453f969f7d8cfb5f5eddadae7bdb6d7b57cbbe34eaac935a5\
        a6a1a6474d634d534dcf9a66984af361bf0020100808028300215008180287c161ba03380c0e83c3e030380c0e83c3e00838028ed043\
        8123e00838028e8023e0c8bfe307
        """

    static let vectors = [
        Vector("gzip", .gzip, "1f8b0800000000000203" + deflated + "32416a0816030000"),
        Vector("zlib", .deflate, "78da" + deflated + "9c85fc81"),
        Vector("bare deflate", .deflate, isChecked: false, deflated),
        Vector(
            "br", .brotli, isChecked: false,
            """
            1f1503208cd44e77e24cd40895ae8343d200dbeba482d91be1e29cbbc7a1a59145bab2ac7251e12c7e75dd0ff2540084600483c5e12b\
            0e1a8892ac68b43a7c620ba2242b1aad0e9fd48228c98a46ab9b0f
            """),
        Vector(
            "zstd", .zstd,
            """
            28b52ffd0468e5020082c50f11b01d03e7d0fbe24988d51292b25d023702e8e7e6e5e4e3bfdf8b231f1b17130fdf762d8c7a6a5a4a3a\
            fabaad283aa69071174c1553584d061683080bba1728a811f0f4fd37f0e51012e111613e3b9dfc85d56a59d140aa02ba0bd603
            """),
    ]

    // MARK: - What is decoded

    @Test(arguments: vectors) func `Each coding is decoded as its own tools encode it`(_ vector: Vector) throws {
        #expect(try decode(vector.encoded, [vector.coding]) == Self.text)
    }

    @Test(arguments: vectors) func `A body may be split anywhere, and be read in pieces of any size`(
        _ vector: Vector
    ) throws {
        for split in 0...vector.encoded.count {
            let pieces = [Array(vector.encoded[..<split]), Array(vector.encoded[split...])]
            #expect(try decode(pieces, [vector.coding]) == Self.text, "split at \(split)")
        }
        let single = vector.encoded.map { [$0] }
        for count in [1, 2, 7, 100, 10_000] {
            #expect(try decode(single, [vector.coding], upTo: count) == Self.text, "read by \(count)")
        }
    }

    @Test(arguments: ContentCoding.allCases) func `What is encoded here is decoded here`(
        _ coding: ContentCoding
    ) throws {
        var random = SplitMix64(seed: 7)
        let noise = (0..<300_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        for body in [[], [0], Self.text, noise, [UInt8](repeating: 7, count: 400_000)] {
            #expect(try decode(encode(body, [coding]), [coding]) == body)
            let encoder = try ContentEncoder(coding)
            var encoded: [UInt8] = []
            var rest = body[...]
            while !rest.isEmpty {
                encoded += try encoder.encode(Array(rest.prefix(10_007)), isLast: false)
                rest = rest.dropFirst(10_007)
            }
            encoded += try encoder.encode([], isLast: true)
            #expect(try decode(encoded, [coding]) == body)
        }
    }

    @Test(arguments: ContentCoding.allCases) func `Every level makes a body that is decoded`(
        _ coding: ContentCoding
    ) throws {
        for level in [-100, 0, 1, 5, 9, 19, 22, 1_000] {
            let encoder = try ContentEncoder(coding, level: level)
            #expect(try decode(encoder.encode(Self.text, isLast: true), [coding]) == Self.text, "level \(level)")
        }
    }

    @Test func `Codings in a row are removed from the last to the first`() throws {
        for codings in [[.gzip, .brotli], [.zstd, .zstd], ContentCoding.allCases + [.gzip]] as [[ContentCoding]] {
            let encoded = try encode(Self.text, codings)
            #expect(try decode(encoded, codings) == Self.text)
            #expect(try decode(encoded.map { [$0] }, codings, upTo: 3) == Self.text)
        }
        let long = [UInt8](repeating: 7, count: 1_000_000)
        #expect(try decode(encode(long, [.gzip, .zstd]), [.gzip, .zstd]) == long)
    }

    @Test func `Members of gzip and frames of zstd follow one another`() throws {
        for coding in [ContentCoding.gzip, .zstd] {
            let empty = try encode([], [coding])
            let body = try encode(Self.text, [coding]) + empty + encode(Array("end".utf8), [coding]) + empty
            #expect(try decode(body, [coding]) == Self.text + Array("end".utf8))
            #expect(try decode(body.map { [$0] }, [coding]) == Self.text + Array("end".utf8))
        }
        // RFC 8878 section 3.1.2: skippable frames.
        let skipped = bytes("502a4d180300000001 02 03".replacing(" ", with: ""))
        #expect(try decode(skipped + encode(Self.text, [.zstd]) + skipped, [.zstd]) == Self.text)
    }

    @Test func `A gzip header may have a name, a comment and a checksum`() throws {
        // FHCRC, FEXTRA, FNAME and FCOMMENT, since Python's zlib writes none of them.
        let head = bytes("1f8b081e000000000203" + "0400" + "41420000" + "6e616d6500" + "6300")
        let body = Self.vectors[0].encoded.dropFirst(10)
        let checksum = crc16(head)
        #expect(try decode(head + [UInt8(checksum & 0xff), UInt8(checksum >> 8)] + body, [.gzip]) == Self.text)
        #expect(fault(head + [UInt8(checksum & 0xff) ^ 1, UInt8(checksum >> 8)] + body, [.gzip]) != nil)
    }

    @Test func `An empty body needs no coding's frame around it`() throws {
        for coding in ContentCoding.allCases {
            #expect(try decode([UInt8](), [coding]) == [])
            #expect(try decode([UInt8](), [coding, .gzip]) == [])
        }
    }

    @Test func `A decoder gives no more than it is asked for`() throws {
        let decoder = try ContentDecoder([.gzip])
        decoder.feed(try encode([UInt8](repeating: 0, count: 10_000_000), [.gzip]))
        #expect(try decoder.decode(upTo: 65_536).count == 65_536)
        #expect(decoder.consumed < 1_000)
        #expect(try decoder.decode(upTo: 1).count == 1)
    }

    // MARK: - What is refused

    @Test(arguments: vectors) func `A body that ends too early is found at every byte`(_ vector: Vector) throws {
        for count in 1..<vector.encoded.count {
            #expect(fault(Array(vector.encoded[..<count]), [vector.coding]) == .truncated, "\(count) bytes")
        }
    }

    @Test(arguments: vectors) func `Bytes after the end are found`(_ vector: Vector) throws {
        for trailing in [[0], [0x1f], [0x28, 0xb5, 0x2f], Array("garbage".utf8), [UInt8](repeating: 0, count: 100)] {
            let found = fault(vector.encoded + trailing, [vector.coding])
            // Bytes that could begin another member or frame count as an incomplete one.
            let begins =
                trailing == [0x1f] && vector.coding == .gzip
                || trailing == [0x28, 0xb5, 0x2f] && vector.coding == .zstd
            #expect(found == (begins ? .truncated : .trailingBytes), "\(trailing)")
            #expect(fault([vector.encoded, trailing], [vector.coding]) == found)
        }
    }

    @Test(arguments: vectors) func `Damage is found, or the result differs, and nothing crashes`(
        _ vector: Vector
    ) throws {
        for index in vector.encoded.indices {
            for bit in 0..<8 {
                var damaged = vector.encoded
                damaged[index] ^= 1 << bit
                let result = Result { try decode(damaged, [vector.coding]) }
                // Bits of gzip's header without a meaning, such as the time, may differ.
                if vector.isChecked, case .success(let decoded) = result { #expect(decoded == Self.text) }
            }
        }
    }

    @Test func `A wrong checksum is found`() throws {
        for vector in Self.vectors where vector.isChecked {
            var damaged = vector.encoded
            // gzip's last four bytes are the length.
            damaged[damaged.count - (vector.coding == .gzip ? 6 : 2)] ^= 0x10
            guard case .corrupt(let detail) = fault(damaged, [vector.coding]) else {
                Issue.record("\(vector.name): not found")
                continue
            }
            #expect(detail.contains("check"), "\(detail)")
        }
    }

    @Test func `A zstd window of more than 8 MiB is refused`() throws {
        // 128 MiB, and 8 MiB + 1 MiB (RFC 8878 section 3.1.1.1.2).
        for window in ["88", "69"] {
            #expect(fault(bytes("28b52ffd00\(window)31000077696e646f77"), [.zstd]) == .windowTooLarge)
        }
        #expect(try decode(bytes("28b52ffd006831000077696e646f77"), [.zstd]) == Array("window".utf8))
    }

    @Test func `What is no coding at all is refused`() throws {
        for coding in ContentCoding.allCases {
            #expect(fault(Array("<!doctype html><title>A page</title>".utf8), [coding]) != nil)
            #expect(fault([UInt8](repeating: 0xff, count: 100), [coding]) != nil)
        }
    }

    // MARK: - Bombs

    @Test func `A body that decodes to too much is refused`() throws {
        let limits = ContentDecoder.Limits(size: 100_000)
        for coding in ContentCoding.allCases {
            let fits = try encode([UInt8](repeating: 0, count: 100_000), [coding])
            #expect(try decode(fits, [coding], limits: limits).count == 100_000)
            let bomb = try encode([UInt8](repeating: 0, count: 100_001), [coding])
            #expect(fault(bomb, [coding], limits: limits) == .tooLarge(limit: 100_000))
        }
    }

    @Test func `A ratio that only bombs have is refused, above a size that does no harm`() throws {
        let zeros = [UInt8](repeating: 0, count: 10 << 20)
        let limits = ContentDecoder.Limits(ratio: 200, ratioFloor: 4 << 20)
        for coding in ContentCoding.allCases {
            let bomb = try encode(zeros, [coding])
            #expect(bomb.count < 12 << 10)
            #expect(fault(bomb, [coding], limits: limits) == .ratioTooHigh(limit: 200))
            let small = try encode(Array(zeros[..<(4 << 20)]), [coding])
            #expect(try decode(small, [coding], limits: limits).count == 4 << 20)
        }
    }

    @Test func `A bomb inside another is refused before it keeps its reader busy`() throws {
        let limits = ContentDecoder.Limits(ratio: 200, ratioFloor: 4 << 20)
        // The outer coding alone yields gigabytes of empty members, which produce no output.
        let members = try encode([], [.gzip])
        let inner = [UInt8]((0..<1_000_000).map { members[$0 % members.count] })
        let outer = try (0..<20).flatMap { _ in try encode(inner, [.zstd]) }
        let decoder = try ContentDecoder([.gzip, .zstd], limits)
        decoder.feed(outer)
        #expect(throws: CodingFault(coding: .zstd, kind: .ratioTooHigh(limit: 200))) {
            while try !decoder.decode(upTo: 1_000).isEmpty {}
        }
    }

    @Test func `Every fault is described, with the coding and a remedy`() {
        let kinds: [CodingFault.Kind] = [
            .corrupt("detail"), .truncated, .trailingBytes, .windowTooLarge, .outOfMemory, .tooManyCodings,
            .tooLarge(limit: 17), .ratioTooHigh(limit: 200), .unavailable(trait: "Zstd"),
        ]
        for kind in kinds {
            let fault = CodingFault(coding: .zstd, kind: kind)
            #expect(fault.message.contains("zstd") || kind == .tooManyCodings)
            #expect(!fault.remedy.isEmpty)
        }
    }
}

// MARK: - Support

private func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

private func encode(_ body: [UInt8], _ codings: [ContentCoding]) throws -> [UInt8] {
    try codings.reduce(body) { try ContentEncoder($1).encode($0, isLast: true) }
}

private func decode(
    _ body: [UInt8], _ codings: [ContentCoding], limits: ContentDecoder.Limits = ContentDecoder.Limits()
) throws -> [UInt8] {
    try decode([body], codings, limits: limits)
}

private func decode(
    _ pieces: [[UInt8]], _ codings: [ContentCoding], upTo count: Int = 65_536,
    limits: ContentDecoder.Limits = ContentDecoder.Limits()
) throws -> [UInt8] {
    let decoder = try ContentDecoder(codings, limits)
    var result: [UInt8] = []
    func drain() throws {
        while true {
            let piece = try decoder.decode(upTo: count)
            #expect(piece.count <= count)
            if piece.isEmpty { return }
            result += piece
        }
    }
    for piece in pieces {
        decoder.feed(piece)
        try drain()
    }
    decoder.endInput()
    try drain()
    #expect(decoder.isFinished)
    return result
}

private func fault(
    _ body: [UInt8], _ codings: [ContentCoding], limits: ContentDecoder.Limits = ContentDecoder.Limits()
) -> CodingFault.Kind? {
    fault([body], codings, limits: limits)
}

private func fault(
    _ pieces: [[UInt8]], _ codings: [ContentCoding], limits: ContentDecoder.Limits = ContentDecoder.Limits()
) -> CodingFault.Kind? {
    do {
        _ = try decode(pieces, codings, limits: limits)
        return nil
    } catch {
        return (error as? CodingFault)?.kind
    }
}

/// The lower half of the CRC-32 (RFC 1952 section 2.3.1).
private func crc16(_ bytes: [UInt8]) -> UInt32 {
    var crc = UInt32.max
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    return ~crc & 0xffff
}
