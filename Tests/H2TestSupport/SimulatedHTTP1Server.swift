/// A server that speaks HTTP/1.1 over a simulated wire, one request after the other. What a client must not do is in
/// `complaints`.
///
/// Belongs to its world's loop.
package final class SimulatedHTTP1Server {
    private enum Reading {
        case head
        case body(remaining: Int)
        case chunkSize
        case chunk(remaining: Int)
        case trailers
        /// The request is whole; the answer is not.
        case nothing
    }

    fileprivate let wire: SimulatedWire
    private var reading = Reading.head
    private var input: [UInt8] = []
    private var current: SimulatedHTTP1Request?
    package private(set) var complaints: [String] = []
    package private(set) var requests = 0
    /// The client has closed, or this side has.
    package private(set) var isOver = false

    /// The head of a request is here.
    package var onRequest: (SimulatedHTTP1Request) -> Void = { _ in }
    /// The request is whole.
    package var onRequestEnd: (SimulatedHTTP1Request) -> Void = { _ in }
    /// An answer is whole.
    package var onAnswerEnd: (SimulatedHTTP1Request) -> Void = { _ in }

    package init(_ wire: SimulatedWire) {
        self.wire = wire
        wire.onReceive = { [unowned self] in receive($0) }
        wire.onClose = { [unowned self] in end() }
    }

    /// No more is read, and what was answered is the last.
    package func end() {
        guard !isOver else { return }
        isOver = true
        current?.isClosed = true
        current = nil
        wire.end()
    }

    // MARK: - Reading

    private func receive(_ bytes: [UInt8]) {
        guard !isOver else { return }
        input += bytes
        while !isOver, step() {}
    }

    /// Takes the next element. False where it is not here.
    private func step() -> Bool {
        switch reading {
        case .head:
            guard let end = input.firstRange(of: Array("\r\n\r\n".utf8)) else { return false }
            let head = String(decoding: input[..<end.lowerBound], as: UTF8.self)
            input.removeFirst(end.upperBound)
            return begin(head)
        case .body(let remaining):
            guard !input.isEmpty else { return false }
            let count = take(remaining)
            reading = .body(remaining: remaining - count)
            if count == remaining { requestEnded() }
        case .chunkSize:
            guard let line = takeLine() else { return false }
            guard let size = Int(line, radix: 16) else { return complain("a chunk's size is '\(line)'") }
            reading = size == 0 ? .trailers : .chunk(remaining: size)
        case .chunk(let remaining):
            if remaining > 0 {
                guard !input.isEmpty else { return false }
                reading = .chunk(remaining: remaining - take(remaining))
            } else {
                guard let line = takeLine() else { return false }
                guard line.isEmpty else { return complain("a chunk is longer than its size") }
                reading = .chunkSize
            }
        case .trailers:
            guard let line = takeLine() else { return false }
            if line.isEmpty { requestEnded() }
        case .nothing:
            if !input.isEmpty { return complain("\(input.count) bytes before the answer is whole") }
            return false
        }
        return true
    }

    private func complain(_ text: String) -> Bool {
        complaints.append(text)
        end()
        return false
    }

    private func takeLine() -> String? {
        guard let end = input.firstRange(of: [13, 10]) else { return nil }
        defer { input.removeFirst(end.upperBound) }
        return String(decoding: input[..<end.lowerBound], as: UTF8.self)
    }

    private func take(_ limit: Int) -> Int {
        let count = min(limit, input.count)
        current?.received += input[..<count]
        input.removeFirst(count)
        return count
    }

    private func begin(_ head: String) -> Bool {
        var lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)
        let words = lines.removeFirst().split(separator: " ")
        guard words.count == 3, words[2] == "HTTP/1.1" else { return complain("a request begins with '\(words)'") }
        var fields: [String: String] = [:]
        for line in lines {
            guard let colon = line.firstIndex(of: ":") else { return complain("a field is '\(line)'") }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            fields[line[..<colon].lowercased()] = String(value)
        }
        if fields["host"] == nil { return complain("a request without host") }
        requests += 1
        let request = SimulatedHTTP1Request(
            server: self, method: String(words[0]), path: String(words[1]), fields: fields)
        current = request
        if fields["transfer-encoding"] == "chunked" {
            reading = .chunkSize
        } else {
            reading = .body(remaining: fields["content-length"].flatMap { Int($0) } ?? 0)
        }
        onRequest(request)
        if case .body(remaining: 0) = reading, !isOver { requestEnded() }
        return true
    }

    private func requestEnded() {
        guard let current else { return }
        reading = .nothing
        current.isRequestWhole = true
        onRequestEnd(current)
    }

    fileprivate func answered(_ request: SimulatedHTTP1Request) {
        guard request === current else { return }
        current = nil
        request.isClosed = true
        let wasWhole = request.isRequestWhole
        onAnswerEnd(request)
        if request.endsConnection || !wasWhole { return end() }
        reading = .head
        while !isOver, step() {}
    }
}

/// One request, and what the server does with it. Each way to answer does nothing once the request is over.
package final class SimulatedHTTP1Request {
    private enum Framing { case none, length, chunked, connection }

    private unowned let server: SimulatedHTTP1Server
    package let method: String
    package let path: String
    package let fields: [String: String]
    package fileprivate(set) var received: [UInt8] = []
    package fileprivate(set) var isRequestWhole = false
    package fileprivate(set) var isClosed = false
    /// The server ends the connection behind the answer.
    package private(set) var endsConnection = false
    private var framing = Framing.none

    fileprivate init(server: SimulatedHTTP1Server, method: String, path: String, fields: [String: String]) {
        self.server = server
        self.method = method
        self.path = path
        self.fields = fields
        endsConnection = fields["connection"] == "close"
    }

    /// - Parameters:
    ///   - length: of the body; nil for one in chunks, or, with `untilClose`, one that ends with the connection.
    ///   - closes: says so, and ends the connection behind the answer.
    package func respond(
        _ status: Int = 200, _ fields: [(String, String)] = [], length: Int? = 0, untilClose: Bool = false,
        closes: Bool = false
    ) {
        guard !isClosed else { return }
        var head = "HTTP/1.1 \(status) Fine\r\n"
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        if let length {
            head += "content-length: \(length)\r\n"
            framing = .length
        } else if untilClose {
            framing = .connection
            endsConnection = true
        } else {
            head += "transfer-encoding: chunked\r\n"
            framing = .chunked
        }
        // Without a body nothing else would say it.
        if closes || untilClose && method == "HEAD" {
            head += "connection: close\r\n"
            endsConnection = true
        }
        if method == "HEAD" { framing = .none }
        server.wire.send(Array((head + "\r\n").utf8))
    }

    package func write(_ bytes: [UInt8]) {
        guard !isClosed, framing != .none, !bytes.isEmpty else { return }
        if framing == .chunked { server.wire.send(Array("\(String(bytes.count, radix: 16))\r\n".utf8)) }
        server.wire.send(bytes)
        if framing == .chunked { server.wire.send([13, 10]) }
    }

    package func finish() {
        guard !isClosed else { return }
        if framing == .chunked { server.wire.send(Array("0\r\n\r\n".utf8)) }
        server.answered(self)
    }
}
