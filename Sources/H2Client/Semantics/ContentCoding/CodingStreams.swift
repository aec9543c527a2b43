/// The number of bytes that one step of a coding consumed and produced.
struct CodingProgress {
    var consumed = 0
    var produced = 0
}

/// Removes a coding from one body, using the coding's library.
protocol DecodingStream: AnyObject {
    /// Decodes from `input` into `output`, which is not empty. Both may be used in part. If nothing is produced, all
    /// input was consumed.
    func decode(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(CodingFault.Kind) -> CodingProgress
    /// Whether the input may end here.
    var isAtEnd: Bool { get }
}

extension ContentCoding {
    /// - Throws: if there is no memory, or this build cannot remove the coding.
    func makeDecodingStream() throws(CodingFault) -> any DecodingStream {
        switch self {
        case .gzip, .deflate:
            #if Zlib
                return try made(Inflater(self == .gzip ? .gzip : .zlib))
            #else
                throw CodingFault(coding: self, kind: .unavailable(trait: "Zlib"))
            #endif
        case .brotli:
            #if Brotli
                return try made(BrotliDecoder())
            #else
                throw CodingFault(coding: self, kind: .unavailable(trait: "Brotli"))
            #endif
        case .zstd:
            #if Zstd
                return try made(ZstdDecoder())
            #else
                throw CodingFault(coding: self, kind: .unavailable(trait: "Zstd"))
            #endif
        }
    }

    /// - Throws: if there is no memory for the stream.
    func made<Stream>(_ stream: Stream?) throws(CodingFault) -> Stream {
        guard let stream else { throw CodingFault(coding: self, kind: .outOfMemory) }
        return stream
    }
}
