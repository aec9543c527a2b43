import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct ServerSentEventParserTests {
    private struct Parsed: Equatable {
        var events: [ServerSentEvent] = []
        var id = ""
        var retry: Duration?
    }

    private func parsed(_ chunks: [[UInt8]], limit: Int = 1_000) throws -> Parsed {
        var parser = ServerSentEventParser(limit: limit)
        var result = Parsed()
        for chunk in chunks {
            parser.add(chunk)
            while let event = try parser.next() { result.events.append(event) }
        }
        (result.id, result.retry) = (parser.lastEventID, parser.reconnectionTime)
        return result
    }

    private func parsed(_ text: String) throws -> [ServerSentEvent] { try parsed([Array(text.utf8)]).events }

    private static func data(_ data: String, type: String = "message", id: String = "") -> ServerSentEvent {
        ServerSentEvent(type: type, data: data, id: id)
    }

    /// The examples of the standard, and common mistakes of implementations.
    private static let table: [(String, [ServerSentEvent])] = [
        ("", []),
        (
            "data: This is the first message.\n\ndata: This is the second\n\n",
            [
                data("This is the first message."), data("This is the second"),
            ]
        ),
        ("data: YHOO\ndata: +2\ndata: 10\n\n", [data("YHOO\n+2\n10")]),
        (
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
            [
                data("first event", id: "1"), data("second event"),
            ]
        ),
        ("data\n\ndata\ndata\n\ndata:", [data(""), data("\n")]),
        ("data:test\n\ndata: test\n\n", [data("test"), data("test")]),
        ("data:  two\n\n", [data(" two")]),
        (
            "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
            [
                data("73857293", type: "add"), data("2153", type: "remove"),
            ]
        ),
        // A type without data is forgotten at the end of its event.
        ("event: x\n\ndata: a\n\n", [data("a")]),
        ("event: x\nevent\ndata: a\n\n", [data("a")]),
        // CR, CRLF and a mixture.
        ("data: a\r\rdata: b\r\n\r\ndata: c\n\r", [data("a"), data("b"), data("c")]),
        // A byte-order mark only at the beginning.
        ("\u{feff}data: a\n\n", [data("a")]),
        ("\u{feff}\u{feff}data: a\n\n", []),
        // An ID stays until another one arrives, and one with NUL is ignored.
        (
            "id: 7\ndata: a\n\ndata: b\n\nid: x\0y\ndata: c\n\n",
            [
                data("a", id: "7"), data("b", id: "7"), data("c", id: "7"),
            ]
        ),
        // Unknown fields, other cases, and a space before the colon.
        ("Data: a\ndata : b\nDATA: c\nfoo: bar\n: comment\nretry: x\n\n", []),
        ("data:a:b\n\n", [data("a:b")]),
        // An event that has not ended is lost.
        ("data: a\n\ndata: b\n", [data("a")]),
        ("data: ä€\n\n", [data("ä€")]),
    ]

    @Test(arguments: table)
    func `A stream is parsed as the standard says, however it is cut`(
        _ text: String, _ expected: [ServerSentEvent]
    ) throws {
        let bytes = Array(text.utf8)
        #expect(try parsed([bytes]).events == expected)
        #expect(try parsed(bytes.map { [$0] }).events == expected)
        for cut in 0...bytes.count {
            #expect(try parsed([Array(bytes[..<cut]), Array(bytes[cut...])]).events == expected, "cut at \(cut)")
        }
    }

    @Test(arguments: [
        ("retry: 1500", Duration.milliseconds(1500)), ("retry:0", .zero), ("retry", nil), ("retry: ", nil),
        ("retry: -1", nil), ("retry: 1.5", nil), ("retry: 1s", nil), ("retry: +5", nil), ("retry: ١", nil),
        ("retry: 99999999999999999999999", .seconds(86_400)), ("retry: 86400001", .seconds(86_400)),
        ("retry: 0000000000000000005", .seconds(86_400)),
    ])
    func `The time to reconnect after has digits alone, and is a day at most`(_ line: String, _ time: Duration?) throws
    {
        #expect(try parsed([Array((line + "\n").utf8)]).retry == time)
    }

    @Test func `An ID counts from the end of its event on, even without data`() throws {
        #expect(try parsed([Array("id: 1\ndata: x\n\nid: 2\n".utf8)]).id == "1")
        #expect(try parsed([Array("id: 1\ndata: x\n\nid: 2\n\n".utf8)]).id == "2")
        #expect(try parsed([Array("id: 1\n\nid\n\n".utf8)]).id == "")
    }

    @Test func `A parser goes on with the ID of an earlier stream`() throws {
        var parser = ServerSentEventParser(limit: 100, lastEventID: "9")
        parser.add(Array("data: a\n\n".utf8))
        #expect(try parser.next() == ServerSentEvent(data: "a", id: "9"))
    }

    @Test(arguments: [
        "data: 12345678901\n\n", "data: 12345\ndata: 12345\n\n", "event: 12345678901\n\n",
        ": \(String(repeating: "c", count: 100))", "x\(String(repeating: "c", count: 100))",
    ])
    func `An event or a line over the limit is an error`(_ text: String) {
        let error = #expect(throws: H2Error.self) { try parsed([Array(text.utf8)], limit: 10) }
        #expect(error?.code == .limitExceeded)
        #expect(error?.remedy.isEmpty == false)
    }

    @Test func `An event of the limit's size is allowed`() throws {
        #expect(try parsed([Array("data: 123456789\n\n".utf8)], limit: 10).events == [Self.data("123456789")])
    }

    @Test func `An ID that no header field has room for is an error`() {
        let text = "id: \(String(repeating: "1", count: 4_097))\n"
        #expect(throws: H2Error.self) { try parsed([Array(text.utf8)], limit: 100_000) }
    }
}
