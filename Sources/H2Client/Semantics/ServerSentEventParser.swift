/// Parses the bytes of a `text/event-stream`
/// (https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation).
///
/// As in the standard, an event that is incomplete at the end of the stream is lost: drop the parser.
struct ServerSentEventParser: Sendable {
    /// The size of the largest event in bytes, counting its data and its type.
    let limit: Int
    /// The ID to send when connecting again; empty for none.
    private(set) var lastEventID: String
    /// How long the server wants clients to wait before they connect again; nil if it did not say.
    private(set) var reconnectionTime: Duration?

    private var lines: LineSplitter
    private var data: [UInt8] = []
    private var type: [UInt8] = []
    private var id: [UInt8]

    /// - Parameter lastEventID: the last ID of an earlier stream from the same source.
    init(limit: Int, lastEventID: String = "") {
        self.limit = max(limit, 0)
        self.lastEventID = lastEventID
        id = Array(lastEventID.utf8)
        // A line also has a field name, the longest known being `event: `. A comment may be as long.
        lines = LineSplitter(limit: self.limit.addingReportingOverflow(64).overflow ? .max : self.limit + 64)
    }

    /// Adds bytes. Every event that was added before must have been taken.
    mutating func add(_ bytes: [UInt8]) { lines.add(bytes) }

    /// The next event; nil if no event is complete yet.
    /// - Throws: `H2Error` (`limitExceeded`) if an event or a line is too large. Nothing can be parsed after that.
    mutating func next() throws(H2Error) -> ServerSentEvent? {
        while true {
            let line: [UInt8]
            do throws(LineSplitter.TooLong) {
                guard let next = try lines.next() else { return nil }
                line = next
            } catch {
                throw tooLarge("a line")
            }
            if line.isEmpty {
                if let event = dispatched() { return event }
            } else {
                try take(line)
            }
        }
    }

    /// The end of an event: returns it unless it has no data.
    private mutating func dispatched() -> ServerSentEvent? {
        lastEventID = String(decoding: id, as: UTF8.self)
        defer {
            data = []
            type = []
        }
        guard !data.isEmpty else { return nil }
        return ServerSentEvent(
            type: type.isEmpty ? "message" : String(decoding: type, as: UTF8.self),
            data: String(decoding: data.dropLast(), as: UTF8.self), id: lastEventID)
    }

    private mutating func take(_ line: [UInt8]) throws(H2Error) {
        let colon = line.firstIndex(of: UInt8(ascii: ":"))
        // A comment.
        if colon == 0 { return }
        let name = line[..<(colon ?? line.endIndex)]
        var value = colon.map { line[($0 + 1)...] } ?? []
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        if name.elementsEqual("data".utf8) {
            guard data.count + value.count + 1 + type.count <= limit else { throw tooLarge("an event") }
            data += value
            data.append(UInt8(ascii: "\n"))
        } else if name.elementsEqual("event".utf8) {
            guard data.count + value.count <= limit else { throw tooLarge("an event") }
            type = Array(value)
        } else if name.elementsEqual("id".utf8) {
            // It goes into a header field, which has much less room.
            guard value.count <= Self.longestID else { throw tooLarge("the ID of an event", Self.longestID) }
            if !value.contains(0) { id = Array(value) }
        } else if name.elementsEqual("retry".utf8) {
            guard !value.isEmpty, value.allSatisfy({ (0x30...0x39).contains($0) }) else { return }
            // A number with more digits than this is more than a year.
            let milliseconds = value.count > 10 ? Self.longestRetry : Int(String(decoding: value, as: UTF8.self))
            reconnectionTime = .milliseconds(min(milliseconds ?? Self.longestRetry, Self.longestRetry))
        }
    }

    private static let longestID = 4_096
    /// A day, in milliseconds: a longer wait would be a mistake.
    private static let longestRetry = 86_400_000

    private func tooLarge(_ what: String, _ limit: Int? = nil) -> H2Error {
        H2Error(
            .limitExceeded, message: "\(what) of the event stream is larger than \(limit ?? self.limit) bytes",
            remedy: "allow larger events, or have the server send smaller ones")
    }
}
