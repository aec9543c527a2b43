#if Brotli
    import CBrotli

    /// Removes Brotli (RFC 7932), using libbrotlidec. Its windows are at most 16 MiB.
    final class BrotliDecoder: DecodingStream {
        private let state: OpaquePointer
        private(set) var isAtEnd = false

        /// Returns nil if there is no memory.
        init?() {
            guard let state = BrotliDecoderCreateInstance(nil, nil, nil) else { return nil }
            self.state = state
        }

        deinit { BrotliDecoderDestroyInstance(state) }

        func decode(
            _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
        ) throws(CodingFault.Kind) -> CodingProgress {
            if isAtEnd {
                guard input.isEmpty else { throw .trailingBytes }
                return CodingProgress()
            }
            var (given, room) = (input.count, output.count)
            var next = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
            var to = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
            switch BrotliDecoderDecompressStream(state, &given, &next, &room, &to, nil) {
            case BROTLI_DECODER_RESULT_SUCCESS: isAtEnd = true
            case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT, BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT: break
            default:
                let code = BrotliDecoderGetErrorCode(state)
                // -30 … -21 are failed allocations.
                if (-30 ... -21).contains(code.rawValue) { throw .outOfMemory }
                throw .corrupt(String(cString: BrotliDecoderErrorString(code)))
            }
            return CodingProgress(consumed: input.count - given, produced: output.count - room)
        }
    }

    /// Applies Brotli, using libbrotlienc.
    final class BrotliEncoder: EncodingStream {
        private let state: OpaquePointer

        /// Returns nil if there is no memory.
        init?(level: CInt) {
            guard let state = BrotliEncoderCreateInstance(nil, nil, nil) else { return nil }
            self.state = state
            BrotliEncoderSetParameter(state, BROTLI_PARAM_QUALITY, UInt32(level))
        }

        deinit { BrotliEncoderDestroyInstance(state) }

        func encode(
            _ input: UnsafeRawBufferPointer, isLast: Bool, into output: UnsafeMutableRawBufferPointer
        ) throws(CodingFault.Kind) -> EncodingStep {
            var (given, room) = (input.count, output.count)
            var next = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
            var to = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
            let operation = isLast ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_PROCESS
            guard BrotliEncoderCompressStream(state, operation, &given, &next, &room, &to, nil) != 0 else {
                throw .corrupt("Brotli's encoder failed")
            }
            return EncodingStep(
                consumed: input.count - given, produced: output.count - room,
                hasEnded: BrotliEncoderIsFinished(state) != 0)
        }
    }
#endif
