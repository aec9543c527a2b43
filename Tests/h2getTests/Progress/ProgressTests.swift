import Foundation
import H2ClientTesting
import H2TestSupport
import Synchronization
import Testing

/// The progress of the binary.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct ProgressTests {
    /// Each redraw begins with the cursor's way to the first line.
    private static func redraws(_ text: String) -> Int { text.components(separatedBy: "\u{1b}[K").count - 1 }

    private func trust(_ served: Served) -> [String] { ["--cacert", served.folder.path("ca.pem")] }

    private func slow(_ served: Served, _ bytes: Int = 40_000) -> String {
        served.url("/drip?bytes=\(bytes)&chunk=\(bytes / 20)&interval=40")
    }

    /// What is on the terminal after each piece.
    private final class Screens: Sendable {
        private let state: Mutex<(screen: TerminalScreen, seen: [[String]])>

        init(columns: Int) { state = Mutex((TerminalScreen(columns: columns), [])) }

        func feed(_ data: Data) {
            state.withLock {
                $0.screen.feed(data)
                $0.seen.append($0.screen.lines)
            }
        }

        var seen: [[String]] { state.withLock { $0.seen } }
        var last: [String] { state.withLock { $0.screen.lines } }
        var wraps: Int { state.withLock { $0.screen.wraps } }
    }

    @Test func `Each transfer has a line above one for all, and they are gone at the end`() async throws {
        let served = try Served()
        let screens = Screens(columns: 100)
        let result = try await Program.runOnTerminal(
            trust(served) + [
                "-o", served.folder.path("first.bin"), "-o", served.folder.path("second.bin"), slow(served),
                slow(served, 20_000),
            ],
            columns: 100,
            received: { data in
                screens.feed(data)
                return nil
            })
        #expect(result.status == 0)
        let whole = screens.seen.filter { $0.count >= 3 && $0[0].hasPrefix("first.bin ") }
        #expect(!whole.isEmpty, "\(result.text)")
        for lines in whole where lines[1].hasPrefix("second.bin") && lines[2].hasPrefix("0/2 done") {
            #expect(lines[0].contains(" %  ") && lines[0].contains("kB") && lines[0].contains("["))
            #expect(lines[2].contains("2 running"))
        }
        #expect(screens.seen.contains { $0.count >= 3 && $0[2].hasPrefix("0/2 done, 2 running, ") })
        #expect(screens.wraps == 0)
        let left = screens.last.filter { !$0.isEmpty }
        #expect(left.count == 1 && left[0].hasPrefix("h2get: 2 transfers done, 60.0 kB in "), "\(left)")
        // 0.8 s, and 10 redraws a second of 3 lines at most, which are erased once.
        #expect(Self.redraws(result.text) <= 3 * 20)
        #expect(!result.text.contains("\u{1b}[2J") && !result.text.contains("\u{1b}[J"))
    }

    @Test func `Messages stand above the progress, whole`() async throws {
        let served = try Served()
        let screens = Screens(columns: 120)
        let failing = (0..<5).map { served.url("/delay/\($0 * 100 + 250)?\($0)") }
        let result = try await Program.runOnTerminal(
            trust(served) + ["--max-filesize", "2", "-o", "/dev/null"] + failing + [slow(served)], columns: 120,
            received: { data in
                screens.feed(data)
                return nil
            })
        #expect(result.status == 63, "\(result.text)")
        let lines = screens.last.filter { !$0.isEmpty }
        // The slow one fails too.
        #expect(lines.filter { $0.hasPrefix("h2get: (63) https://") }.count == 6, "\(lines)")
        #expect(lines.allSatisfy { $0.hasPrefix("h2get: ") || $0.hasPrefix("  ") }, "\(lines)")
    }

    @Test func `-w on the same terminal does not mix with it`() async throws {
        let served = try Served()
        let screens = Screens(columns: 100)
        let result = try await Program.runOnTerminal(
            trust(served) + [
                "-w", "code %{http_code}\\n", "-o", "/dev/null", served.url("/delay/300"), served.url("/delay/500"),
                slow(served),
            ],
            columns: 100,
            received: { data in
                screens.feed(data)
                return nil
            })
        #expect(result.status == 0)
        #expect(screens.last.filter { $0 == "code 200" }.count == 3, "\(screens.last)")
        #expect(screens.last.filter { !$0.isEmpty }.count == 4, "\(screens.last)")
        #expect(screens.seen.contains { $0.contains { $0.contains(" running, ") } })
    }

    @Test func `The lines follow the terminal's width`() async throws {
        let served = try Served()
        let count = Atomic(0)
        let result = try await Program.runOnTerminal(
            trust(served) + ["-o", "/dev/null", slow(served, 80_000), slow(served, 40_000)], columns: 100,
            received: { _ in count.add(1, ordering: .relaxed).newValue == 3 ? 50 : nil })
        #expect(result.status == 0)
        let lines = result.text.replacingOccurrences(of: "\u{1b}[K", with: "\n").split(whereSeparator: \.isNewline)
            .map { $0.replacing(/\u{1b}\[[0-9;]*[A-Za-z]/, with: "") }.filter { $0.contains(" kB") }
        #expect(lines.contains { $0.count > 60 } && lines.suffix(4).allSatisfy { $0.count < 100 }, "\(lines)")
        #expect(lines.contains { $0.hasPrefix("localhost") && $0.count < 50 }, "\(lines)")
    }

    @Test func `-# shows one bar, which stays`() async throws {
        let served = try Served()
        let result = try await Program.runOnTerminal(
            trust(served) + ["-#", "-o", "/dev/null", slow(served)], columns: 60)
        #expect(result.status == 0)
        var screen = TerminalScreen(columns: 60)
        screen.feed(result.output)
        #expect(
            screen.lines.first?.hasPrefix("########") == true && screen.lines.first?.hasSuffix(" 100.0 %") == true,
            "\(screen.lines)")
        #expect(screen.lines.filter { !$0.isEmpty }.count == 1)
    }

    @Test(arguments: [
        ["-s"], ["--no-progress-meter"], ["-v", "-o", "/dev/null"], ["--progress-meter", "-s"], ["-#", "-s"],
    ])
    func `Options turn it off`(_ options: [String]) async throws {
        let served = try Served()
        let result = try await Program.runOnTerminal(
            trust(served) + options + (options.contains("-o") ? [] : ["-o", "/dev/null"]) + [slow(served)])
        #expect(result.status == 0)
        #expect(Self.redraws(result.text) == 0, "\(result.text)")
    }

    @Test func `Options turn it on again, and the last one counts`() async throws {
        let served = try Served()
        for options in [
            ["-s", "--progress-meter"], ["-v", "--progress-meter"], ["--no-progress-meter", "--progress-meter"],
        ] {
            let result = try await Program.runOnTerminal(
                trust(served) + options + ["-o", "/dev/null", slow(served)])
            #expect(Self.redraws(result.text) > 3, "\(options): \(result.text)")
        }
    }

    @Test func `Without a terminal, on a dumb one, and for bodies on the terminal there is none`() async throws {
        let served = try Served()
        let piped = try await served.get("--progress-meter", "-#", "-o", "/dev/null", slow(served))
        #expect(piped.status == 0 && piped.errors.isEmpty && piped.output.isEmpty, "\(piped.errors)")
        let body = try await Program.runOnTerminal(
            trust(served) + [served.url("/delay/500"), served.url("/delay/400")])
        #expect(!body.text.contains("\u{1b}") && body.text.hasPrefix("ok\r\nok\r\n"), "\(body.text)")
        let toError = try await Program.runOnTerminal(trust(served) + ["-o", "/dev/stderr", served.url("/delay/500")])
        #expect(toError.text == "ok\r\n")
        let dumb = try await Program.runShell(
            "TERM=dumb script -qec '\"\(Program.path)\" --cacert ca.pem -o /dev/null \"\(slow(served))\"' /dev/null > out",
            in: served.folder.root)
        #expect(dumb == 0)
        #expect(try served.folder.read("out").isEmpty)
    }

    // MARK: - Colours

    @Test func `Colours are for terminals, unless an option or the environment says otherwise`() async throws {
        let served = try Served()
        let red = "\u{1b}[31mh2get: (22)\u{1b}[0m"
        let arguments = trust(served) + ["-f", "-o", "/dev/null", served.url("/status/404")]
        #expect(try await Program.runOnTerminal(arguments).text.contains(red))
        #expect(try await !Program.runOnTerminal(["--color", "never"] + arguments).text.contains("\u{1b}[3"))
        #expect(try await !served.get(arguments).errors.contains("\u{1b}"))
        #expect(try await served.get(["--color", "always"] + arguments).errors.contains(red))
        #expect(try await served.get("--color", "some", served.url("/")).status == 2)
        let script =
            "NO_COLOR=1 script -qec '\"\(Program.path)\" --cacert ca.pem -f -o /dev/null \"\(served.url("/status/404"))\"' /dev/null > out"
        _ = try await Program.runShell(script, in: served.folder.root)
        let text = try served.folder.read("out")
        // A slow machine shows progress, which needs sequences that are not colours.
        #expect(text.contains("h2get: (22)") && !text.contains("\u{1b}[3"))
    }

    @Test func `Heads have colours on a terminal, and bodies never`() async throws {
        let served = try Served()
        let shown = try await Program.runOnTerminal(trust(served) + ["-i", served.url("/delay/0")])
        #expect(
            shown.text.contains("\u{1b}[32mHTTP/2 200 \u{1b}[0m") && shown.text.hasSuffix("\r\n\r\nok\r\n"),
            "\(shown.text)")
        #expect(shown.text.contains("\u{1b}[1mcontent-length\u{1b}[0m: 3\r\n"))
        let piped = try await served.get("-i", served.url("/delay/0"))
        #expect(!piped.text.contains("\u{1b}"))
        let always = try await served.get("-i", "--color", "always", "-o", "a", served.url("/status/404"))
        #expect(always.status == 0)
        #expect(try !served.folder.read("a").contains("\u{1b}"))
        let verbose = try await served.get("-v", "--color", "always", "-o", "/dev/null", served.url("/status/404"))
        #expect(verbose.errors.contains("< \u{1b}[31mHTTP/2 404\u{1b}[0m"), "\(verbose.errors)")
    }
}
