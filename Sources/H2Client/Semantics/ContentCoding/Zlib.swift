#if Zlib
    import CZlib

    /// A format around DEFLATE.
    enum ZlibFormat { case gzip, zlib }

    /// Removes gzip (RFC 1952) and zlib (RFC 1950), using zlib.
    ///
    /// A gzip body may have several members in a row, which are decoded as one (RFC 1952 section 2.2). If a zlib body
    /// does not begin with a zlib header, it is bare DEFLATE (RFC 1951), which some servers send.
    final class Inflater: DecodingStream {
        private enum State: Equatable {
            /// A zlib body before its format is known; the first byte may have arrived.
            case unknown(first: UInt8?)
            case inside
            /// After a complete member.
            case ended
        }

        private let format: ZlibFormat
        private let stream: UnsafeMutablePointer<z_stream>
        private var isOpen = false
        private var state: State
        private var members = 0

        /// Returns nil if there is no memory.
        init?(_ format: ZlibFormat) {
            self.format = format
            // zlib keeps the address.
            stream = .allocate(capacity: 1)
            stream.initialize(to: z_stream())
            state = format == .gzip ? .inside : .unknown(first: nil)
            guard format != .gzip || open(windowBits: 15 + 16) else { return nil }
        }

        deinit {
            if isOpen { inflateEnd(stream) }
            stream.deallocate()
        }

        private func open(windowBits: CInt) -> Bool {
            isOpen = inflateInit2_(stream, windowBits, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size)) == Z_OK
            return isOpen
        }

        var isAtEnd: Bool { state == .ended }

        func decode(
            _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
        ) throws(CodingFault.Kind) -> CodingProgress {
            switch state {
            case .unknown(let first): return try begin(first, input, into: output)
            case .inside: return try inflate(input, into: output)
            case .ended:
                guard let next = input.first else { return CodingProgress() }
                // RFC 1952 section 2.3.1: a member begins with 1f.
                guard format == .gzip, next == 0x1f, inflateReset(stream) == Z_OK else { throw .trailingBytes }
                state = .inside
                return try inflate(input, into: output)
            }
        }

        /// Tells the formats apart by the first two bytes: RFC 1950 section 2.2.
        private func begin(
            _ first: UInt8?, _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
        ) throws(CodingFault.Kind) -> CodingProgress {
            guard let next = input.first else { return CodingProgress() }
            guard let head = first ?? (input.count > 1 ? next : nil) else {
                state = .unknown(first: next)
                return CodingProgress(consumed: 1)
            }
            let second = first == nil ? input[1] : next
            let isZlib = head & 0x0f == 8 && head >> 4 <= 7 && (UInt16(head) << 8 | UInt16(second)) % 31 == 0
            guard open(windowBits: isZlib ? 15 : -15) else { throw .outOfMemory }
            state = .inside
            if first != nil {
                // One byte produces nothing in either format.
                _ = try withUnsafeBytes(of: head) { held throws(CodingFault.Kind) in try inflate(held, into: output) }
            }
            return try inflate(input, into: output)
        }

        private func inflate(
            _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
        ) throws(CodingFault.Kind) -> CodingProgress {
            let (given, room) = (UInt32(clamping: input.count), UInt32(clamping: output.count))
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
            stream.pointee.avail_in = given
            stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = room
            let status = CZlib.inflate(stream, Z_NO_FLUSH)
            let step = CodingProgress(
                consumed: Int(given - stream.pointee.avail_in), produced: Int(room - stream.pointee.avail_out))
            switch status {
            case Z_OK: break
            case Z_BUF_ERROR: break  // There is nothing to do.
            case Z_STREAM_END:
                state = .ended
                members += 1
            case Z_MEM_ERROR: throw .outOfMemory
            case Z_NEED_DICT: throw .corrupt("it needs a dictionary")
            default:
                // A second member without a valid header.
                if members > 0, stream.pointee.total_out == 0, stream.pointee.total_in < 4 { throw .trailingBytes }
                throw .corrupt(stream.pointee.msg.map { String(cString: $0) } ?? "zlib's error \(status)")
            }
            return step
        }
    }

    /// Applies gzip or zlib, using zlib.
    final class Deflater: EncodingStream {
        private let stream: UnsafeMutablePointer<z_stream>
        private var isOpen = false

        /// Returns nil if there is no memory.
        init?(_ format: ZlibFormat, level: CInt) {
            // zlib keeps the address.
            stream = .allocate(capacity: 1)
            stream.initialize(to: z_stream())
            isOpen =
                deflateInit2_(
                    stream, level, Z_DEFLATED, format == .gzip ? 15 + 16 : 15, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
                    CInt(MemoryLayout<z_stream>.size)) == Z_OK
            guard isOpen else { return nil }
        }

        deinit {
            if isOpen { deflateEnd(stream) }
            stream.deallocate()
        }

        func encode(
            _ input: UnsafeRawBufferPointer, isLast: Bool, into output: UnsafeMutableRawBufferPointer
        ) throws(CodingFault.Kind) -> EncodingStep {
            let (given, room) = (UInt32(clamping: input.count), UInt32(clamping: output.count))
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
            stream.pointee.avail_in = given
            stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = room
            let isEnd = isLast && input.count <= Int(UInt32.max)
            let status = deflate(stream, isEnd ? Z_FINISH : Z_NO_FLUSH)
            guard status == Z_OK || status == Z_BUF_ERROR || status == Z_STREAM_END else {
                throw .corrupt("zlib's error \(status)")
            }
            return EncodingStep(
                consumed: Int(given - stream.pointee.avail_in), produced: Int(room - stream.pointee.avail_out),
                hasEnded: status == Z_STREAM_END)
        }
    }
#endif
