import H2Client
import H2Measure

/// A URL with what stands before its `@` hidden: passwords do not belong into logs.
func withoutUserInfo(_ url: String) -> String {
    // In a URL that cannot be read, credentials may stand anywhere before an `@`.
    guard (try? RequestTarget(url)) != nil else { return Redaction.url(url) }
    let bytes = Array(url.utf8)
    let slashes = Array("://".utf8)
    guard bytes.count > 3, let start = (0..<bytes.count - 3).first(where: { bytes[$0..<$0 + 3].elementsEqual(slashes) })
    else { return url }
    let ends = Array("/?#".utf8)
    let authority = bytes[(start + 3)...].prefix { !ends.contains($0) }
    guard let at = authority.lastIndex(of: UInt8(ascii: "@")) else { return url }
    return String(decoding: bytes[..<(start + 3)], as: UTF8.self) + "***"
        + String(decoding: bytes[at...], as: UTF8.self)
}

/// `text`, or its first characters and an ellipsis where it has more than `limit`.
func shortened(_ text: String, to limit: Int) -> String {
    guard let end = text.index(text.startIndex, offsetBy: limit, limitedBy: text.endIndex), end < text.endIndex else {
        return text
    }
    return text[..<end] + "…"
}

extension Duration {
    var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }

    /// Such as `0.31 ms` or `2.50 s`.
    var brief: String {
        seconds < 1 ? "\(fixed(seconds * 1000, 2)) ms" : "\(fixed(seconds, 2)) s"
    }
}
