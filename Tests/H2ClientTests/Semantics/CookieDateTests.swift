import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct CookieDateTests {
    /// Sun, 06 Nov 1994 08:49:37 GMT.
    private static let then = 784_111_777

    @Test(arguments: [
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "06 Nov 1994 08:49:37", "1994 Nov 6 8:49:37", "8:49:37 6 november 94", "6 NOVember 1994 08:49:37 PST",
        "(6)[nov]{1994}@08:49:37", "Sun,06-Nov-1994 08:49:37", "\t6;nov;1994;8:49:37z", "6x nov 1994y 8:49:37",
        "06 Nov 1994 08:49:37 07 Dec 1995 09:50:38", "00006 x 6 Nov 1994 08:49:37",
    ])
    func `A date in any order and with any separators`(text: String) {
        #expect(CookieDate.seconds(Array(text.utf8)) == Self.then)
    }

    @Test(arguments: [
        "", " ", "Sun", "06 Nov 1994", "06 Nov 08:49:37", "Nov 1994 08:49:37", "06 1994 08:49:37",
        "00 Nov 1994 08:49:37", "32 Oct 1994 08:49:37", "31 Nov 1994 08:49:37", "29 Feb 1900 08:49:37",
        "30 Feb 2000 08:49:37", "06 Nov 1600 08:49:37", "06 Nov 199 08:49:37", "06 Nov 19940 08:49:37",
        "06 Nov 1994 24:00:00", "06 Nov 1994 08:60:00", "06 Nov 1994 08:49:60", "06 Nov 1994 08:49",
        "06 Nov 1994 008:49:37", "06 Nov 1994 08:49:371", "06 Nov 1994 -8:49:", "06 Nov 1994 ::",
        "06 No 1994 08:49:37", "06 Nov 1994 8:4\u{660}:37", "9999999999999999999999",
    ])
    func `What is no date`(text: String) {
        #expect(CookieDate.seconds(Array(text.utf8)) == nil)
    }

    @Test(arguments: [
        ("1 Jan 1970 00:00:00", 0), ("1 Jan 70 00:00:00", 0), ("1 Jan 69 00:00:00", 3_124_224_000),
        ("1 Jan 00 00:00:00", 946_684_800), ("31 Dec 99 23:59:59", 946_684_799),
        ("29 Feb 2000 00:00:00", 951_782_400), ("1 Jan 1601 00:00:00", -11_644_473_600),
        ("31 Dec 9999 23:59:59", 253_402_300_799), ("19 Jan 2038 03:14:08", 2_147_483_648),
    ])
    func `Years of two digits, leap days, and the first and last date`(text: String, seconds: Int) {
        #expect(CookieDate.seconds(Array(text.utf8)) == seconds)
    }

    @Test func `A day and its number belong together`() {
        for days in stride(from: -140_000, through: 3_000_000, by: 61) {
            #expect(CalendarDay(daysSince1970: days).daysSince1970 == days)
        }
        #expect(CalendarDay(daysSince1970: 11_016) == CalendarDay(year: 2000, month: 2, day: 29))
    }
}
