import H2TestSupport
import Histogram
import Testing

@testable import H2Measure

/// When the logs of several machines were measured, what they say besides, and what a merge makes of it.
@Suite(.inTurn)
struct HistogramLogTimesTests {
    private func times(_ logs: [(String, [(Double, Double)])]) -> HistogramLogTimes {
        HistogramLogTimes(
            logs: logs.map { file, parts in
                var log = HistogramLogTimes.Log(file: file)
                for (start, length) in parts { log.add(start, length) }
                return log
            })
    }

    private func seconds(_ from: Double, _ count: Int) -> [(Double, Double)] {
        (0..<count).map { (from + Double($0), 1) }
    }

    @Test func `Logs that measured together need no word`() {
        #expect(times([("a", seconds(100, 10)), ("b", seconds(100.3, 10))]).sentences { $0 } == [])
        #expect(times([("a", seconds(100, 10))]).sentences { $0 } == [])
    }

    @Test func `A log that began late or ended early is named`() {
        let late = times([("a", seconds(100, 10)), ("b", seconds(103, 7)), ("c", seconds(100, 6))]).sentences { $0 }
        #expect(late.count == 1)
        #expect(
            late[0].contains("for only 3.00 s of 10.0 s: b began 3.00 s after the first, and c ended 4.00 s before"))
    }

    @Test func `Logs of different times are no measurement together, and the time between is told`() {
        let apart = times([("a", seconds(100, 5)), ("b", seconds(110, 5))]).sentences { $0 }
        #expect(apart.count == 2)
        #expect(apart[0].hasPrefix("No log has a response in the 5.00 s from 00:01:45.0 UTC to 00:01:50.0 UTC"))
        #expect(apart[1].hasPrefix("The logs were not measured at the same time"))
    }

    @Test func `A gap in one log is none if another has responses then`() {
        #expect(times([("a", seconds(0, 3) + seconds(7, 3)), ("b", seconds(0, 10))]).sentences { $0 } == [])
        #expect(times([("a", seconds(0, 3) + seconds(7, 3))]).sentences { $0 }.count == 1)
    }

    @Test func `Parts of time are joined in any order`() {
        #expect(HistogramLogTimes.union([5..<6, 0..<1, 1.1..<2, 5.5..<9]) == [0..<2, 5..<9])
        var log = HistogramLogTimes.Log(file: "a")
        for start in [3.0, 1, 2, 7, 0] { log.add(start, 1) }
        #expect(log.parts == [0..<4, 7..<8])
    }

    @Test(arguments: [
        (0, "00:00:00.0 UTC"), (86_399.96, "00:00:00.0 UTC"), (1_796_138_568.84, "15:22:48.8 UTC"),
    ])
    func `Times of day are UTC`(_ seconds: Double, _ text: String) {
        #expect(HistogramLogTimes.time(seconds) == text)
    }

    // MARK: - Notes

    @Test func `Notes are read as they were written`() {
        var notes = HistogramLogNotes()
        (notes.sent, notes.done, notes.failed) = (10, 8, 2)
        notes.clock = .init(offset: -1.25, uncertainty: 0.01)
        notes.remarks = [
            .init(isWarning: true, text: "The loop was busy: use -t 2."), .init(isWarning: false, text: "so"),
        ]
        var read = HistogramLogNotes()
        for line in notes.text.split(separator: "\n") {
            #expect(line.hasPrefix("#[h2get "))
            read.take(String(line.dropFirst()))
        }
        #expect(read == notes)
    }

    @Test func `A line end in a remark does not end its comment`() {
        var notes = HistogramLogNotes()
        notes.remarks = [.init(isWarning: true, text: "a\nTag=x,0,1,1,AAAA")]
        #expect(notes.text.split(separator: "\n").count == 1)
    }

    @Test(arguments: [
        "[h2get requests: 1 sent]", "[h2get requests: x sent, y done, z failed]",
        "[h2get requests: -1 sent, 2 done, 3 failed]",
        "[h2get requests: 99999999999999999999 sent, 2 done, 3 failed]", "[h2get clock: ]",
        "[h2get clock: 1e400 s, 1 s]",
        "[h2get clock: 0.1 s ahead, within -5 s]", "[h2get", "[h2get ]", "[h2get x]", "[h2get x: y]", "",
        "[StartTime: 5",
    ])
    func `Comments that make no sense are skipped`(_ comment: String) {
        var notes = HistogramLogNotes()
        notes.take(comment)
        #expect(notes == HistogramLogNotes())
    }

    @Test func `No log has more remarks than are read`() {
        var notes = HistogramLogNotes()
        for _ in 0..<1_000 { notes.take("[h2get note: \(String(repeating: "a", count: 10_000))]") }
        #expect(notes.remarks.count == 64)
        #expect(notes.remarks.allSatisfy { $0.text.count == 4_096 })
    }

    // MARK: - A merge

    private func result(startedAt: Double, seconds: Int = 5) -> BenchResult {
        var result = BenchResult()
        (result.startedAt, result.elapsed) = (startedAt, Double(seconds))
        (result.requests.sent, result.requests.done, result.requests.failed) = (100, 90, 10)
        for second in 0..<seconds {
            var interval = BenchResult.Interval(start: Double(second), length: 1)
            var histogram = TimeHistogram.nanoseconds()
            histogram.record(1_000_000, count: 18)
            interval.latency = histogram
            result.intervals.append(interval)
        }
        return result
    }

    @Test func `A merge tells each log's time and counts, and whose the remarks are`() throws {
        var merge = HistogramLogMerge()
        let busy = [
            Verdict(.warning, .clientBusy, "The event loop was busy."), Verdict(.fine, .nothing, "All is well."),
        ]
        try merge.add(HistogramLog.text(result(startedAt: 1_000_000), verdicts: busy), file: "a.hlog")
        try merge.add(HistogramLog.text(result(startedAt: 1_000_000.2)), file: "b.hlog")
        let text = merge.text(width: 200, color: false)
        #expect(text.contains("a.hlog: 13:46:40.0 UTC to 13:46:45.0 UTC, 100 requests, 10 failed\n"), "\(text)")
        #expect(text.contains("together: 200 requests, 20 failed\n"))
        #expect(text.contains("warning: a.hlog: The event loop was busy.\n"))
        #expect(!text.contains("All is well"))
        #expect(!text.contains("warning: b.hlog"))
        #expect(text.contains("latency: 180 values in 10 intervals over 5.20 s\n"))
    }

    @Test func `Clocks that were wrong are allowed for, given or measured`() throws {
        var merge = HistogramLogMerge(clockOffsets: [0, 30])
        try merge.add(HistogramLog.text(result(startedAt: 1_000_000)), file: "a")
        try merge.add(HistogramLog.text(result(startedAt: 1_000_030)), file: "b")
        #expect(!merge.text(width: 200, color: false).contains("warning"))
        var ahead = result(startedAt: 1_000_030)
        ahead.clock = .init(offset: 30, uncertainty: 0.01)
        var measured = HistogramLogMerge()
        try measured.add(HistogramLog.text(result(startedAt: 1_000_000)), file: "a")
        try measured.add(HistogramLog.text(ahead), file: "b")
        let text = measured.text(width: 200, color: false)
        #expect(!text.contains("warning"), "\(text)")
        #expect(text.contains("b: 13:46:40.0 UTC to 13:46:45.0 UTC, 100 requests, 10 failed, clock 30.00 s ahead"))
    }

    // MARK: - The server's clock

    @Test func `Each Date leaves a second, and those around its change much less`() {
        var clock = ServerClock()
        // This machine is 5.3 s ahead; a response takes 10 ms.
        func ask(_ time: Double) {
            clock.add(sentAt: time, receivedAt: time + 0.01, date: (time + 0.005 - 5.3).rounded(.down))
        }
        ask(100)
        #expect(abs(clock.width - 1.01) < 1e-9)
        ask(100.25)
        ask(100.31)
        #expect(clock.width < 0.08)
        #expect(abs(clock.notes.offset - 5.3) <= clock.notes.uncertainty)
        // A server whose clock was set.
        clock.add(sentAt: 101, receivedAt: 101.01, date: 50)
        #expect(abs(clock.width - 1.01) < 1e-9)
    }
}
