import H2Platform

/// Entry points for a fuzzer.
package enum ContentCodingFuzzing {
    /// Decodes `bytes` with codings chosen by `seed`, as a whole and in random pieces, and encodes them.
    ///
    /// Stops the process if the pieces change the result, a limit does not hold, or the encoded bytes do not decode to
    /// the original.
    package static func run(_ bytes: [UInt8], seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let available = ContentCoding.available
        guard !available.isEmpty else { return }
        let codings = (0...Int.random(in: 0...2, using: &random)).map { _ in
            available[Int.random(in: 0..<available.count, using: &random)]
        }
        let limits = ContentDecoder.Limits(size: 4 << 20, ratio: 1_000, ratioFloor: 1 << 20)
        let whole = decode([bytes], codings, limits, upTo: 64 << 10)
        var (pieces, rest): ([[UInt8]], ArraySlice<UInt8>) = ([], bytes[...])
        while !rest.isEmpty {
            pieces.append(Array(rest.prefix(Int.random(in: 1...max(rest.count / 3, 1), using: &random))))
            rest = rest.dropFirst(pieces.last?.count ?? 0)
        }
        let split = decode(pieces, codings, limits, upTo: Int.random(in: 1...2_000, using: &random))
        // libzstd compares a frame's length with its header's only if it gets the frame in one piece.
        if !codings.contains(.zstd) || (whole != nil && split != nil) {
            precondition(whole == split, "split in pieces the body differs")
        }
        if let whole { precondition(whole.count <= limits.size, "the limit does not hold") }
        for coding in codings {
            guard let encoded = try? ContentEncoder(coding).encode(bytes, isLast: true) else { continue }
            let decoded = decode([encoded], [coding], ContentDecoder.Limits(), upTo: 64 << 10)
            precondition(decoded == bytes, "what was encoded is not decoded")
        }
        _ = AppliedCodings([bytes])
    }

    private static func decode(
        _ pieces: [[UInt8]], _ codings: [ContentCoding], _ limits: ContentDecoder.Limits, upTo count: Int
    ) -> [UInt8]? {
        var result: [UInt8] = []
        do throws(CodingFault) {
            let decoder = try ContentDecoder(codings, limits)
            for piece in pieces + [[]] {
                if piece.isEmpty { decoder.endInput() } else { decoder.feed(piece) }
                while true {
                    let decoded = try decoder.decode(upTo: count)
                    if decoded.isEmpty { break }
                    precondition(decoded.count <= count, "more than asked for")
                    result += decoded
                }
            }
            precondition(decoder.isFinished, "neither the end nor an error")
            return result
        } catch {
            return nil
        }
    }
}
