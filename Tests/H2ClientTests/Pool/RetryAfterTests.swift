import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct RetryAfterTests {
    private static let second: UInt64 = 1_000_000_000
    /// Sun, 06 Nov 1994 08:49:37 GMT.
    private static let then = 784_111_777

    private func wait(_ value: String?, now: Int = then) -> UInt64? {
        RetryAfter.wait({ $0 == "retry-after" ? value : nil }, now: now)
    }

    private func pause(_ fields: [String: String], now: Int = 1_700_000_000) -> UInt64? {
        RetryAfter.pause({ fields[$0] }, now: now)
    }

    // MARK: - Retry-After

    @Test(arguments: [("0", 0), ("120", 120), (" 7\t", 7), ("007", 7), ("99999999999999999999999", 2_147_483_647)])
    func `Retry-After in seconds`(value: String, seconds: UInt64) {
        #expect(wait(value) == seconds * Self.second)
    }

    @Test(arguments: [
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
    ])
    func `Retry-After as a date, in each of the three formats`(date: String) {
        #expect(wait(date, now: Self.then - 90) == 90 * Self.second)
        #expect(wait(date, now: Self.then) == 0)
        #expect(wait(date, now: Self.then + 90) == 0)
        #expect(wait(date, now: 0) == 784_111_777 * Self.second)
        #expect(wait(" \(date) ", now: Self.then - 1) == Self.second)
    }

    @Test(arguments: [
        nil, "", " ", "-1", "+1", "1.5", "0x10", "1s", "١", "soon", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun,",
        "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 GMT+1", "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1995 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 94 08:49:37 GMT", "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 1994 GMT",
        "Sun, 06 Nov 1994 -8:49:37 GMT", "06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:3",
    ])
    func `What is neither asks for nothing`(value: String?) {
        #expect(wait(value) == nil)
    }

    @Test(arguments: [
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 946_684_799), ("Thu, 31 Dec 1998 23:59:60 GMT", 915_148_800),
        ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400), ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
        ("Tue Nov 16 08:49:37 2038", 2_173_510_177), ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
    ])
    func `Dates are counted from 1970`(date: String, seconds: Int) {
        #expect(HTTPDate.seconds(date, now: 0) == seconds)
    }

    @Test func `Each day of four centuries follows the one before`() {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        var next: Int?
        for year in 1900...2300 {
            for month in months {
                for day in 1...31 {
                    let text = "Mon, \(day < 10 ? "0" : "")\(day) \(month) \(year) 00:00:00 GMT"
                    guard let seconds = HTTPDate.seconds(text, now: 0) else {
                        #expect(day > 28)
                        continue
                    }
                    if let next, next != seconds { Issue.record("\(text): \(seconds), not \(next)") }
                    next = seconds + 86_400
                }
            }
        }
        #expect(next == 10_445_328_000)
    }

    @Test(arguments: [("70", 2070), ("94", 1994), ("99", 1999), ("00", 2000), ("24", 2024), ("73", 2073), ("75", 1975)])
    func `A year of two digits is the one that is at most 50 years ahead`(digits: String, year: Int) {
        let now = 1_700_000_000  // 2023
        #expect(
            HTTPDate.seconds("Monday, 05-Jul-\(digits) 01:02:03 GMT", now: now)
                == HTTPDate.seconds("Mon, 05 Jul \(year) 01:02:03 GMT", now: now))
    }

    // MARK: - RateLimit

    @Test(arguments: [
        (#""default";r=0;t=30"#, 30), (#""a";r=0;t=5, "b";r=0;t=60,"c";r=9;t=900"#, 60), (#""a";t=5;r=0"#, 5),
        (#""a\"b,;r=1";r=0;t=5"#, 5), (#""a"; r=0; t=5; pk=:cHsdsRa894==:"#, 5), ("token;r=0;t=5", 5),
        (#""a";r=0;t=5;q;x=?1;y=1.5;z="s";d=@17"#, 5), (#""a";r=3;r=0;t=5"#, 5), ("limit=10, remaining=0, reset=7", 7),
        (#""a";r=0;t=999999999999999"#, 2_147_483_647), (#"  "a";r=0;t=0  "#, 0),
    ])
    func `RateLimit asks for a pause where nothing remains`(value: String, seconds: UInt64) {
        #expect(pause(["ratelimit": value]) == seconds * Self.second)
    }

    @Test(arguments: [
        "", "   ", #""a""#, #""a";r=1;t=30"#, #""a";r=0"#, #""a";t=30"#, #""a";r=0;t=-1"#, #""a";r=-0.5;t=1"#,
        #""a";r="0";t=30"#, #""a;r=0;t=30"#, #""a";r=0;t=30,"#, #"x"#, #""a";r=0;t=30 junk"#, #""a";R=0;t=30"#,
        #""a";r=;t=30"#, #""a";r=0;t=1000000000000000"#, #"("a" "b");r=0;t=30"#, ",", ";r=0;t=30", #""é";r=0;t=30"#,
        "limit=10, remaining=1, reset=7", "limit=10, remaining=0", #""a";r=0;t=30 ; "#, #""a\x";r=0;t=30"#,
    ])
    func `RateLimit that leaves something, or breaks the syntax, asks for nothing`(value: String) {
        #expect(pause(["ratelimit": value]) == nil)
    }

    @Test(arguments: ["ratelimit", "x-ratelimit"])
    func `The older fields ask for a pause where nothing remains, in seconds or as a time`(prefix: String) {
        func asked(_ remaining: String?, _ reset: String?) -> UInt64? {
            var fields: [String: String] = [:]
            fields[prefix + "-remaining"] = remaining
            fields[prefix + "-reset"] = reset
            return pause(fields)
        }
        #expect(asked("0", "30") == 30 * Self.second)
        #expect(asked(" 0 ", "1700000042") == 42 * Self.second)
        #expect(asked("0", "1700000042000") == 42 * Self.second)
        #expect(asked("0", "1600000000") == 0)
        #expect(asked("0", "1000000000") == 1_000_000_000 * Self.second)
        #expect(asked("0", "99999999999999999999999") == 2_147_483_647 * Self.second)
        #expect(asked("1", "30") == nil)
        #expect(asked("0", nil) == nil)
        #expect(asked(nil, "30") == nil)
        #expect(asked("0", "6m0s") == nil)
        #expect(asked("-0", "30") == nil)
        #expect(asked("", "30") == nil)
    }

    @Test func `The newest fields that say anything count`() {
        let old = ["x-ratelimit-remaining": "0", "x-ratelimit-reset": "3"]
        let middle = ["ratelimit-remaining": "0", "ratelimit-reset": "2"]
        let merged = old.merging(middle) { $1 }
        #expect(pause(merged) == 2 * Self.second)
        #expect(pause(merged.merging(["ratelimit": #""a";r=0;t=1"#]) { $1 }) == Self.second)
        #expect(pause(old.merging(["ratelimit": "?"]) { $1 }) == 3 * Self.second)
        #expect(pause([:]) == nil)
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `Bytes that servers make up never crash it, and no answer is longer than 68 years`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let samples = [
            "120", "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
            #""a";r=0;t=5, "b";r=0;t=60;pk=:YQ==:"#, "limit=10, remaining=0, reset=7", "18446744073709551616", "-0.5",
        ]
        let letters = Array("\"\\;=,:?@()-+ .09rtGMTé\u{0}\u{7f}".unicodeScalars)
        for _ in 0..<2_000 {
            var scalars = Array(samples.randomElement(using: &random)!.unicodeScalars)
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                let place = Int.random(in: 0...scalars.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: scalars.insert(letters.randomElement(using: &random)!, at: place)
                case 1: scalars.removeSubrange(place..<min(place + 2, scalars.count))
                default: if place < scalars.count { scalars[place] = letters.randomElement(using: &random)! }
                }
            }
            var value = ""
            value.unicodeScalars.append(contentsOf: scalars)
            let now = [Int.min, -1, 0, 1_700_000_000, Int.max].randomElement(using: &random)!
            for answer in [
                RetryAfter.wait({ _ in value }, now: now), RetryAfter.pause({ _ in value }, now: now),
                RetryAfter.pause({ $0.hasSuffix("remaining") ? "0" : $0.hasSuffix("reset") ? value : nil }, now: now),
            ] {
                #expect(answer ?? 0 <= 2_147_483_647 * Self.second, "seed \(seed): \(value)")
            }
        }
    }
}
