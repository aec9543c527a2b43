/// The date of a cookie's `Expires` attribute. Servers write it in many ways, so the algorithm looks for its parts in any order
/// (RFC 6265bis section 5.1.1).
enum CookieDate {
    /// Returns seconds since 1970, or nil if it is not a date.
    static func seconds(_ text: some Collection<UInt8>) -> Int? {
        var parts = Parts()
        for token in text.split(whereSeparator: isDelimiter) { parts.take(token) }
        return parts.seconds
    }

    /// The parts found so far. The first token that looks like a part is that part.
    private struct Parts {
        var secondOfDay: Int?
        var day: Int?
        var month: Int?
        var year: Int?
        var isBad = false

        mutating func take(_ token: some Collection<UInt8>) {
            if secondOfDay == nil, let (hour, minute, second) = CookieDate.time(token) {
                if hour > 23 || minute > 59 || second > 59 { isBad = true }
                secondOfDay = (hour * 60 + minute) * 60 + second
            } else if day == nil, let number = CookieDate.number(token, digits: 1...2) {
                day = number
            } else if month == nil, let number = CookieDate.month(token) {
                month = number
            } else if year == nil, let number = CookieDate.number(token, digits: 2...4) {
                switch number {
                case 70...99: year = number + 1900
                case 0...69: year = number + 2000
                default: year = number
                }
            }
        }

        var seconds: Int? {
            guard !isBad, let secondOfDay, let day, let month, let year, year >= 1601,
                (1...CalendarDay.length(of: month, in: year)).contains(day)
            else { return nil }
            return CalendarDay(year: year, month: month, day: day).daysSince1970 * 86_400 + secondOfDay
        }
    }

    private static func isDelimiter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x09, 0x20...0x2f, 0x3b...0x40, 0x5b...0x60, 0x7b...0x7e: true
        default: false
        }
    }

    /// The number at the beginning of a token. It must have this many digits, followed by a non-digit or nothing.
    private static func number(_ token: some Collection<UInt8>, digits: ClosedRange<Int>) -> Int? {
        let part = token.prefix(digits.upperBound + 1).prefix { (0x30...0x39).contains($0) }
        guard digits.contains(part.count) else { return nil }
        return part.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    /// `8:49:37`, followed by a non-digit or nothing.
    private static func time(_ token: some Collection<UInt8>) -> (hour: Int, minute: Int, second: Int)? {
        // Drop the rest of the token: the field after the second colon ends at the first non-digit.
        let fields = token.prefix(9).split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3, fields[0].count <= 2, fields[1].count <= 2,
            fields[0].allSatisfy({ (0x30...0x39).contains($0) }), fields[1].allSatisfy({ (0x30...0x39).contains($0) }),
            let hour = number(fields[0], digits: 1...2), let minute = number(fields[1], digits: 1...2),
            let second = number(fields[2], digits: 1...2)
        else { return nil }
        return (hour, minute, second)
    }

    /// 1 to 12, if a token begins with the first three letters of an English month name, in any case.
    private static func month(_ token: some Collection<UInt8>) -> Int? {
        let names = "janfebmaraprmayjunjulaugsepoctnovdec".utf8
        let start = token.prefix(3).map { $0 | 0x20 }
        guard start.count == 3 else { return nil }
        var rest = names[...]
        for month in 1...12 {
            if rest.prefix(3).elementsEqual(start) { return month }
            rest = rest.dropFirst(3)
        }
        return nil
    }
}
