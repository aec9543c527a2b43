/// Applies a content coding to one body, piece by piece.
final class ContentEncoder {
    private let coding: ContentCoding
    private let stream: any EncodingStream

    /// The amount of room that one call makes at a time.
    private static let roomStep = 32 << 10

    /// - Parameter level: clamped to the coding's `levels`; nil for its default.
    /// - Throws: `unavailable` if this build cannot apply the coding, or there is no memory.
    init(_ coding: ContentCoding, level: Int? = nil) throws(CodingFault) {
        self.coding = coding
        let range = coding.levels
        let level = level.map { min(max($0, range.lowerBound), range.upperBound) } ?? coding.defaultLevel
        stream = try coding.makeEncodingStream(level: CInt(level))
    }

    /// Takes all of `bytes`, and returns the encoded bytes that were not returned before; often there are none.
    /// - Parameter isLast: Whether nothing follows, so that the coding is ended.
    func encode(_ bytes: [UInt8], isLast: Bool) throws(CodingFault) -> [UInt8] {
        var result: [UInt8] = []
        var offset = 0
        while true {
            var fault: CodingFault.Kind?
            var step = EncodingStep()
            let piece = [UInt8](unsafeUninitializedCapacity: Self.roomStep) { buffer, filled in
                let output = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: Self.roomStep)
                bytes.withUnsafeBytes { input in
                    let rest = UnsafeRawBufferPointer(rebasing: input[offset...])
                    do throws(CodingFault.Kind) {
                        step = try stream.encode(rest, isLast: isLast, into: output)
                        filled = step.produced
                    } catch {
                        fault = error
                    }
                }
            }
            if let fault { throw CodingFault(coding: coding, kind: fault) }
            offset += step.consumed
            if result.isEmpty { result = piece } else { result += piece }
            let isDone = isLast ? step.hasEnded : offset == bytes.count && step.produced < Self.roomStep
            if isDone { return result }
            guard step.consumed > 0 || step.produced > 0 else {
                throw CodingFault(coding: coding, kind: .corrupt("it makes no progress"))
            }
        }
    }
}

/// One step of an encoder.
struct EncodingStep {
    var consumed = 0
    var produced = 0
    /// The coding's end has been written.
    var hasEnded = false
}

/// Applies a coding to one body, using the coding's library.
protocol EncodingStream: AnyObject {
    /// Encodes from `input` into `output`, which is not empty.
    func encode(
        _ input: UnsafeRawBufferPointer, isLast: Bool, into output: UnsafeMutableRawBufferPointer
    ) throws(CodingFault.Kind) -> EncodingStep
}

extension ContentCoding {
    /// The levels of the coding's library, from fast to small. Above 19 Zstandard uses windows that RFC 9659 does not allow.
    var levels: ClosedRange<Int> {
        switch self {
        case .gzip, .deflate: 1...9
        case .brotli: 0...11
        case .zstd: 1...19
        }
    }

    /// The library's own default, except for Brotli: its default, 11, is meant for files that are compressed once and
    /// read often.
    var defaultLevel: Int {
        switch self {
        case .gzip, .deflate: 6
        case .brotli: 5
        case .zstd: 3
        }
    }

    /// - Throws: if there is no memory, or this build cannot apply the coding.
    func makeEncodingStream(level: CInt) throws(CodingFault) -> any EncodingStream {
        switch self {
        case .gzip, .deflate:
            #if Zlib
                return try made(Deflater(self == .gzip ? .gzip : .zlib, level: level))
            #else
                throw CodingFault(coding: self, kind: .unavailable(trait: "Zlib"))
            #endif
        case .brotli:
            #if Brotli
                return try made(BrotliEncoder(level: level))
            #else
                throw CodingFault(coding: self, kind: .unavailable(trait: "Brotli"))
            #endif
        case .zstd:
            #if Zstd
                return try made(ZstdEncoder(level: level))
            #else
                throw CodingFault(coding: self, kind: .unavailable(trait: "Zstd"))
            #endif
        }
    }
}
