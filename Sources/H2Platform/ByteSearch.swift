// Searching texts byte by byte. The standard library's `contains(String)`, `replacing` and `split(separator: String)` link its
// regular expressions, 1.3 MB.

extension String {
    /// Whether the bytes of `text` occur in it.
    package func containsBytes(of text: String) -> Bool {
        let (bytes, pattern) = (Array(utf8), Array(text.utf8))
        guard let first = pattern.first else { return true }
        guard pattern.count <= bytes.count else { return false }
        return (0...bytes.count - pattern.count).contains { bytes[$0] == first && bytes[$0...].starts(with: pattern) }
    }

    /// The range of the first occurrence of an ASCII string.
    package func firstRange(ofASCII needle: String) -> Range<Index>? {
        var at = startIndex
        while at < endIndex {
            if utf8[at...].starts(with: needle.utf8) {
                return at..<utf8.index(at, offsetBy: needle.utf8.count)
            }
            at = utf8.index(after: at)
        }
        return nil
    }

    /// With each occurrence of a string replaced.
    package func replacingAll(_ old: String, by new: String) -> String {
        let (bytes, pattern) = (Array(utf8), Array(old.utf8))
        guard !pattern.isEmpty else { return self }
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index...].starts(with: pattern) {
                out += new.utf8
                index += pattern.count
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
