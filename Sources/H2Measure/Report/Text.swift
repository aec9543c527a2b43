/// Text for people: nothing here may carry a control character that a server chose, and number formatting alone is not worth
/// loading Foundation.

/// `text` with everything escaped that could move a terminal's cursor, recolour it or reverse its text.
package func printable(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 < 0x20 || $0 >= 0x7f }) else { return text }
    var out = ""
    out.reserveCapacity(text.utf8.count + 16)
    for scalar in text.unicodeScalars {
        switch scalar.value {
        case 0x00..<0x20, 0x7f: out += "\\x" + hex(scalar.value, width: 2)
        // C1 controls, and the marks that change the text direction.
        case 0x80..<0xa0, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069: out += "\\u{\(hex(scalar.value, width: 2))}"
        default: out.unicodeScalars.append(scalar)
        }
    }
    return out
}

package func hex(_ value: UInt32, width: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

/// `value` with the given number of decimals.
package func fixed(_ value: Double, _ decimals: Int) -> String {
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    guard value.isFinite, abs(value) < 1e15, abs(value) * scale < 9e18 else { return "?" }
    let scaled = Int64((abs(value) * scale).rounded())
    let whole = scaled / Int64(scale)
    let sign = value < 0 && scaled != 0 ? "-" : ""
    guard decimals > 0 else { return "\(sign)\(whole)" }
    let fraction = String(scaled % Int64(scale))
    return "\(sign)\(whole).\(String(repeating: "0", count: decimals - fraction.count))\(fraction)"
}

/// For example `980 B`, `1.2 kB`, `34.5 MB`: powers of 1,000.
package func byteCount(_ bytes: Int) -> String {
    if bytes < 1000 { return "\(bytes) B" }
    var value = Double(bytes) / 1000
    for unit in ["kB", "MB", "GB"] {
        if value < 999.95 { return "\(fixed(value, 1)) \(unit)" }
        value /= 1000
    }
    return "\(fixed(value, 1)) TB"
}

/// `1 request`, `2 requests`.
package func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

/// `1 request`, `2,000 requests`.
package func grouped(_ count: Int, _ noun: String) -> String { "\(grouped(count)) \(noun)\(count == 1 ? "" : "s")" }

/// For example `1,234,567`.
package func grouped(_ count: Int) -> String {
    let digits = String(count.magnitude)
    var out = count < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
        if index > 0, (digits.count - index) % 3 == 0 { out += "," }
        out.append(digit)
    }
    return out
}

/// A rate for people: `0.52`, `12.3`, `1,234`.
package func rateText(_ perSecond: Double) -> String {
    guard perSecond.isFinite, abs(perSecond) < 1e15 else { return "?" }
    if abs(perSecond) < 9.995 { return fixed(perSecond, 2) }
    if abs(perSecond) < 99.95 { return fixed(perSecond, 1) }
    return grouped(Int(perSecond.rounded()))
}

/// A time with three significant digits in a suitable unit: `840 ns`, `12.3 µs`, `1.24 ms`, `2.50 s`, `12.5 min`.
package func timeText(nanoseconds: Double) -> String {
    guard nanoseconds.isFinite, nanoseconds >= 0 else { return "?" }
    if nanoseconds < 999.5 { return "\(fixed(nanoseconds, 0)) ns" }
    var value = nanoseconds / 1000
    for unit in ["µs", "ms"] {
        if value < 999.5 { return "\(threeDigits(value)) \(unit)" }
        value /= 1000
    }
    return value < 600 ? "\(threeDigits(value)) s" : "\(threeDigits(value / 60)) min"
}

package func timeText(_ nanoseconds: UInt64) -> String { timeText(nanoseconds: Double(nanoseconds)) }

package func timeText(seconds: Double) -> String { timeText(nanoseconds: seconds * 1e9) }

private func threeDigits(_ value: Double) -> String {
    value < 9.995 ? fixed(value, 2) : value < 99.95 ? fixed(value, 1) : grouped(Int(value.rounded()))
}

/// `0.953` as `95.3 %`.
package func percent(_ part: Double) -> String { "\(fixed(part * 100, 1)) %" }
