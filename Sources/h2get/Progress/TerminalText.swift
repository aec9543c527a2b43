/// How many columns of a terminal text takes, by Unicode Standard Annex #11 (East Asian Width).
enum TerminalText {
    /// Wide and fullwidth characters, in ascending order. Unassigned gaps within a block count as wide.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115f, 0x231a...0x231b, 0x2329...0x232a, 0x23e9...0x23ec, 0x23f0...0x23f0, 0x23f3...0x23f3,
        0x25fd...0x25fe, 0x2614...0x2615, 0x2648...0x2653, 0x267f...0x267f, 0x2693...0x2693, 0x26a1...0x26a1,
        0x26aa...0x26ab, 0x26bd...0x26be, 0x26c4...0x26c5, 0x26ce...0x26ce, 0x26d4...0x26d4, 0x26ea...0x26ea,
        0x26f2...0x26f3, 0x26f5...0x26f5, 0x26fa...0x26fa, 0x26fd...0x26fd, 0x2705...0x2705, 0x270a...0x270b,
        0x2728...0x2728, 0x274c...0x274c, 0x274e...0x274e, 0x2753...0x2755, 0x2757...0x2757, 0x2795...0x2797,
        0x27b0...0x27b0, 0x27bf...0x27bf, 0x2b1b...0x2b1c, 0x2b50...0x2b50, 0x2b55...0x2b55, 0x2e80...0x303e,
        0x3041...0x4dbf, 0x4e00...0xa4cf, 0xa960...0xa97c, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe10...0xfe19,
        0xfe30...0xfe6f, 0xff01...0xff60, 0xffe0...0xffe6, 0x16fe0...0x18dff, 0x1aff0...0x1b2ff, 0x1f004...0x1f004,
        0x1f0cf...0x1f0cf, 0x1f18e...0x1f18e, 0x1f191...0x1f19a, 0x1f200...0x1f265, 0x1f300...0x1f64f,
        0x1f680...0x1f6ff, 0x1f7e0...0x1f7f0, 0x1f90c...0x1f9ff, 0x1fa70...0x1faff, 0x20000...0x3fffd,
    ]

    static func columns(_ scalar: Unicode.Scalar) -> Int {
        let value = scalar.value
        if value < 0x300 { return value < 0x20 || (0x7f..<0xa0).contains(value) ? 0 : 1 }
        // The vowels and finals of Hangul are drawn into the consonant before them.
        if (0x1160...0x11ff).contains(value) || (0xd7b0...0xd7ff).contains(value) { return 0 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        var (low, high) = (0, wide.count)
        while low < high {
            let middle = (low + high) / 2
            if wide[middle].upperBound < value { low = middle + 1 } else { high = middle }
        }
        return low < wide.count && wide[low].contains(value) ? 2 : 1
    }

    /// The columns of one character as it is seen. Of a sequence that some terminals join and others do not, each part counts:
    /// a line may end early, but never wraps.
    static func columns(_ character: Character) -> Int {
        let sum = character.unicodeScalars.reduce(0) { $0 + columns($1) }
        // U+FE0F asks for the wide form of a narrow character.
        return sum == 1 && character.unicodeScalars.contains { $0.value == 0xfe0f } ? 2 : sum
    }

    static func columns(_ text: String) -> Int { text.reduce(0) { $0 + columns($1) } }

    /// `text` in at most `limit` columns: what is too much is left out in the middle, since the ends tell names apart.
    static func shortened(_ text: String, to limit: Int) -> String {
        guard columns(text) > limit else { return text }
        guard limit > 1 else { return limit == 1 ? "…" : "" }
        let room = limit - 1
        // The end, with the file's type, gets the odd column.
        let head = prefix(text, columns: room / 2)
        let tail = prefix(text.reversed(), columns: room - columns(head))
        return head + "…" + String(tail.reversed())
    }

    private static func prefix(_ text: some Sequence<Character>, columns limit: Int) -> String {
        var (out, used) = ("", 0)
        for character in text {
            let width = columns(character)
            guard used + width <= limit else { break }
            out.append(character)
            used += width
        }
        return out
    }

    /// The beginning of `text`, in at most `limit` columns.
    static func cut(_ text: String, to limit: Int) -> String { prefix(text, columns: limit) }

    /// `text` with spaces behind it up to `width` columns.
    static func padded(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - columns(text)))
    }

    /// `text` with spaces before it up to `width` columns.
    static func rightAligned(_ text: String, to width: Int) -> String {
        String(repeating: " ", count: max(0, width - columns(text))) + text
    }
}
