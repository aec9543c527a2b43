import H2Platform
import Testing

/// A client of HTTP/1.1 made of a blocking socket: what it sends, no library has checked.
///
/// Every read and write ends after a minute at the latest.
package final class HTTP1Peer {
    package struct Answer {
        package var status = 0
        package var fields: [(name: String, value: String)] = []
        package var body: [UInt8] = []
        package var trailers: [(name: String, value: String)] = []
        /// Told whole: by its length, its last chunk, or, where nothing else tells, the connection's end.
        package var isWhole = false

        package subscript(name: String) -> String? { fields.first { $0.name == name }?.value }
        package var text: String { String(decoding: body, as: UTF8.self) }
    }

    private let socket: RawSocket
    private var buffer: [UInt8] = []
    package private(set) var hasEnded = false
    /// The connection ended by a reset.
    package private(set) var wasReset = false

    /// - Parameter receiveBuffer: bytes that the system may hold for it; nil for the usual.
    package init(port: Int, receiveBuffer: CInt? = nil) throws {
        socket = try RawSocket.connect(to: port, receiveBuffer: receiveBuffer)
    }

    package func send(_ bytes: [UInt8]) { try? socket.send(bytes) }

    package func send(_ text: String) { send(Array(text.utf8)) }

    package func get(_ path: String, _ fields: String = "") {
        send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n")
    }

    package func finishWriting() { socket.finish() }

    /// Reads `count` bytes at most, and forgets them; false at the connection's end.
    package func trickle(_ count: Int) -> Bool {
        if case .bytes = socket.read(upTo: count) { true } else { false }
    }

    private func fill() -> Bool {
        guard !hasEnded else { return false }
        switch socket.read() {
        case .bytes(let bytes):
            buffer += bytes
            return true
        case .failed(let error):
            if error == EAGAIN { Issue.record("nothing came for a minute") }
            wasReset = error == ECONNRESET
        case .end:
            break
        }
        hasEnded = true
        return false
    }

    /// A line without its end; nil at the connection's end.
    private func line() -> String? {
        while true {
            if let feed = buffer.firstIndex(of: 10) {
                let line = buffer[..<feed]
                buffer.removeFirst(feed + 1)
                #expect(line.last == 13)
                return String(decoding: line.dropLast(), as: UTF8.self)
            }
            guard fill() else { return nil }
        }
    }

    private func take(_ count: Int) -> [UInt8]? {
        while buffer.count < count { guard fill() else { return nil } }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    private func fieldLines() -> [(name: String, value: String)]? {
        var fields: [(name: String, value: String)] = []
        while let line = line() {
            if line.isEmpty { return fields }
            guard let colon = line.firstIndex(of: ":"), line[colon...].hasPrefix(": ") else {
                Issue.record("no field: \(line)")
                return nil
            }
            fields.append((String(line[..<colon]), String(line[colon...].dropFirst(2))))
        }
        return nil
    }

    /// The next response, informational ones included; nil where the connection ends before a whole head.
    package func answer(toHead: Bool = false) -> Answer? {
        var answer = Answer()
        guard let first = line() else { return nil }
        #expect(first.hasPrefix("HTTP/1.1 ") && first.utf8.count >= 13)
        answer.status = Int(first.dropFirst(9).prefix(3)) ?? 0
        guard let fields = fieldLines() else { return nil }
        answer.fields = fields
        if toHead || answer.status < 200 || answer.status == 204 || answer.status == 304 {
            answer.isWhole = true
        } else if answer["transfer-encoding"] == "chunked" {
            while let size = line().flatMap({ Int($0, radix: 16) }) {
                if size == 0 {
                    answer.trailers = fieldLines() ?? []
                    answer.isWhole = true
                    break
                }
                guard let chunk = take(size), take(2) == [13, 10] else { break }
                answer.body += chunk
            }
        } else if let length = answer["content-length"].flatMap({ Int($0) }) {
            while buffer.count < length, fill() {}
            answer.isWhole = buffer.count >= length
            answer.body = Array(buffer.prefix(length))
            buffer.removeFirst(min(length, buffer.count))
        } else {
            while fill() {}
            answer.body = buffer
            buffer = []
            answer.isWhole = true
        }
        return answer
    }

    /// Everything up to the connection's end.
    package func rest() -> [UInt8] {
        while fill() {}
        defer { buffer = [] }
        return buffer
    }
}
