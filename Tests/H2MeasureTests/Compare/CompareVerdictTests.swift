import Foundation
import H2Client
import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn) struct CompareVerdictTests {
    /// Rounds whose total time and p99 are these, 1 % up and down.
    private func cell(
        _ way: CompareWay, seconds: Double, p99: Double = 1e7, connections: Double = 1,
        security: CompareSecurity = .tls, spread: Double = 0.01
    ) -> CompareResult.Cell {
        let rounds = [1 - spread, 1, 1 + spread].map { factor in
            var figures = CompareFigures()
            figures.seconds = seconds * factor
            figures.rate = 100 / figures.seconds
            figures.p50 = p99 / 2 * factor
            figures.p99 = p99 * factor
            figures.firstByte = p99 / 4
            figures.connections = connections
            figures.handshakes = security == .tls ? connections : 0
            figures.resumed = way == .newConnections(resuming: true) ? connections - 1 : 0
            figures.roundTrips = 100
            figures.bytesReceived = 123_456
            figures.bytesSent = 7_890
            figures.cpuSeconds = 0.0123
            figures.held = connections == 100 ? 1 : connections
            return figures
        }
        return CompareResult.Cell(way, security, .ran(rounds))
    }

    private func result(_ cells: [CompareResult.Cell]) -> CompareResult {
        var result = CompareResult()
        result.origins = ["https://127.0.0.1:8443"]
        (result.requests, result.rounds, result.streams, result.connections) = (100, 3, 100, 6)
        result.cells = cells
        return result
    }

    private var all: [CompareResult.Cell] {
        [
            cell(.newConnections(resuming: false), seconds: 4.2, connections: 100),
            cell(.newConnections(resuming: true), seconds: 3.1, connections: 100), cell(.keepAlive, seconds: 0.31),
            cell(.pool(6), seconds: 0.12, connections: 6), cell(.http2(connections: 1), seconds: 0.1, p99: 1.4e7),
            cell(.http2(connections: 6), seconds: 0.09, connections: 6),
        ]
    }

    @Test func `The verdict is made from the figures`() {
        #expect(
            result(all).verdict(.tls)
                == "HTTP/2 on one connection: 3.1 × faster than keep-alive; 42 × faster than new connections, 100 × fewer "
                + "handshakes; 1.2 × faster than a pool of 6; p99 1.4 × worse than on 6 connections.")
    }

    @Test func `Slower is said to be slower`() {
        let verdict = result([cell(.keepAlive, seconds: 0.1), cell(.http2(connections: 1), seconds: 0.25)]).verdict(
            .tls)
        #expect(verdict == "HTTP/2 on one connection: 2.5 × slower than keep-alive.")
    }

    @Test func `What is within the spread is no difference`() {
        let cells = [
            cell(.keepAlive, seconds: 0.10, spread: 0.2), cell(.http2(connections: 1), seconds: 0.09, spread: 0.2),
            cell(.http2(connections: 6), seconds: 0.09, p99: 0.98e7, spread: 0.2),
        ]
        #expect(
            result(cells).verdict(.tls)
                == "HTTP/2 on one connection: as fast as keep-alive within the spread of the rounds; p99 as on 6 "
                + "connections within the spread.")
    }

    @Test func `Without HTTP/2 the last of the other ways is judged`() {
        let why = "the server does not offer HTTP/2 by ALPN"
        let cells = [
            cell(.newConnections(resuming: false), seconds: 1, connections: 100), cell(.keepAlive, seconds: 0.2),
            CompareResult.Cell(.http2(connections: 1), .tls, .couldNot(why: why)),
        ]
        #expect(
            result(cells).verdict(.tls)
                == "Keep-alive: 5.0 × faster than new connections, 100 × fewer handshakes (HTTP/2 was not measured: \(why))."
        )
    }

    @Test func `In cleartext connections are counted and both securities are named`() {
        let cells =
            [cell(.http2(connections: 1), seconds: 0.1)] + [
                cell(.newConnections(resuming: false), seconds: 1, connections: 50, security: .cleartext),
                cell(.http2(connections: 1), seconds: 0.1, security: .cleartext),
            ]
        #expect(
            result(cells).verdicts == [
                "Over TLS: HTTP/2 on one connection is all that could be measured.",
                "In cleartext: HTTP/2 on one connection: 10 × faster than new connections, 50 × fewer connections.",
            ])
    }

    @Test func `Incomplete figures are not judged`() {
        var cells = all
        guard case .ran(let rounds) = cells[4].outcome else { return }
        cells[4].outcome = .incomplete(rounds, why: "3 of 100 requests failed")
        let verdict = result(cells).verdict(.tls)
        #expect(verdict.hasPrefix("HTTP/2 on 6 connections: "))
        #expect(!verdict.contains("3.1 ×"))
    }

    /// As with simulated loss, where a lost SYN is a second.
    @Test func `Rounds that differ severalfold give an interval`() {
        var lucky = cell(.http2(connections: 1), seconds: 0.1)
        guard case .ran(var rounds) = lucky.outcome else { return }
        for (index, seconds) in [0.1, 0.1, 0.3].enumerated() { rounds[index].seconds = seconds }
        lucky.outcome = .ran(rounds)
        let result = result([cell(.keepAlive, seconds: 10), lucky])
        #expect(result.verdict(.tls) == "HTTP/2 on one connection: 33 to 101 × faster than keep-alive.")
        #expect(
            result.remarks == [
                "HTTP/2: the slowest round took more than twice as long as the fastest (300 ms and 100 ms), so the medians are "
                    + "partly luck: use more requests (-n) and --rounds."
            ])
        var other = result
        other.conditions = LinkConditions(roundTrip: 10_000_000, loss: 0.01)
        let distances = CompareDistances([result, other])
        #expect(distances.lines().contains { $0.hasPrefix("HTTP/2") && $0.split(separator: "~").count == 3 })
        #expect(distances.markdown().contains("the median is partly luck"))
        #expect(self.result(all).remarks == [])
    }

    @Test func `One request has no verdict`() {
        var one = result(all)
        one.requests = 1
        #expect(one.verdicts.isEmpty)
        #expect(one.remarks.contains { $0.hasPrefix("One request shows no reuse") })
        one.cells = [CompareResult.Cell(.keepAlive, .tls, .couldNot(why: "nobody is there"))]
        #expect(one.verdicts == ["nothing could be measured: nobody is there."])
    }

    @Test func `The table fits any terminal`() {
        for width in [20, 30, 40, 60] {
            let lines =
                CompareTable(result(all), context: ReportContext(program: "h2get 1.2.3", commandLine: "h2get x"))
                .lines(width: width) + CompareDistances([result(all), result(all)]).lines(width: width)
            #expect(lines.allSatisfy { $0.count <= width }, "\(lines.filter { $0.count > width })")
        }
    }

    @Test(arguments: [(1.0, "1.00 ×"), (1.04, "1.04 ×"), (1.1, "1.1 ×"), (9.94, "9.9 ×"), (41.6, "42 ×")])
    func `A ratio has the digits that count`(ratio: Double, text: String) {
        #expect(CompareResult.times(ratio) == text)
    }

    // MARK: - The tables

    @Test func `The table fits into 100 columns`() {
        var cells =
            all
            + all.dropLast().filter { $0.way != .newConnections(resuming: true) }.map {
                CompareResult.Cell($0.way, .cleartext, $0.outcome)
            }
        cells.append(
            .init(.http2(connections: 6), .cleartext, .couldNot(why: String(repeating: "long words ", count: 30))))
        var shown = result(cells)
        shown.conditions = LinkConditions(roundTrip: 30_000_000, loss: 0.01)
        let lines = CompareTable(shown).lines(width: 100)
        #expect(lines.allSatisfy { $0.count <= 100 }, "\(lines.joined(separator: "\n"))")
        #expect(lines[0] == "100 requests each way, 3 rounds, https://127.0.0.1:8443; 30.0 ms round trip, 1.0 % loss")
        // All columns stand in one table, and each way on a line of it.
        let title = lines.first { $0.hasPrefix("way") }
        #expect(
            title?.split(separator: " ").map(String.init) == [
                "way", "time", "±", "req/s", "p50", "p99", "TTFB", "conn", "TLS", "RT", "in", "out", "CPU", "open",
            ])
        let row = lines.first { $0.hasPrefix("new, resumed TLS") }
        #expect(
            row?.split(separator: " ").dropFirst(3).map(String.init) == [
                "3.10s", "1%", "32.3", "5.00ms", "10.0ms", "2.50ms", "100", "100/99r", "100", "123.5kB", "7.9kB",
                "12.3ms",
                "1",
            ])
        #expect(lines.contains("over TLS") && lines.contains("cleartext"))
    }

    @Test func `A narrow table continues below`() {
        let lines = CompareTable(result(all)).lines(width: 60)
        #expect(lines.allSatisfy { $0.count <= 60 }, "\(lines.joined(separator: "\n"))")
        #expect(lines.count { $0.hasPrefix("keep-alive") } == 2)
    }

    @Test func `Words of a server make no markup`() {
        let evil = "\u{1b}[31mred|<script>`*\u{202e}"
        let cells = [cell(.keepAlive, seconds: 1), CompareResult.Cell(.pool(6), .tls, .couldNot(why: evil))]
        let table = CompareTable(result(cells))
        #expect(!table.lines().joined().unicodeScalars.contains { $0.value == 0x1b || $0.value == 0x202e })
        let markdown = table.markdown()
        #expect(!markdown.unicodeScalars.contains { $0.value == 0x1b || $0.value == 0x202e })
        #expect(markdown.contains("red\\|&lt;script&gt;\\`\\*"))
        // Fifteen columns, whatever is in them.
        for line in markdown.split(separator: "\n") where line.hasPrefix("|") {
            #expect(line.replacing("\\|", with: "").count { $0 == "|" } == 16, "\(line)")
        }
    }

    @Test func `Markdown has a row for each way and the verdict`() {
        let markdown = CompareTable(result(all)).markdown()
        #expect(markdown.contains("| keep-alive | 310 ms | 1% | 323 | 5.00 ms | 10.0 ms | 2.50 ms | 1 | 1 | 0 | 100 |"))
        #expect(markdown.contains("**HTTP/2 on one connection: 3.1 × faster"))
    }

    // MARK: - JSON

    @Test func `JSON has every figure of every round`() throws {
        var shown = result(all + [.init(.http2(connections: 1), .cleartext, .couldNot(why: "no \"h2\""))])
        shown.conditions = LinkConditions(roundTrip: 30_000_000)
        let text = CompareJSON.document([shown]).text
        let document = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(document["schema"] as? String == "h2get-compare")
        let comparison = try #require((document["comparisons"] as? [[String: Any]])?.first)
        #expect(comparison["round_trip_seconds"] as? Double == 0.03)
        let ways = try #require(comparison["ways"] as? [[String: Any]])
        #expect(
            ways.map { $0["way"] as? String } == [
                "new_connections", "new_connections_resumed", "keep_alive", "pool", "http2", "http2_connections",
                "http2",
            ])
        let figures = try #require(ways[2]["figures"] as? [String: [String: Any]])
        #expect(figures["total_seconds"]?["median"] as? Double == 0.31)
        #expect((figures["total_seconds"]?["rounds"] as? [Double])?.count == 3)
        let p99 = try #require(figures["p99_seconds"]?["max"] as? Double)
        #expect(abs(p99 - 0.0101) < 1e-9)
        #expect(figures.count == 13)
        #expect(ways[6]["reason"] as? String == "no \"h2\"")
        #expect(ways[6]["figures"] is NSNull)
    }
}
