/// The format of curl's HSTS files (`--hsts`): a host and a date on each line, with a dot before a host whose
/// subdomains are included.
enum StrictTransportFile {
    /// The end of the last year that the format can write. Later times are written as "unlimited".
    static let lastTime = CalendarDay(year: 9999, month: 12, day: 31).daysSince1970 * 86_400 + 86_399

    /// Reads a file. A line that is not a host is counted and left out.
    /// - Parameter take: called with each host, in order. If it returns false, the host cannot be used and its line is
    ///   bad.
    static func parse(_ bytes: [UInt8], _ take: (StrictTransportStore.Host) -> Bool) -> BadLines {
        BadLines(of: bytes) { line in
            let line = SetCookie.trimmed(line)
            if line.isEmpty || line.first == UInt8(ascii: "#") { return true }
            // Longer than any valid line.
            guard line.count <= 1_024, let host = host(line) else { return false }
            return take(host)
        }
    }

    private static func host(_ line: ArraySlice<UInt8>) -> StrictTransportStore.Host? {
        guard let blank = line.firstIndex(where: { $0 == 0x20 || $0 == 0x09 }) else { return nil }
        var name = line[..<blank]
        let includesSubdomains = name.first == UInt8(ascii: ".")
        if includesSubdomains { name = name.dropFirst() }
        let quoted = SetCookie.trimmed(line[blank...])
        guard quoted.count > 2, quoted.first == UInt8(ascii: "\""), quoted.last == UInt8(ascii: "\""),
            let expires = time(quoted.dropFirst().dropLast())
        else { return nil }
        return StrictTransportStore.Host(
            String(decoding: name, as: UTF8.self), includesSubdomains: includesSubdomains, expires: expires)
    }

    /// `20231231 23:59:59` in UTC, or `unlimited`.
    private static func time(_ text: ArraySlice<UInt8>) -> Int? {
        if text.elementsEqual("unlimited".utf8) { return Int.max }
        let pattern = "dddddddd dd:dd:dd".utf8
        guard text.count == pattern.count else { return nil }
        var digits: [Int] = []
        for (byte, expected) in zip(text, pattern) {
            if expected == UInt8(ascii: "d") {
                guard (0x30...0x39).contains(byte) else { return nil }
                digits.append(Int(byte - 0x30))
            } else if byte != expected {
                return nil
            }
        }
        func number(_ range: Range<Int>) -> Int { digits[range].reduce(0) { $0 * 10 + $1 } }
        let (month, day) = (number(4..<6), number(6..<8))
        let (hour, minute, second) = (number(8..<10), number(10..<12), number(12..<14))
        guard (1...12).contains(month), (1...CalendarDay.length(of: month, in: number(0..<4))).contains(day), hour < 24,
            minute < 60, second <= 60
        else { return nil }
        return CalendarDay(year: number(0..<4), month: month, day: day).daysSince1970 * 86_400
            + (hour * 60 + minute) * 60 + second
    }

    // MARK: - Writing

    private static let header = """
        # Your HSTS cache. https://curl.se/docs/hsts.html
        # Written by H2Client. Edit at your own risk.

        """

    static func text(_ hosts: some Sequence<StrictTransportStore.Host>) -> [UInt8] {
        var text = Array(header.utf8)
        for host in hosts {
            text += "\(host.includesSubdomains ? "." : "")\(host.name) \"\(date(host.expires))\"\n".utf8
        }
        return text
    }

    private static func date(_ seconds: Int) -> String {
        guard seconds <= lastTime else { return "unlimited" }
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(width - digits.utf8.count, 0)) + digits
        }
        let time = max(seconds, 0)
        let day = CalendarDay(daysSince1970: time / 86_400)
        let rest = time % 86_400
        return "\(padded(day.year, 4))\(padded(day.month, 2))\(padded(day.day, 2)) "
            + "\(padded(rest / 3_600, 2)):\(padded(rest / 60 % 60, 2)):\(padded(rest % 60, 2))"
    }
}
