import H2Measure
import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct ProgressTextTests {
    typealias Running = ProgressSnapshot.Running

    private static let plain = TextStyle(color: false)

    private static func snapshot(
        _ running: [Running], _ change: (inout ProgressSnapshot) -> Void = { _ in }
    )
        -> ProgressSnapshot
    {
        var snapshot = ProgressSnapshot()
        snapshot.running = running
        snapshot.total = running.count
        change(&snapshot)
        return snapshot
    }

    private static func text(_ snapshot: ProgressSnapshot, _ width: Int, _ height: Int = 24) -> [String] {
        ProgressText.lines(snapshot, width: width, height: height, style: plain).map(\.text)
    }

    private static let half = Running(
        index: 0, name: "data-01.tar.gz", received: 5_000_000, expected: 10_000_000, rate: 1_000_000)

    @Test(
        arguments: [
            (
                100,
                "data-01.tar.gz             [==============              ]   50 %    5.0 MB    1.0 MB/s     ETA 0:05"
            ), (80, "data-01.tar.gz  [=========          ]   50 %    5.0 MB    1.0 MB/s     ETA 0:05"),
            (64, "data-01.tar.gz           50 %    5.0 MB    1.0 MB/s     ETA 0:05"),
            (50, "data-01.tar.gz          50 %    5.0 MB    1.0 MB/s"), (40, "data-01.tar.gz          50 %    5.0 MB"),
            (30, "data-…tar.gz   50 %    5.0 MB"), (21, "data-0…tar.gz   50 %"), (14, "data-0…tar.gz"), (2, "…"),
            (1, "…"),
        ])
    func `A transfer has a line as wide as the terminal allows`(_ width: Int, _ expected: String) {
        let lines = ProgressText.lines(Self.snapshot([Self.half]), width: width, height: 24, style: Self.plain)
        let line = lines[0]
        #expect(lines.count == 1)
        #expect(line.columns <= max(width - 1, 1))
        #expect(line.columns == TerminalText.columns(line.text))
        #expect(line.text.split(separator: " ") == expected.split(separator: " "), "\(line.text)")
    }

    @Test(arguments: 1...130) func `No line is wider than the terminal, whatever its name has`(_ width: Int) {
        let names = ["a", "日本語の長い名前のファイル.tar.gz", "e\u{301}" + String(repeating: "🙂", count: 60), ""]
        for name in names {
            var one = Self.half
            one.name = name
            for count in [1, 2, 40] {
                let snapshot = Self.snapshot(Array(repeating: one, count: count)) { $0.rate = 1e14 }
                for line in ProgressText.lines(snapshot, width: width, height: 24, style: Self.plain) {
                    #expect(line.columns <= max(width - 1, 1), "\(line.text)")
                    #expect(TerminalText.columns(line.text) == line.columns)
                }
            }
            let bar = ProgressText.bar(Self.snapshot([one]), width: width, style: Self.plain)
            #expect(bar.columns <= max(width - 1, 1) && TerminalText.columns(bar.text) == bar.columns)
        }
    }

    @Test func `Figures that are not known are left out`() {
        let waiting = Running(index: 0, name: "a", state: .waiting)
        let endless = Running(index: 1, name: "b", received: 1234)
        let lines = Self.text(Self.snapshot([waiting, endless]), 80)
        #expect(lines[0].hasPrefix("a ") && lines[0].hasSuffix("0 B     waiting             "), "\(lines[0])")
        #expect(!lines[1].contains("%") && !lines[1].contains("ETA") && lines[1].contains("1.2 kB"), "\(lines[1])")
        #expect(lines[2] == "0/2 done, 2 running, 0 B")
    }

    @Test func `Bars stand below each other, whatever the names are`() {
        var long = Self.half
        (long.index, long.name) = (1, "日本語の名前.txt")
        let lines = Self.text(Self.snapshot([Self.half, long]), 90)
        let bars = lines.prefix(2).map { line in TerminalText.columns(String(line.prefix { $0 != "[" })) }
        #expect(bars[0] == bars[1], "\(lines)")
    }

    @Test func `The largest ten have a line each, the rest one together`() {
        let running = (0..<30).map {
            Running(index: $0, name: "n\($0)", received: 10, expected: 100 * (($0 * 7) % 30), rate: 5)
        }
        let lines = Self.text(Self.snapshot(running) { ($0.bytes, $0.total) = (5_300, 50) }, 80)
        #expect(lines.count == 12)
        let shown = Set(lines.prefix(10).map { $0.prefix { $0 != " " } })
        let largest = running.sorted { $0.expected! > $1.expected! }.prefix(10).map { Substring($0.name) }
        #expect(shown == Set(largest))
        let order = lines.prefix(10).map { Int($0.dropFirst().prefix { $0 != " " })! }
        #expect(order == order.sorted())
        #expect(lines[10] == "and 20 more, 200 B, 100 B/s")
        #expect(lines[11] == "0/50 done, 30 running, 5.3 kB")
    }

    @Test(arguments: [(24, 12), (10, 8), (5, 3), (4, 1), (1, 1)])
    func `A low terminal has fewer lines`(_ height: Int, _ expected: Int) {
        let running = (0..<30).map { Running(index: $0, name: "n\($0)", received: 10) }
        #expect(Self.text(Self.snapshot(running), 80, height).count == expected)
    }

    @Test func `The line for all says what has ended, what failed, and when all will be done`() {
        let snapshot = Self.snapshot([]) {
            ($0.done, $0.failed, $0.total) = (1_200, 3, 2_406)
            ($0.bytes, $0.rate, $0.elapsed) = (34_500_000, 3_450_000, 10)
            $0.heldBack = "5 held back (--rate)"
        }
        let whole = "1,203/2,406 done, 3 failed, 0 running, 34.5 MB, 3.5 MB/s, ETA 0:10, 5 held back (--rate)"
        #expect(Self.text(snapshot, 100) == [whole])
        #expect(Self.text(snapshot, 80) == ["1,203/2,406 done, 3 failed, 0 running, 34.5 MB, 3.5 MB/s, ETA 0:10"])
        #expect(Self.text(snapshot, 20) == ["1,203/2,406 done"])
        #expect(Self.text(snapshot, 8) == ["1,2…one"])
        let colored = ProgressText.lines(snapshot, width: 100, height: 24, style: TextStyle(color: true))[0]
        #expect(colored.text.contains("\u{1b}[31m3 failed\u{1b}[0m") && colored.columns == whole.count)
    }

    @Test func `The time left comes from bytes if all that is left is under way`() {
        var snapshot = Self.snapshot([Self.half, Self.half]) { ($0.done, $0.total, $0.elapsed) = (8, 10, 80) }
        snapshot.rate = 2_000_000
        #expect(snapshot.secondsLeft == 5)
        snapshot.running[0].expected = nil
        #expect(snapshot.secondsLeft == 20)
        snapshot.total = nil
        #expect(snapshot.secondsLeft == nil)
    }

    @Test(
        arguments: [
            (0, "0:00"), (0.1, "0:01"), (59.5, "1:00"), (61, "1:01"), (3_600, "1:00:00"), (9_960, "2:46:00"),
            (359_999, "99:59:59"), (360_000, nil), (-1, nil), (.infinity, nil), (.nan, nil),
        ] as [(Double, String?)])
    func `Times are those of a clock`(_ seconds: Double, _ expected: String?) {
        #expect(ProgressText.clock(seconds) == expected)
    }

    @Test func `One bar is for everything`() {
        func bar(_ snapshot: ProgressSnapshot, _ width: Int = 28) -> String {
            ProgressText.bar(snapshot, width: width, style: Self.plain).text
        }
        #expect(bar(Self.snapshot([Self.half])) == "#########            50.0 %")
        #expect(bar(Self.snapshot([]) { ($0.done, $0.total) = (1, 1) }) == "################### 100.0 %")
        #expect(bar(Self.snapshot([Self.half]) { ($0.done, $0.total) = (1, 2) }).hasSuffix(" 75.0 %"))
        #expect(bar(Self.snapshot([]) { ($0.done, $0.total) = (999_999, 1_000_000) }).hasSuffix(" 99.9 %"))
        #expect(bar(Self.snapshot([]) { ($0.done, $0.total, $0.bytes) = (7, nil, 1_500) }) == "7 done, 1.5 kB")
        #expect(bar(Self.snapshot([Self.half]), 10) == " 50.0 %")
    }

    @Test func `A rate follows what comes, and starts with the average`() {
        var rate = TransferRate(at: 0)
        rate.note(0, at: 1)
        #expect(rate.perSecond == nil)
        rate.note(2_000, at: 2)
        #expect(rate.perSecond == 1_000)
        rate.note(2_000, at: 2)
        #expect(rate.perSecond == 1_000)
        for second in 3...30 { rate.note(2_000 + 5_000 * (second - 2), at: Double(second)) }
        #expect(rate.perSecond.map { abs($0 - 5_000) < 10 } == true)
        for second in 31...60 { rate.note(142_000, at: Double(second)) }
        #expect(rate.perSecond.map { $0 < 10 } == true)
    }
}

