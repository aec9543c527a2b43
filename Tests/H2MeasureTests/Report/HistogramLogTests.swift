import Foundation
import H2Client
import H2Platform
import H2TestSupport
import Histogram
import Testing

@testable import H2Measure

@Suite(.inTurn) struct HistogramLogTests {
    // MARK: Other implementations

    /// By the Python implementation (hdrhistogram 0.10.8), of `HdrHistogram(1, 3600000000000, 3)`.
    static let empty = "HISTFAAAAB14nJNpmSzMgADMUJoRyHQz2LGAwf4DRAAATjkESw=="
    /// 1,234,567.
    static let one = "HISTFAAAACV4nJNpmSzMwMDAwgABzFCaEch0M9ixgMH+A0Tg5SZGJgBltwXt"
    /// 1,000, 2,000 … 1,000,000.
    static let thousand =
        "HISTFAAAAIp4nJNpmSzMwMB+mgECmKE0I5DpZrBjAYP9B4jAeX6ms/xMUzmYnrIzLWRh+sgMRcuZmL4zYkErGZmqmSrx4GwmayC0BZPk0bpM0ky"
        + "yQIgg6c/nZ+Jl4gZiCESwsIsOV3l2JlYwZIbSqJB40VH9Q18/MxMjGsQQwAWJVkgLM0ctH7V8ZFgOAPvuP1M="
    /// 0, 2 (3,000,000,000 times), an hour (5 times), 999,999,999 (2^32 + 1 times).
    static let large = "HISTFAAAADR4nJNpmSzMwMAAwiDADKUZgUw3gx0LGOw/QASYGBt+NK0Vu3+WqamhoUFh/R5GLgD2FQxk"
    /// The same, but 2^40 + 1 times.
    static let tooLarge = "HISTFAAAADR4nJNpmSzMwMAgwgABzFCaEch0M9ixgMH+A0SAibHhR9NasftnmZoagMBh/R5GLgAExw0F"
    /// `HdrHistogram(1000, 60000000000, 2)` with 1,000,000, 2,000,000 … 100,000,000.
    static let coarse =
        "HISTFAAAAFp4nJNpmSzMwMBwggECmCAU8wsgwfvDPYLB/gNE5Dkn019GpmZGpnImVyZrJksgVmeSBkJZMAmixZl4mbiBGJlE5XMysYIhM5RGZWNj"
        + "YYoyokEMAfyCAJpDDPc="
    /// By the Java implementation: an empty one of two digits, and one with a few values.
    static let javaEmpty = "HISTFAAAABl42pNpmSzMwMDAyIAKYHwm+w9QFgA8ewJ6"
    static let java =
        "HISTFAAAADR42pNpmSzMwMAgygABTFCaEUz8///f/gNE4LYcUyszkzaTJVMxkzUTNxMTO1MuEwD7aAiy"

    private func decoded(_ text: String) throws -> TimeHistogram {
        var sum = HistogramSum()
        try sum.add(HistogramPayload(decoding: Array(text.utf8)[...]))
        return sum.histogram
    }

    @Test(arguments: [
        (empty, 0, 0, 0, 0), (one, 1, 1_233_920, 1_234_943, 1_234_943), (thousand, 1000, 1000, 1_000_447, 500_223),
        // The largest is an hour here.
        (large, (1 << 32) + 3_000_000_007, 0, 3_600_000_000_000, 1_000_341_503),
        (coarse, 100, 999_424, 100_139_007, 50_069_503), (javaEmpty, 0, 0, 0, 0),
    ])
    func `What others encode is read as they read it`(
        _ text: String, _ count: UInt64, _ least: UInt64, _ most: UInt64, _ median: UInt64
    ) throws {
        let histogram = try decoded(text)
        #expect(histogram.totalCount == count)
        guard count > 0 else { return }
        #expect(histogram.min == least)
        #expect(histogram.maxRecorded == most)
        // Of another layout a value is recorded as the lowest that it may have been.
        #expect(histogram.valueAtPercentile(50) >= median - median / 64)
        #expect(histogram.valueAtPercentile(50) <= median)
    }

    @Test func `Java's log is read`() throws {
        var merge = HistogramLogMerge()
        try merge.add(
            """
            #[Histogram log format version 1.3]
            #[StartTime: 1633286203.972 (seconds since epoch), Sun Oct 03 19:36:43 BST 2021]
            "StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
            0.000,0.617,26.083,\(Self.java)
            Tag=blockingactivity1.delay,0.003,0.500,0.000,\(Self.javaEmpty)
            """, file: "java.hlog")
        #expect(merge.series.map(\.name) == ["latency", "blockingactivity1.delay"])
        // The log says 26.083 ms.
        #expect(abs(Double(merge.series[0].histogram.maxRecorded) / 1e6 - 26.083) < 0.0005)
        #expect(merge.series[0].start == 1_633_286_203.972)
    }

