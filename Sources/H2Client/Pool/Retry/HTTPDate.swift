/// A date in any of HTTP's three formats (RFC 9110 section 5.6.7).
package enum HTTPDate {
    private static let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    private static let longDays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Seconds since 1970, or nil if it is not a date. The day of the week is not verified.
    ///
    /// - Parameter now: seconds since 1970, used to find the century of a two-digit year.
    package static func seconds(_ text: some StringProtocol, now: Int) -> Int? {
        var rest = Scanner(text.utf8)
        if rest.name(of: longDays) != nil { return rest.afterLongDay(now) }
        guard rest.name(of: days) != nil else { return nil }
        return rest.skip(", ") ? rest.fixed() : rest.asctime()
    }

    /// Days from 1 January 1970 to this day of the Gregorian calendar.
    static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        // Years starting in March have their leap day at the end.
        let year = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    static func length(of month: Int, in year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// The rest of the text.
    private struct Scanner<Bytes: Collection> where Bytes.Element == UInt8 {
        private var rest: Bytes.SubSequence

        init(_ bytes: Bytes) { rest = bytes[...] }

        /// The index in `names` of the name that comes next.
        mutating func name(of names: [String]) -> Int? {
            guard let index = names.firstIndex(where: { rest.starts(with: $0.utf8) }) else { return nil }
            rest = rest.dropFirst(names[index].utf8.count)
            return index
        }

        mutating func skip(_ text: String) -> Bool {
            guard rest.starts(with: text.utf8) else { return false }
            rest = rest.dropFirst(text.utf8.count)
            return true
        }

        mutating func number(_ digits: Int) -> Int? {
            let part = rest.prefix(digits)
            guard part.count == digits, part.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            rest = rest.dropFirst(digits)
            return part.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        }

        /// `06 Nov 1994 08:49:37 GMT`
        mutating func fixed() -> Int? {
            guard let day = number(2), skip(" "), let month = name(of: months), skip(" "), let year = number(4),
                skip(" "), let time = time(), skip(" GMT"), rest.isEmpty
            else { return nil }
            return seconds(year, month + 1, day, time)
        }

        /// `, 06-Nov-94 08:49:37 GMT`
        mutating func afterLongDay(_ now: Int) -> Int? {
            guard skip(", "), let day = number(2), skip("-"), let month = name(of: months), skip("-"),
                let year = number(2), skip(" "), let time = time(), skip(" GMT"), rest.isEmpty
            else { return nil }
            // A year more than 50 years ahead is taken as the last past year with the same two digits.
            let thisYear = 1970 + Int((Double(now) / 31_556_952).rounded(.down))
            guard (0...9999).contains(thisYear) else { return nil }
            var full = thisYear / 100 * 100 + year
            if full <= thisYear - 50 { full += 100 }
            if full > thisYear + 50 { full -= 100 }
            return seconds(full, month + 1, day, time)
        }

        /// ` Nov  6 08:49:37 1994`
        mutating func asctime() -> Int? {
            guard skip(" "), let month = name(of: months), skip(" "), let day = skip(" ") ? number(1) : number(2),
                skip(" "), let time = time(), skip(" "), let year = number(4), rest.isEmpty
            else { return nil }
            return seconds(year, month + 1, day, time)
        }

        /// Seconds of `08:49:37`; 60 is a leap second.
        private mutating func time() -> Int? {
            guard let hour = number(2), skip(":"), let minute = number(2), skip(":"), let second = number(2),
                hour < 24, minute < 60, second <= 60
            else { return nil }
            return (hour * 60 + minute) * 60 + second
        }

        private func seconds(_ year: Int, _ month: Int, _ day: Int, _ time: Int) -> Int? {
            guard (1...length(of: month, in: year)).contains(day) else { return nil }
            return days(year, month, day) * 86_400 + time
        }
    }
}
