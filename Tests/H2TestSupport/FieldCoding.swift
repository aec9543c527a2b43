import CNghttp2

/// One header field as text. Names and values may be illegal: nothing here checks them.
public struct Field: Hashable, Sendable {
    public var name: String
    public var value: String
    /// Never to be put into a compression table (RFC 7541 section 6.2.3).
    public var isNeverIndexed = false

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// HPACK for a scripted peer: nghttp2's own compressor, and literals by hand.
public final class FieldEncoder {
    private let deflater: OpaquePointer

    public init(tableSize: Int = 4096) {
        var deflater: OpaquePointer?
        precondition(nghttp2_hd_deflate_new(&deflater, tableSize) == 0, "no memory for an HPACK encoder")
        self.deflater = deflater!
    }

    deinit { nghttp2_hd_deflate_del(deflater) }

    /// Compressed, with the dynamic table that earlier blocks have filled.
    public func encode(_ fields: [(String, String)]) -> [UInt8] {
        var bytes: [UInt8] = []
        var spans: [(name: Int, nameCount: Int, value: Int, valueCount: Int)] = []
        for (name, value) in fields {
            let at = bytes.count
            bytes += name.utf8
            bytes += value.utf8
            spans.append((at, name.utf8.count, at + name.utf8.count, value.utf8.count))
        }
        // One more byte, so that an empty list has an address too.
        bytes.append(0)
        return bytes.withUnsafeMutableBufferPointer { memory in
            let base = memory.baseAddress!
            var pairs = spans.map {
                nghttp2_nv(
                    name: base + $0.name, value: base + $0.value, namelen: $0.nameCount, valuelen: $0.valueCount,
                    flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
            }
            let bound = nghttp2_hd_deflate_bound(deflater, pairs, pairs.count)
            var block = [UInt8](repeating: 0, count: bound)
            let count = nghttp2_hd_deflate_hd(deflater, &block, bound, &pairs, pairs.count)
            precondition(count >= 0, "nghttp2_hd_deflate_hd: \(count)")
            return Array(block[..<Int(count)])
        }
    }

    /// Literals without indexing and without Huffman coding (RFC 7541 section 6.2.2): any bytes at all.
    public static func literal(_ fields: [(String, String)]) -> [UInt8] {
        fields.flatMap { literal(name: Array($0.0.utf8), value: Array($0.1.utf8)) }
    }

    public static func literal(name: [UInt8], value: [UInt8]) -> [UInt8] {
        [0] + integer(name.count, prefixBits: 7) + name + integer(value.count, prefixBits: 7) + value
    }

    /// RFC 7541 section 5.1, with zeros above the prefix.
    private static func integer(_ value: Int, prefixBits: Int) -> [UInt8] {
        let limit = 1 << prefixBits - 1
        guard value >= limit else { return [UInt8(value)] }
        var (bytes, rest) = ([UInt8(limit)], value - limit)
        while rest >= 128 {
            bytes.append(UInt8(rest & 127 | 128))
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}

/// Decodes the header blocks of the other side.
public final class FieldDecoder {
    private let inflater: OpaquePointer

    public init() {
        var inflater: OpaquePointer?
        precondition(nghttp2_hd_inflate_new(&inflater) == 0, "no memory for an HPACK decoder")
        self.inflater = inflater!
    }

    deinit { nghttp2_hd_inflate_del(inflater) }

    /// What this side would say in SETTINGS_HEADER_TABLE_SIZE.
    public func setTableSize(_ size: Int) { nghttp2_hd_inflate_change_table_size(inflater, size) }

    /// The fields of one block; nil where it is no valid HPACK.
    public func decode(_ block: [UInt8]) -> [Field]? {
        var fields: [Field] = []
        var rest = block[...]
        while true {
            var pair = nghttp2_nv()
            var flags: CInt = 0
            let count = rest.withUnsafeBufferPointer {
                nghttp2_hd_inflate_hd2(inflater, &pair, &flags, $0.baseAddress, $0.count, 1)
            }
            guard count >= 0 else { return nil }
            rest = rest.dropFirst(Int(count))
            if flags & CInt(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
                func text(_ start: UnsafeMutablePointer<UInt8>?, _ count: Int) -> String {
                    String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
                }
                var field = Field(text(pair.name, pair.namelen), text(pair.value, pair.valuelen))
                field.isNeverIndexed = pair.flags & UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue) != 0
                fields.append(field)
            }
            if flags & CInt(NGHTTP2_HD_INFLATE_FINAL.rawValue) != 0 {
                nghttp2_hd_inflate_end_headers(inflater)
                return fields
            }
            if rest.isEmpty && flags & CInt(NGHTTP2_HD_INFLATE_EMIT.rawValue) == 0 { return nil }
        }
    }
}