    /// zlib's own bytes may differ from one version to the next, so what is compared is what it compressed.
    @Test(arguments: [empty, one, thousand, large, tooLarge])
    func `What we encode is what others do`(_ text: String) throws {
        let payload = try HistogramPayload(decoding: Array(text.utf8)[...])
        let ours = payload.encoded()
        #expect(try HistogramPayload(decoding: Array(ours.utf8)[...]) == payload)
        // A stream of the same length is the same but for zlib's level.
        if text != Self.empty { #expect(abs(ours.count - text.count) <= 8) }
    }

    @Test func `The percentile text is the one of others`() throws {
        let lines = HistogramLogMerge.percentileText(try decoded(Self.thousand)).split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[0] == "       Value     Percentile TotalCount 1/(1-Percentile)")
        #expect(lines[1] == "")
        #expect(lines[2] == "       0.001 0.000000000000          1           1.00")
        #expect(lines[3] == "       0.100 0.100000000000        100           1.11")
        #expect(lines.contains("       1.000 1.000000000000       1000"))
        #expect(lines.contains { $0.hasPrefix("#[Mean    =        0.501, StdDeviation   =        0.289]") })
        #expect(lines.contains { $0.hasPrefix("#[Max     =        1.000, Total count    =         1000]") })
    }

    // MARK: Round trips

    @Test func `Layouts put each value where the histogram does`() {
        let layout = HistogramLayout.nanoseconds
        let histogram = TimeHistogram.nanoseconds()
        var generator = SystemRandomNumberGenerator()
        var values: [UInt64] = [0, 1, 2047, 2048, 2049, 4095, 4096, TimeHistogram.longest]
        for _ in 0..<2000 { values.append(generator.next() % (TimeHistogram.longest >> (generator.next() % 40))) }
        for value in values {
            let range = layout.values(at: layout.index(of: value))
            #expect(range == histogram.equivalentRangeForValue(value), "\(value)")
        }
        // Each count begins where the one before it ended.
        var next: UInt64 = 0
        for index in 0..<layout.count {
            let range = layout.values(at: index)
            #expect(range.lowerBound == next, "\(index)")
            next = range.upperBound + 1
        }
        #expect(next > TimeHistogram.longest)
        #expect(layout.index(of: TimeHistogram.longest) < layout.count)
    }

    @Test(arguments: [
        (UInt64(0), UInt64(10), 3), (1, 1, 3), (1, 10, 6), (1, .max, 3), (1 << 60, UInt64(Int64.max), 5), (8, 10, 1),
    ])
    func `Impossible layouts are none`(_ lowest: UInt64, _ highest: UInt64, _ digits: Int) {
        #expect(HistogramLayout(lowest: lowest, highest: highest, digits: digits) == nil)
    }

    @Test func `Every layout covers its range`() throws {
        for digits in 0...5 {
            for lowest: UInt64 in [1, 2, 3, 1000] {
                for highest: UInt64 in [lowest * 2, lowest * 1000 + 1, 3_600_000_000_000, UInt64(Int64.max)] {
                    let layout = try #require(HistogramLayout(lowest: lowest, highest: highest, digits: digits))
                    for value in [0, lowest, highest / 3, highest] {
                        let index = layout.index(of: value)
                        #expect(index < layout.count)
                        #expect(layout.values(at: index).contains(value))
                    }
                }
            }
        }
    }

