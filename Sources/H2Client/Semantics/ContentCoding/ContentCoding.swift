/// A content coding: how the bytes of a body are compressed (RFC 9110 section 8.4.1).
@nonexhaustive
public enum ContentCoding: String, Sendable, Hashable, CaseIterable {
    /// DEFLATE in the gzip format (RFC 1952). Servers may also call it `x-gzip`.
    case gzip
    /// DEFLATE in the zlib format (RFC 1950). Bodies in bare DEFLATE (RFC 1951), which some servers send under this name, are
    /// decoded as well.
    case deflate
    /// Brotli (RFC 7932).
    case brotli = "br"
    /// Zstandard (RFC 8878), with windows of at most 8 MiB (RFC 9659).
    case zstd

    /// The codings that this build can remove and apply, in the order of `allCases`. Each depends on a
    /// trait of the package: `Zlib` (gzip and deflate), `Brotli`, `Zstd`. All of them are on by default.
    public static var available: [ContentCoding] {
        var available: [ContentCoding] = []
        #if Zlib
            available += [.gzip, .deflate]
        #endif
        #if Brotli
            available += [.brotli]
        #endif
        #if Zstd
            available += [.zstd]
        #endif
        return available
    }

    // Constant memory, so that a request costs no allocation and nghttp2 need not copy it.
    #if Zlib && Brotli && Zstd
        /// The value of `accept-encoding` that offers what is available; empty if nothing is.
        static let acceptEncoding: StaticString = "gzip, deflate, br, zstd"
    #elseif Zlib && Brotli
        static let acceptEncoding: StaticString = "gzip, deflate, br"
    #elseif Zlib && Zstd
        static let acceptEncoding: StaticString = "gzip, deflate, zstd"
    #elseif Brotli && Zstd
        static let acceptEncoding: StaticString = "br, zstd"
    #elseif Zlib
        static let acceptEncoding: StaticString = "gzip, deflate"
    #elseif Brotli
        static let acceptEncoding: StaticString = "br"
    #elseif Zstd
        static let acceptEncoding: StaticString = "zstd"
    #else
        static let acceptEncoding: StaticString = ""
    #endif

    /// The coding that a `content-encoding` field names, in any case; nil if this build cannot remove it.
    init?(name: some Collection<UInt8>) {
        switch String(decoding: name, as: UTF8.self).lowercased() {
        #if Zlib
            case "gzip", "x-gzip": self = .gzip
            case "deflate": self = .deflate
        #endif
        #if Brotli
            case "br": self = .brotli
        #endif
        #if Zstd
            case "zstd": self = .zstd
        #endif
        default: return nil
        }
    }
}

/// The contents of a response's `content-encoding` fields (RFC 9110 section 8.4).
enum AppliedCodings: Equatable {
    /// The codings in the order applied; empty if there are none.
    case known([ContentCoding])
    /// One of them is unknown, so the body stays as it is.
    case unknown
    /// There are more than `limit`.
    case tooMany

    /// Each coding costs memory and time, and nobody applies more than two.
    static let limit = 5

    /// - Parameter values: the values of all `content-encoding` fields, in order.
    init(_ values: [[UInt8]]) {
        var codings: [ContentCoding] = []
        for value in values {
            for element in value.split(separator: UInt8(ascii: ",")) {
                let name = element.trimmingOptionalWhitespace
                // RFC 9110 sections 5.6.1 and 12.5.3: empty elements do not count, and `identity` is not a coding.
                if name.isEmpty || String(decoding: name, as: UTF8.self).lowercased() == "identity" { continue }
                guard let coding = ContentCoding(name: name) else {
                    self = .unknown
                    return
                }
                codings.append(coding)
            }
        }
        self = codings.count > Self.limit ? .tooMany : .known(codings)
    }
}

extension ArraySlice<UInt8> {
    /// Without the spaces and tabs around it (RFC 9110 section 5.6.3).
    fileprivate var trimmingOptionalWhitespace: ArraySlice<UInt8> {
        func isWhitespace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        var rest = drop(while: isWhitespace)
        while let last = rest.last, isWhitespace(last) { rest.removeLast() }
        return rest
    }
}