/// What the bytes do to a terminal.
@Suite(.inTurn) struct ProgressBlockTests {
    private static func lines(_ texts: String...) -> [ProgressLine] { texts.map { ProgressLine($0) } }

    @Test func `Lines replace those before, also if they are fewer or more`() {
        var (block, screen) = (ProgressBlock(), TerminalScreen(columns: 40))
        screen.feed("$ h2get\r\n")
        for lines in [["one", "two", "three"], ["1"], ["long line", "b"], ["", "x", "y", "zz"], ["c", "d"]] {
            screen.feed(block.draw(lines.map { ProgressLine($0) }, width: 40))
            var expected = ["$ h2get"] + lines
            while expected.count < screen.lines.count { expected.append("") }
            #expect(screen.lines == expected)
        }
        screen.feed(block.erase(width: 40) + "end\r\n")
        #expect(screen.lines.prefix(2) == ["$ h2get", "end"])
        #expect(!screen.lines.dropFirst(2).contains { !$0.isEmpty })
    }

    @Test func `A message stands above the lines, which follow it`() {
        var (block, screen) = (ProgressBlock(), TerminalScreen(columns: 40))
        screen.feed(block.draw(Self.lines("one", "two"), width: 40))
        screen.feed(block.writing("h2get: (22) a\r\n", width: 40))
        screen.feed(block.writing("b\r\nc\r\n", width: 40))
        #expect(screen.lines == ["h2get: (22) a", "b", "c", "one", "two"])
        screen.feed(block.draw(Self.lines("1", "2"), width: 40))
        #expect(screen.lines == ["h2get: (22) a", "b", "c", "1", "2"])
    }