    @Test func `Any histogram comes back as it was`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SplitMix64(seed: seed)
        for _ in 0..<20 {
            var histogram = TimeHistogram.nanoseconds()
            for _ in 0..<Int.random(in: 0...200, using: &generator) {
                histogram.record(
                    UInt64.random(in: 0...(TimeHistogram.longest >> UInt64.random(in: 0...41, using: &generator))),
                    count: 1 << UInt64.random(in: 0...20, using: &generator))
            }
            let back = try decoded(HistogramPayload(histogram).encoded())
            #expect(back.totalCount == histogram.totalCount, "seed \(seed)")
            for percentile in [0.0, 1, 50, 90, 99, 99.9] where histogram.totalCount > 0 {
                #expect(
                    back.valuesAreEquivalent(
                        back.valueAtPercentile(percentile), histogram.valueAtPercentile(percentile)), "seed \(seed)")
            }
            #expect(histogram.valuesAreEquivalent(back.maxRecorded, histogram.maxRecorded), "seed \(seed)")
        }
    }

    @Test func `The log of a result holds its intervals and the rest`() throws {
        var result = sampleResult()
        for index in result.intervals.indices {
            var part = TimeHistogram.nanoseconds()
            part.record(UInt64(index + 1) * 1_000_000, count: 10)
            result.intervals[index].latency = part
        }
        let text = HistogramLog.text(result)
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines[1] == "#[Histogram log format version 1.3]")
        #expect(lines[2] == "#[h2get requests: 200000 sent, 200000 done, 0 failed]")
        #expect(lines[3] == "#[StartTime: 1441812279.474 (seconds since epoch), Wed Sep 09 15:24:39 UTC 2015]")
        #expect(lines[4] == "#[BaseTime: 1441812279.474 (seconds since epoch)]")
        #expect(lines[5] == #""StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram""#)
        #expect(lines[6].hasPrefix("Tag=corrected,0.000,10.000,1.991,HISTFAAA"))
        #expect(lines.last!.hasPrefix("9.000,1.000,10.000,HISTFAAA"))

        var merge = HistogramLogMerge()
        try merge.add(text, file: "a.hlog")
        #expect(merge.series.map(\.name) == ["latency", "corrected", "first_byte", "connect", "tls"])
        #expect(merge.series[0].histogram.totalCount == 100)
        #expect(merge.series[0].intervals == 10)
        #expect(merge.series[1].histogram.totalCount == result.corrected.totalCount)
        #expect(merge.series[0].end - merge.series[0].start == 10)
    }

    @Test func `Without kept intervals the whole latency is a line`() throws {
        var merge = HistogramLogMerge()
        try merge.add(HistogramLog.text(sampleResult()), file: "a.hlog")
        #expect(merge.series[0].intervals == 1)
        #expect(merge.series[0].histogram.totalCount == 200_000)
    }

    // MARK: Merging

    @Test func `The histograms of several files add up`() throws {
        let paths = try ["a.hlog", "b.hlog"].map { try TemporaryDirectory.shared.newPath($0) }
        var (slow, fast) = (sampleResult(), sampleResult())
        slow.latency = .nanoseconds()
        slow.latency.record(50_000_000, count: 200_000)
        fast.startedAt += 100
        try Data(HistogramLog.text(slow).utf8).write(to: URL(fileURLWithPath: paths[0]))
        try Data(HistogramLog.text(fast).utf8).write(to: URL(fileURLWithPath: paths[1]))
        var merge = HistogramLogMerge()
        for path in paths { try merge.add(path: path) }
        let latency = try #require(merge.series(named: "latency"))
        #expect(latency.histogram.totalCount == 400_000)
        #expect(Distribution(latency.histogram).p99 > 49_000_000)
        #expect(abs(latency.end - latency.start - 110) < 0.001)
        let text = merge.text(width: 80, color: false)
        #expect(text.contains("latency: 400,000 values in 2 intervals over 110 s"))
        #expect(text.contains("p99.99"))
        #expect(!text.contains("\u{1b}"))

        // And the merged log is one again.
        var again = HistogramLogMerge()
        try again.add(merge.logText, file: "merged.hlog")
        #expect(again.series.map(\.name) == merge.series.map(\.name))
        #expect(again.series[0].histogram.totalCount == 400_000)
        #expect(again.series[0].start == latency.start)
    }

    @Test func `A file of many reads is whole`() throws {
        let path = try TemporaryDirectory.shared.newPath("long.hlog")
        let line = "0.000,1.000,1.000,\(Self.thousand)\r\n"
        try Data(String(repeating: line, count: 3000).utf8).write(to: URL(fileURLWithPath: path))
        var merge = HistogramLogMerge()
        try merge.add(path: path)
        #expect(merge.series[0].intervals == 3000)
        #expect(merge.series[0].histogram.totalCount == 3_000_000)
    }

    // MARK: Damage

    private func complaint(_ text: String) -> String {
        var merge = HistogramLogMerge()
        do {
            try merge.add(text, file: "x.hlog")
            return "none"
        } catch { return "\(error)" }
    }

    @Test func `What is wrong is said with its file and line`() throws {
        let good = "0.000,1.000,1.000,\(Self.one)\n"
        #expect(complaint(good) == "none")
        let wrong = [
            ("", "x.hlog: holds no histogram"),
            ("#[StartTime: 1 (seconds since epoch)]\n", "x.hlog: holds no histogram"),
            (good + "nonsense\n", "x.hlog:2: 1 fields, not the 4"),
            ("0.000,1.000,\(Self.one)\n", "x.hlog:1: 3 fields"),
            ("0.000,1.000,1.000,2.000,\(Self.one)\n", "x.hlog:1: 5 fields"),
            ("x,1.000,1.000,\(Self.one)\n", "the start 'x' is not a number of seconds"),
            ("0.000,nan,1.000,\(Self.one)\n", "the length 'nan' is not a number of seconds"),
            ("0.000,-1,1.000,\(Self.one)\n", "the length '-1' is not a number"),
            ("0.000,1.000,inf,\(Self.one)\n", "the largest value 'inf' is not a number"),
            ("0,1,1,\(Self.one.dropLast())\n", "x.hlog:1: the histogram is not base64"),
            ("0,1,1,!!!!\n", "is not base64"), ("0,1,1,HIST\n", "the histogram is cut short"),
            ("0,1,1,\n", "the histogram is cut short"),
            (
                "#[StartTime: soon (seconds)]\n" + good,
                "x.hlog:1: the time 'soon' is not a number of seconds since 1970"
            ),
            ("#[Histogram log format version 2.0]\n" + good, "x.hlog:1: the log's format version is '2.0'"),
            ("0,1,1,\u{1b}[31m\n", "is not base64"), ("\u{1b}[31m,1,1,\(Self.one)\n", "the start '\\x1b[31m' is no"),
        ]
        for (text, part) in wrong {
            let said = complaint(text)
            #expect(said.contains(part), "\(said)")
            #expect(!said.contains("\u{1b}"))
        }
        var merge = HistogramLogMerge()
        let missing = #expect(throws: HistogramLogError.self) { try merge.add(path: "/nowhere/x.hlog") }
        #expect(missing?.description.contains("cannot be read: No such file") == true)
        #expect(throws: HistogramLogError.self) { try merge.add(path: "/tmp") }
    }

    @Test func `A payload that lies is refused`() {
        func head(
            _ length: UInt32, digits: UInt32 = 3, lowest: UInt64 = 1, highest: UInt64 = 3_600_000_000_000,
            offset: UInt32 = 0, ratio: Double = 1, cookie: UInt32 = 0x1c84_9313
        ) -> [UInt8] {
            bigEndian(cookie) + bigEndian(length) + bigEndian(offset) + bigEndian(digits) + bigEndian(lowest)
                + bigEndian(highest) + bigEndian(ratio.bitPattern)
        }
        // Minus 2^40 zeros, and minus 2^63.
        let run: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0xff, 0x3f]
        let endless: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
        let most: [UInt8] = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
        let wrong: [([UInt8], String)] = [
            (head(1), "says that it has 1 bytes of counts, and has 0"), (head(0) + [2], "has more bytes than it says"),
            (head(0xffff_ffff), "more than its layout can fill"),
            (head(0xffff_ffff, digits: 5, highest: UInt64(Int64.max)), "more than its layout can fill"),
            (head(1, digits: 9) + [2], "no possible layout"), (head(1, lowest: 0) + [2], "no possible layout"),
            (head(1, highest: .max) + [2], "no possible layout"), (head(1, offset: 1) + [2], "shifted counts"),
            (head(1, ratio: 0.5) + [2], "holds fractions"),
            (head(1, cookie: 0x1c84_9301) + [2], "V0 or V1"),
            (head(1, cookie: 0x1234_5678) + [2], "begins with 0x12345678"),
            (head(6) + run, "more than its layout has counts"), (head(9) + endless, "more than its layout has counts"),
            (head(1) + [0x80], "cut short in a count"),
            (head(40_000) + [UInt8](repeating: 2, count: 40_000), "has more counts than its layout"),
            (head(18) + most + most, "too large to be added up"), (Array(head(1).prefix(20)), "cut short in its head"),
            // A bomb: a megabyte of nothing behind a head that says there is nothing.
            (head(0) + [UInt8](repeating: 0, count: 1 << 20), "has more bytes than it says"),
        ]
        for (inner, part) in wrong {
            let said = complaint("0,1,1,\(sealed(inner))\n")
            #expect(said.contains(part), "\(said) for \(part)")
        }
        #expect(complaint("0,1,1,\(sealed(head(1) + [2]))\n") == "none")
        #expect(
            complaint("0,1,1,\(sealed(head(1) + [2], length: 5))\n").contains("says that it has 5 compressed bytes"))
        #expect(complaint("0,1,1,\(sealed(head(1) + [2], cookie: 0x1c84_9302))\n").contains("V0 or V1"))
        #expect(complaint("0,1,1,\(sealed(head(1) + [2], cookie: 0x0c72_124f))\n").contains("DoubleHistogram"))
        #expect(complaint("0,1,1,\(sealed(head(1) + [2], trailer: [1, 2, 3]))\n").contains("bytes behind its end"))
    }

    /// However it is damaged, it is read or refused, and nothing else happens.
    @Test func `No damage ends the program`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SplitMix64(seed: seed)
        let original = try #require(Base64.decode(Array(Self.thousand.utf8)[...]))
        let whole = try HistogramPayload(decoding: Array(Self.thousand.utf8)[...])
        let inner = try inflated(Array(original[8...]))
        var refused = 0
        for _ in 0..<300 {
            var bytes = inner
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            if complaint("0,1,1,\(sealed(bytes))\n") != "none" { refused += 1 }
            var outer = original
            // Of the cookie's own bytes four bits say nothing any more.
            outer[Int.random(in: 4..<outer.count, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            // Some bits say nothing, such as those between the last code and the checksum.
            let read = try? HistogramPayload(decoding: Array(Base64.encode(outer).utf8)[...])
            #expect(read == nil || read == whole, "seed \(seed)")
        }
        #expect(refused > 0, "seed \(seed)")
    }

    @Test func `Intervals shorter than a second are lines of a second`() throws {
        var result = BenchResult()
        result.elapsed = 2.5
        for index in 0..<26 {
            var interval = BenchResult.Interval(start: Double(index) * 0.1, length: 0.1)
            interval.isDrain = index == 25
            var histogram = TimeHistogram.nanoseconds()
            histogram.record(UInt64(1_000_000 + index * 100_003), count: 2)
            interval.latency = histogram
            result.intervals.append(interval)
        }
        let lines = HistogramLog.text(result).split(separator: "\n").filter {
            !$0.hasPrefix("#") && !$0.hasPrefix("\"")
        }
        #expect(
            lines.map { $0.split(separator: ",").prefix(2).joined(separator: " ") }
                == ["0.000 1.000", "1.000 1.000", "2.000 0.500", "2.500 0.100"])
        var merge = HistogramLogMerge()
        try merge.add(HistogramLog.text(result), file: "x.hlog")
        #expect(merge.series[0].histogram.totalCount == 52)
        #expect(lines[2].split(separator: ",")[2] == "3.400")
    }

    /// The product of a value and its count passes 64 bits after 584 years of latency, which a week at 200,000 requests/s
    /// has. No report needs it.
    @Test func `More latency than 64 bits hold is reported`() throws {
        var merged = HistogramLogMerge()
        try merged.add(String(repeating: "0,1,1,\(Self.large)\n0,1,1,\(Self.tooLarge)\n", count: 10), file: "x.hlog")
        var result = BenchResult()
        result.corrected = try #require(merged.series.first).histogram
        result.latency = result.corrected
        result.elapsed = 604_800
        result.requests.done = 1
        #expect(merged.text(width: 80, color: false).contains("p99.99"))
        #expect(merged.logText.contains("HISTFAAA"))
        let plan = samplePlan()
        let verdicts = Verdict.all(result, plan)
        #expect(BenchSummary(result, plan, verdicts: verdicts, width: 80, color: false).text.contains("p99"))
        #expect(BenchJSON.text(result, plan, verdicts: verdicts).contains("stddev_seconds"))
        #expect(BenchPage(plan: plan, result: result).html().contains("p99.99"))
        #expect(HistogramLog.text(result).contains("corrected"))
        #expect(HistogramLogMerge.percentileText(result.latency).contains("#[Max"))
        #expect([try FailCondition("mean>1us")].judge(result)[0].isBroken)
    }

    @Test func `Counts that cannot be added up are refused`() throws {
        var most = HistogramPayload(layout: .nanoseconds)
        most.counts = [.init(index: 1000, count: UInt64(Int64.max))]
        let line = "0,1,1,\(most.encoded())\n"
        #expect(complaint(line) == "none")
        #expect(
            complaint(line + "0,1,1,\(Self.one)\n").contains("x.hlog:2: the histogram has counts that are too large"))
    }

    /// With nearly all counts at one value the percentile of the next is 100 to any number of digits.
    @Test(arguments: [UInt64(Int64.max) - 1, 1 << 53, 1, 999_999]) func `The percentile text ends`(
        _ count: UInt64
    ) throws {
        var payload = HistogramPayload(layout: .nanoseconds)
        payload.counts = [.init(index: 1000, count: count), .init(index: 5000, count: 1)]
        var sum = HistogramSum()
        try sum.add(payload)
        let lines = HistogramLogMerge.percentileText(sum.histogram).split(separator: "\n")
        #expect(lines.count < 400)
        #expect(!lines.contains { $0.contains("?") })
        #expect(lines.contains { $0.contains(" 1.000000000000 ") && $0.hasSuffix("\(count + 1)") })
        #expect(lines.contains { $0.hasPrefix("#[Max") && $0.hasSuffix("\(count + 1)]") })
    }

    /// Whatever the counts are, they are refused or reported, and nothing else happens.
    @Test func `Any counts are refused or reported`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SplitMix64(seed: seed)
        var (refused, reported) = (0, 0)
        for _ in 0..<60 {
            var text = ""
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                var payload = HistogramPayload(layout: .nanoseconds)
                var index = 0
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    index += Int.random(in: 1...4000, using: &generator)
                    // Often so large that two of them are too many.
                    let shift = Bool.random(using: &generator) ? 1 : UInt64.random(in: 1...63, using: &generator)
                    let count = generator.next() >> shift
                    payload.counts.append(.init(index: index, count: max(count, 1)))
                }
                text += "0,1,1,\(payload.encoded())\n"
            }
            var merge = HistogramLogMerge()
            guard (try? merge.add(text, file: "x.hlog")) != nil else {
                refused += 1
                continue
            }
            reported += 1
            let percentiles = HistogramLogMerge.percentileText(merge.series[0].histogram)
            #expect(percentiles.utf8.count < 100_000, "seed \(seed)")
            #expect(merge.text(width: 80, color: false).contains("samples"), "seed \(seed)")
            #expect(merge.logText.contains("HISTFAAA"), "seed \(seed)")
        }
        #expect(refused > 0 && reported > 0, "seed \(seed)")
    }

    @Test func `More tags than anybody needs are refused`() {
        let text = (0..<100).map { "Tag=t\($0),0,1,1,\(Self.one)\n" }.joined()
        #expect(complaint(text).contains("x.hlog:65: the histogram has one more tag"))
    }
}

