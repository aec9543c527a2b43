/// Text of HTML and SVG. Everything from outside goes through `escaped`; the content given to `element` is already markup.
package enum Markup {
    /// The text escaped for use between tags and in quoted attributes, in HTML and in XML.
    ///
    /// Control characters, which neither language allows, become U+FFFD. So do characters that change the text direction, since
    /// they can make one name look like another.
    package static func escaped(_ text: String) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\n", "\t": result.unicodeScalars.append(scalar)
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{202A}"..."\u{202E}", "\u{2066}"..."\u{2069}",
                "\u{FFFE}", "\u{FFFF}":
                result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// `<name attribute="value">content</name>`, or `<name …/>` without content.
    package static func element(
        _ name: String, _ attributes: KeyValuePairs<String, String> = [:], _ content: String? = nil
    ) -> String {
        var result = "<\(name)"
        for (key, value) in attributes { result += " \(key)=\"\(escaped(value))\"" }
        guard let content else { return result + "/>" }
        return result + ">\(content)</\(name)>"
    }

    /// A length in a drawing, to a tenth: the eye cannot tell smaller differences.
    package static func coordinate(_ value: Double) -> String {
        guard value.isFinite else { return "0" }
        let text = ChartUnit.fixed(value, decimals: 1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// About how wide a text is, in pixels: exact for the widest common font (DejaVu Sans); others leave some room.
    package static func width(of text: String, size: Double = 12) -> Double {
        text.reduce(0) { $0 + Self.width(of: $1) } * size
    }

    /// The text, or as much of its beginning as fits, followed by an ellipsis.
    package static func cut(_ text: String, toWidth width: Double, size: Double = 12) -> String {
        guard self.width(of: text, size: size) > width else { return text }
        var room = width / size - Self.width(of: "…")
        let beginning = text.prefix { character in
            room -= Self.width(of: character)
            return room >= 0
        }
        return beginning + "…"
    }

    /// In multiples of the font size.
    private static func width(of character: Character) -> Double {
        switch character {
        case "m", "M", "W", "%", "@", "…", "—": 1
        case "w", "G", "O", "Q", "D", "H", "N", "U", "×": 0.84
        case "i", "j", "l", "I", " ", ".", ",", ":", ";", "'", "|", "!": 0.34
        case "f", "r", "t", "(", ")", "[", "]", "-", "/": 0.42
        // Scripts whose characters fill a square.
        case "\u{1100}"..."\u{10FFFF}": 1.05
        default: 0.65
        }
    }
}
