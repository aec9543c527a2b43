/// Text of HTML and SVG. Everything that comes from outside goes through `escaped`; what `element` takes as its content
/// is markup already.
package enum Markup {
    /// The text as it may stand between tags and in quoted attributes, of HTML and of XML.
    ///
    /// Control characters, which neither language can hold, and those that turn the direction of writing, by which a name
    /// could look like another, become U+FFFD.
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

    /// A length of a drawing, to a tenth: what the eye can tell apart.
    package static func coordinate(_ value: Double) -> String {
        guard value.isFinite else { return "0" }
        let text = ChartUnit.fixed(value, decimals: 1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// About how wide a text is in pixels. The widest of the usual fonts (DejaVu Sans) has this; others leave some room.
    package static func width(of text: String, size: Double = 12) -> Double {
        text.reduce(0) { $0 + Self.width(of: $1) } * size
    }

    /// The text, or as much of its beginning as fits, with an ellipsis.
    package static func cut(_ text: String, toWidth width: Double, size: Double = 12) -> String {
        guard self.width(of: text, size: size) > width else { return text }
        var room = width / size - Self.width(of: "…")
        let beginning = text.prefix { character in
            room -= Self.width(of: character)
            return room >= 0
        }
        return beginning + "…"
    }

    /// In units of the font's size.
    private static func width(of character: Character) -> Double {
        switch character {
        case "m", "M", "W", "%", "@", "…", "—": 1
        case "w", "G", "O", "Q", "D", "H", "N", "U", "×": 0.84
        case "i", "j", "l", "I", " ", ".", ",", ":", ";", "'", "|", "!": 0.34
        case "f", "r", "t", "(", ")", "[", "]", "-", "/": 0.42
        // Of a script whose characters fill a square.
        case "\u{1100}"..."\u{10FFFF}": 1.05
        default: 0.65
        }
    }
}
