import H2Platform

/// Dates of HTTP as the times of files.
enum FileDate {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Seconds since 1970; nil if it is not a date in the form that servers must send (RFC 9110 section 5.6.7), such as
    /// `Thu, 02 Jan 2020 03:04:05 GMT`.
    static func seconds(_ text: String) -> Int? {
        let words = text.split { $0 == " " || $0 == "," || $0 == ":" }
        guard words.count == 8, words[7] == "GMT", let month = months.firstIndex(where: { $0 == words[2] }) else {
            return nil
        }
        let numbers = [1, 3, 4, 5, 6].compactMap { Int32(words[$0]) }
        guard numbers.count == 5, numbers.allSatisfy({ $0 >= 0 }), (1970...9999).contains(numbers[1]) else {
            return nil
        }
        var parts = tm()
        (parts.tm_mday, parts.tm_mon, parts.tm_year) = (numbers[0], Int32(month), numbers[1] - 1900)
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (numbers[2], numbers[3], numbers[4])
        let seconds = timegm(&parts)
        // timegm(3) takes 30 February for a day of March.
        return parts.tm_mday == numbers[0] && parts.tm_hour == numbers[2] ? Int(seconds) : nil
    }
}
