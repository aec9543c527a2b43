import H2Measure

/// The colours of response heads.
extension TextStyle {
    /// A line of a head: its first, in which the status decides, or a field, whose name is bold.
    func headLine(_ line: String) -> String {
        guard color else { return line }
        if line.hasPrefix("HTTP/") {
            let code = line.utf8.split(separator: UInt8(ascii: " ")).dropFirst().first.flatMap {
                Int(String(decoding: $0, as: UTF8.self))
            }
            guard let code else { return line }
            return code >= 400 ? red(line) : code >= 300 ? yellow(line) : green(line)
        }
        guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else { return line }
        return bold(String(line[..<colon])) + line[colon...]
    }

    /// The lines of heads, each of which ends in CR LF.
    func heads(_ bytes: [UInt8]) -> [UInt8] {
        guard color else { return bytes }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)
        return Array(lines.map { headLine(String($0)) }.joined(separator: "\r\n").utf8)
    }
}
