import Foundation
import H2Measure
import H2TestSupport
import Testing

/// The pages in a browser: that they are drawn, in light and in dark, and that nothing of them is cut off or covered.
@Suite(.measuring) struct ChromiumTests {
    enum Scheme: String, CaseIterable {
        case light
        case dark
    }

    enum Sheet: String, CaseIterable {
        case bench
        case benchWithErrors
        case benchOfNothing
        case compare
        case compareOverDistance
        case picture
        case sweep

        var text: String {
            get throws {
                switch self {
                case .bench: try BenchPage(plan: Sample.plan(), result: Sample.result(), verdict: Sample.verdict).html()
                case .benchWithErrors:
                    try BenchPage(plan: Sample.plan(), result: Sample.result(intervals: 7, errors: Sample.errors))
                        .html()
                case .benchOfNothing: try BenchPage(plan: Sample.plan(), result: BenchResult()).html()
                case .compare: ComparePage(Sample.comparison(distances: [0.03])).html()
                case .compareOverDistance: ComparePage(Sample.comparison(distances: [0, 0.01, 0.05, 0.15])).html()
                case .picture: ComparePage(Sample.comparison(distances: [0, 0.01, 0.05, 0.15])).picture()
                case .sweep: SweepPage(Sample.sweep()).html()
                }
            }
        }
    }

    @Test(arguments: [Sheet.bench, .picture, .sweep], Scheme.allCases)
    func `A page is drawn in both colour schemes`(_ sheet: Sheet, _ scheme: Scheme) async throws {
        let folder = try TemporaryDirectory.shared.newFolder("chromium")
        try sheet.text.write(
            toFile: "\(folder)/page.\(sheet == .picture ? "svg" : "html")", atomically: true, encoding: .utf8)
        _ = try await chromium(
            folder, page: sheet == .picture ? "page.svg" : "page.html",
            [
                "--window-size=1100,900", "--hide-scrollbars", "--screenshot=\(folder)/page.png",
                "--blink-settings=preferredColorScheme=\(scheme == .light ? 1 : 0)",
            ])
        let image = try PNGImage(Data(contentsOf: URL(fileURLWithPath: "\(folder)/page.png")))
        #expect(image.width == 1100)
        #expect(image.height == 900)
        let colours = image.colours
        // Text alone has some dozens of shades.
        #expect(colours.count > 60)
        let (surface, blue) = scheme == .light ? (0xFFFFFF, 0x0B6CB8) : (0x1A2029, 0x62B0F2)
        #expect(colours.contains(surface))
        if sheet != .picture {
            #expect(colours.contains(blue))
            #expect(image.pixel(2, 2) == (scheme == .light ? 0xF6F7F9 : 0x12161C))
        }
    }

    @Test(arguments: Sheet.allCases)
    func `Nothing overlaps or is cut off`(_ sheet: Sheet) async throws {
        // The page forbids all scripts, rightly; the one that measures comes instead of its policy.
        let page = try sheet.text.replacing(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            with: "")
        let folder = try TemporaryDirectory.shared.newFolder("chromium")
        let text = sheet == .picture ? "<!doctype html>\n<body>\(page)</body>" : page
        try text.appending("<pre id=\"found\"></pre><script>\(Self.measuring)</script>")
            .write(toFile: "\(folder)/page.html", atomically: true, encoding: .utf8)
        let document = try await chromium(folder, page: "page.html", ["--window-size=1100,1700", "--dump-dom"])
        #expect(document.contains("<svg"))
        let found = document.split(separator: "<pre id=\"found\">").dropFirst().first?.split(separator: "</pre>").first
        let lines = try #require(found).split(separator: "\n").map(String.init)
        // The first line says how many texts were looked at, so that none found means something.
        let count = try #require(lines.first.flatMap { Int($0) })
        #expect(count > 20)
        #expect(lines.dropFirst().isEmpty, "\(lines.dropFirst().joined(separator: "\n"))")
    }

    /// Lists the texts of drawings that touch each other or leave their drawing, and blocks that are wider than theirs.
    private static let measuring = """
        const out = []; let count = 0;
        for (const svg of document.querySelectorAll('svg')) {
            const frame = svg.viewBox.baseVal;
            const origin = svg.getBoundingClientRect(), scale = frame.width / origin.width;
            const boxes = [...svg.querySelectorAll('text')].map(text => {
                const box = text.getBoundingClientRect();
                return { text: text.textContent, left: (box.left - origin.left) * scale,
                    right: (box.right - origin.left) * scale, top: (box.top - origin.top) * scale + 2,
                    bottom: (box.bottom - origin.top) * scale - 2 };
            });
            count += boxes.length;
            const name = svg.getAttribute('aria-label') + ': ';
            boxes.forEach((a, index) => {
                if (a.left < -0.5 || a.top < -2 || a.right > frame.width + 0.5 || a.bottom > frame.height + 0.5)
                    out.push(name + a.text + ' is cut off');
                for (const b of boxes.slice(index + 1))
                    if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
                        out.push(name + a.text + ' touches ' + b.text);
            });
        }
        for (const block of document.querySelectorAll('.card, .tile, .verdict li, header'))
            if (block.scrollWidth > block.clientWidth + 1) out.push('too wide: ' + block.textContent.slice(0, 60));
        if (document.documentElement.scrollWidth > innerWidth) out.push('the page is too wide');
        document.getElementById('found').textContent = [count, ...out].join('\\n');
        """

    /// Runs it on a page of the folder, without a network; what it wrote to standard output.
    private func chromium(_ folder: String, page: String, _ arguments: [String]) async throws -> String {
        guard let program = Program.path(of: "chromium") else {
            try RealServer.skip("chromium is not installed (Scripts/setup test installs it)")
            return ""
        }
        let all =
            [
                "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
                "--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir=\(folder)/profile",
            ] + arguments + ["file://\(folder)/\(page)"]
        // On a thread of its own, since waiting blocks it.
        let end = try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        try ChildProcess(
                            program, all, output: .file("\(folder)/out"), errors: .file("\(folder)/err")
                        ).wait(seconds: 120)
                    })
            }
        }
        let errors = (try? String(contentsOfFile: "\(folder)/err", encoding: .utf8)) ?? ""
        try #require(end == .exited(0), "chromium: \(end.map { "\($0)" } ?? "did not end within 120 s")\n\(errors)")
        return (try? String(contentsOfFile: "\(folder)/out", encoding: .utf8)) ?? ""
    }
}