    @Test func `A redraw is one piece that erases each line's rest, and no more`() {
        var block = ProgressBlock()
        _ = block.draw(Self.lines("one", "two"), width: 40)
        let text = block.draw(Self.lines("1", "2"), width: 40)
        #expect(text == "\u{1b}[1A\r1\u{1b}[K\r\n2\u{1b}[K")
    }

    @Test func `Lines that a narrower terminal has wrapped are erased, too`() {
        var block = ProgressBlock()
        _ = block.draw([ProgressLine(String(repeating: "a", count: 70)), ProgressLine("b")], width: 80)
        // Such a terminal shows the first line as two.
        var screen = TerminalScreen(columns: 40)
        screen.feed("$\r\n" + String(repeating: "a", count: 70) + "\r\nb")
        #expect(screen.lines.count == 4)
        screen.feed(block.draw(Self.lines("x", "y"), width: 40))
        #expect(screen.lines == ["$", "x", "y", ""])
    }

    @Test func `Nothing is drawn while something else writes, nor over a line that has not ended`() {
        var (block, screen) = (ProgressBlock(), TerminalScreen(columns: 40))
        screen.feed(block.draw(Self.lines("one", "two"), width: 40))
        screen.feed(block.suspend(width: 40))
        #expect(block.draw(Self.lines("1"), width: 40) == "")
        screen.feed("200")
        block.resume(endsLine: false)
        screen.feed(block.draw(Self.lines("1", "2"), width: 40))
        #expect(screen.lines == ["200", "1", "2"])
        screen.feed(block.keep() + "$")
        #expect(screen.lines == ["200", "1", "2", "$"])
    }
}
