/// Text for people: nothing here may carry a control character that a server chose, and no number formatting is worth
/// loading Foundation for.

/// `text` with everything that could move a terminal's cursor, recolour it or reverse its text written as an escape.
func printable(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 < 0x20 || $0 >= 0x7f }) else { return text }
    var out = ""
    out.reserveCapacity(text.utf8.count + 16)
    for scalar in text.unicodeScalars {
        switch scalar.value {
        case 0x00..<0x20, 0x7f: out += "\\x" + hex(scalar.value, width: 2)
        // C1 controls, and the marks that change the direction of the text after them.
        case 0x80..<0xa0, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069: out += "\\u{\(hex(scalar.value, width: 2))}"
        default: out.unicodeScalars.append(scalar)
        }
    }
    return out
}

/// A URL with what stands before its `@` hidden: passwords do not belong into logs.
func withoutUserInfo(_ url: String) -> String {
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

func hex(_ value: UInt32, width: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

/// `value` with so many decimals.
func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "?" }
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = Int64((abs(value) * scale).rounded())
    let whole = scaled / Int64(scale)
    let sign = value < 0 && scaled != 0 ? "-" : ""
    guard decimals > 0 else { return "\(sign)\(whole)" }
    let fraction = String(scaled % Int64(scale))
    return "\(sign)\(whole).\(String(repeating: "0", count: decimals - fraction.count))\(fraction)"
}

/// Such as `980 B`, `1.2 kB`, `34.5 MB`: powers of 1,000.
func byteCount(_ bytes: Int) -> String {
    if bytes < 1000 { return "\(bytes) B" }
    var value = Double(bytes) / 1000
    for unit in ["kB", "MB", "GB"] {
        if value < 999.95 { return "\(fixed(value, 1)) \(unit)" }
        value /= 1000
    }
    return "\(fixed(value, 1)) TB"
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

/// `1 request`, `2 requests`.
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
