#if Zstd
    import CZstd

    /// Removes Zstandard (RFC 8878), using libzstd. A body may have several frames in a row, which are decoded as one
    /// (RFC 8878 section 3), and skippable frames.
    final class ZstdDecoder: DecodingStream {
        private let context: OpaquePointer
        private var frames = 0
        /// Of the current frame.
        private var hasBegun = false

        /// RFC 9659 section 3: windows of at most 8 MiB.
        private static let windowLog: CInt = 23

        /// Returns nil if there is no memory.
        init?() {
            guard let context = ZSTD_createDCtx() else { return nil }
            self.context = context
            guard ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Self.windowLog)) == 0 else {
                ZSTD_freeDCtx(context)
                return nil
            }
        }

        deinit { ZSTD_freeDCtx(context) }

        var isAtEnd: Bool { !hasBegun && frames > 0 }

        func decode(
            _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
        ) throws(CodingFault.Kind) -> CodingProgress {
            // Between two frames there is no output.
            if input.isEmpty, !hasBegun { return CodingProgress() }
            var from = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
            var to = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
            hasBegun = true
            let status = ZSTD_decompressStream(context, &to, &from)
            if ZSTD_isError(status) != 0 {
                switch ZSTD_getErrorCode(status) {
                case ZSTD_error_frameParameter_windowTooLarge: throw .windowTooLarge
                case ZSTD_error_memory_allocation: throw .outOfMemory
                case ZSTD_error_prefix_unknown where frames > 0: throw .trailingBytes
                default: throw .corrupt(String(cString: ZSTD_getErrorName(status)))
                }
            }
            if status == 0 {
                hasBegun = false
                frames += 1
            }
            return CodingProgress(consumed: from.pos, produced: to.pos)
        }
    }

    /// Applies Zstandard, using libzstd, with a checksum.
    final class ZstdEncoder: EncodingStream {
        private let context: OpaquePointer

        /// Returns nil if there is no memory.
        init?(level: CInt) {
            guard let context = ZSTD_createCCtx() else { return nil }
            self.context = context
            ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
            ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
        }

        deinit { ZSTD_freeCCtx(context) }

        func encode(
            _ input: UnsafeRawBufferPointer, isLast: Bool, into output: UnsafeMutableRawBufferPointer
        ) throws(CodingFault.Kind) -> EncodingStep {
            var from = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
            var to = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
            let status = ZSTD_compressStream2(context, &to, &from, isLast ? ZSTD_e_end : ZSTD_e_continue)
            guard ZSTD_isError(status) == 0 else { throw .corrupt(String(cString: ZSTD_getErrorName(status))) }
            return EncodingStep(consumed: from.pos, produced: to.pos, hasEnded: isLast && status == 0)
        }
    }
#endif
