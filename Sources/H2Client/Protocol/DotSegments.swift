/// Removes `.` and `..` from a path (RFC 3986 section 5.2.4), even if their dots are percent-encoded: a server that decodes
/// first would follow them, bypassing any earlier check.
enum DotSegments {
    /// - Parameter path: begins with a slash. A query after `?` is not changed.
    static func removed(from path: ArraySlice<UInt8>) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        let end = path.firstIndex(of: UInt8(ascii: "?")) ?? path.endIndex
        guard mayHaveDots(path[..<end]) else { return Array(path) }
        var kept: [UInt8] = []
        kept.reserveCapacity(path.count)
        var at = path.startIndex
        while at < end {
            // A segment with its leading slash.
            let next = path[(at + 1)..<end].firstIndex(of: slash) ?? end
            switch dots(path[(at + 1)..<next]) {
            case 1: if next == end { kept.append(slash) }
            case 2:
                if let last = kept.lastIndex(of: slash) { kept.removeSubrange(last...) }
                if next == end { kept.append(slash) }
            default: kept.append(contentsOf: path[at..<next])
            }
            at = next
        }
        if kept.isEmpty { kept.append(slash) }
        return kept + path[end...]
    }

    private static func mayHaveDots(_ path: ArraySlice<UInt8>) -> Bool {
        var before = UInt8(ascii: "/")
        for byte in path {
            if before == UInt8(ascii: "/"), byte == UInt8(ascii: ".") || byte == UInt8(ascii: "%") { return true }
            before = byte
        }
        return false
    }

    /// 1 for `.`, 2 for `..`, 0 for any other segment.
    private static func dots(_ segment: ArraySlice<UInt8>) -> Int {
        var rest = segment
        var count = 0
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard rest.popFirst() == UInt8(ascii: "2"), let last = rest.popFirst(), last | 0x20 == UInt8(ascii: "e")
                else { return 0 }
            } else if byte != UInt8(ascii: ".") {
                return 0
            }
            count += 1
            if count > 2 { return 0 }
        }
        return count
    }
}