private func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
}

/// `inner` as a stored zlib stream, so that no compressor is needed, in its outer head and base64.
private func sealed(
    _ inner: [UInt8], length: UInt32? = nil, cookie: UInt32 = 0x1c84_9314, trailer: [UInt8] = []
) -> String {
    var stream: [UInt8] = [0x78, 0x01]
    var rest = inner[...]
    repeat {
        let part = rest.prefix(65535)
        rest = rest.dropFirst(65535)
        let size = UInt16(part.count)
        stream += [rest.isEmpty ? 1 : 0, UInt8(size & 0xff), UInt8(size >> 8), UInt8(~size & 0xff), UInt8(~size >> 8)]
        stream += part
    } while !rest.isEmpty
    var (a, b) = (UInt32(1), UInt32(0))
    for byte in inner {
        a = (a + UInt32(byte)) % 65521
        b = (b + a) % 65521
    }
    stream += bigEndian(b << 16 | a)
    stream += trailer
    return Base64.encode(bigEndian(cookie) + bigEndian(length ?? UInt32(stream.count)) + stream)
}

/// What the payload of `thousand` decompresses to, put together again from its counts.
private func inflated(_ stream: [UInt8]) throws -> [UInt8] {
    let payload = try HistogramPayload(
        decoding: Array(Base64.encode(bigEndian(UInt32(0x1c84_9314)) + bigEndian(UInt32(stream.count)) + stream).utf8)[
            ...])
    var varints: [UInt8] = []
    var next = 0
    for entry in payload.counts {
        var zeros = entry.index - next
        while zeros > 0 {
            let run = min(zeros, 64)
            varints.append(UInt8(run * 2 - 1))
            zeros -= run
        }
        varints.append(UInt8(entry.count * 2))
        next = entry.index + 1
    }
    return bigEndian(UInt32(0x1c84_9313)) + bigEndian(UInt32(varints.count)) + bigEndian(UInt32(0))
        + bigEndian(UInt32(3))
        + bigEndian(UInt64(1)) + bigEndian(UInt64(3_600_000_000_000)) + bigEndian((1.0).bitPattern) + varints
}
