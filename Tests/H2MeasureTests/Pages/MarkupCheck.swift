import Testing

/// Whether each tag is closed where it should be, and no figure was a number that is none.
enum MarkupCheck {
    static func expectWellFormed(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) {
        var open: [Substring] = []
        var rest = Substring(text)
        while let begin = rest.firstIndex(of: "<") {
            guard let end = rest[begin...].firstIndex(of: ">") else {
                Issue.record("a tag without an end: \(rest[begin...].prefix(80))", sourceLocation: sourceLocation)
                return
            }
            let tag = rest[rest.index(after: begin)..<end]
            rest = rest[rest.index(after: end)...]
            if tag.hasPrefix("!") || tag.hasPrefix("meta") || tag.hasSuffix("/") { continue }
            if tag.hasPrefix("/") {
                let name = tag.dropFirst()
                guard open.popLast() == name else {
                    Issue.record("</\(name)> closes nothing", sourceLocation: sourceLocation)
                    return
                }
            } else {
                open.append(tag.prefix { $0 != " " })
            }
        }
        #expect(open.isEmpty, sourceLocation: sourceLocation)
        for word in ["nan", "inf", "-0 ", "Optional("] {
            let hit = text.split(separator: "\n").first {
                $0.contains("\"\(word)") || $0.contains(" \(word) ") || $0.contains(">\(word)<")
            }
            #expect(hit == nil, "\(word) in \(hit?.prefix(200) ?? "")", sourceLocation: sourceLocation)
        }
    }

    /// Neither asks the network for anything nor runs anything. The text that is shown may hold addresses.
    static func expectSelfContained(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let shown = text.replacing("http://www.w3.org/2000/svg", with: "")
        for word in ["src=", "href=", "url(", "@import", "<script", "<link", "<img", "<iframe", " on", "=\"http"] {
            let hits = shown.ranges(of: word).map { shown[$0.lowerBound...].prefix(30) }
                .filter { word != " on" || $0.prefix { $0 != " " && $0 != "<" }.contains("=\"") }
            #expect(hits.isEmpty, "\(word)", sourceLocation: sourceLocation)
        }
    }
}
