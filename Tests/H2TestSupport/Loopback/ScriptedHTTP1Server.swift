public import H2Client
import H2Platform

import CNghttp2

/// A server on 127.0.0.1 that answers each HTTP/1.1 request with the bytes, pauses and ends that a test's script says,
/// right or wrong ones, and records what it received.
///
/// A thread for each connection, `Limits.connections` at most. What a test left held or waiting ends with the server.
///
/// Invariant behind `@unchecked Sendable`: what changes is touched with `lock` held, and the pointers of OpenSSL are set
/// once.
public final class ScriptedHTTP1Server: @unchecked Sendable {
    public enum Limits {
        /// A connection above it is reset at once, and not recorded.
        public static let connections = 512
        public static let headBytes = 1 << 20
        /// Of a request's body; what is more is counted, and not kept.
        public static let recordedBodyBytes = 16 << 20
    }

    /// A request whose head has come.
    public struct Request: Sendable {
        /// Which connection it came on, from 0 in the order of accepting.
        public let connection: Int
        /// Which request of its connection it is, from 0.
        public let number: Int
        /// With its last empty line.
        public let head: String
        /// What was read of the body so far, without the framing of chunks.
        public internal(set) var body: [UInt8] = []
        /// How long that is, also where it is longer than what is kept.
        public internal(set) var bodyBytes = 0
        /// The lines after the last chunk.
        public internal(set) var trailers: [String] = []
        /// Whether the whole of it was read.
        public internal(set) var isComplete = false

        public var requestLine: String { lines.first ?? "" }
        public var method: String { word(0) }
        public var target: String { word(1) }
        public var bodyText: String { String(decoding: body, as: UTF8.self) }

        /// The values of each field line of that name, in any case, in their order.
        public func values(of name: String) -> [String] {
            lines.dropFirst().compactMap { line in
                let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2, parts[0].lowercased() == name.lowercased() else { return nil }
                return String(parts[1].drop { $0 == " " })
            }
        }

        private var lines: [String] { head.split(separator: "\r\n").map(String.init) }
        private func word(_ index: Int) -> String {
            let words = requestLine.split(separator: " ")
            return index < words.count ? String(words[index]) : ""
        }
    }

    /// What to do next on a connection.
    public enum Step: Sendable {
        /// Writes these bytes as they are.
        case send([UInt8])
        /// Reads the request's body to its end. Where no step of an answer says when, that comes first.
        case readBody
        /// Leaves the body unread, where it must not come first, nor after the last step: what comes next on the
        /// connection is taken for a request.
        case leaveBody
        /// Nothing for a while, or until the client closes.
        case wait(Duration)
        /// Nothing until `release` is called once for it, or until the client closes.
        case hold
        /// Closes the connection, over TLS with a close_notify. Unread input makes the system say RST after the FIN.
        case close
        /// As `close`, without TLS's close_notify: a body that ends there is cut off.
        case cut
        /// Ends what the server sends and goes on reading.
        case finishWriting
        /// Resets the connection.
        case reset

        public static func send(_ text: String) -> Step { .send(Array(text.utf8)) }

        /// A response with a Content-Length.
        public static func respond(_ status: String = "200 OK", _ fields: [String] = [], body: String = "abc") -> Step {
            let lines = ["HTTP/1.1 \(status)"] + fields + ["Content-Length: \(body.utf8.count)", "", body]
            return .send(lines.joined(separator: "\r\n"))
        }

        /// A response in chunks, with trailer lines after the last.
        public static func respond(
            _ status: String = "200 OK", _ fields: [String] = [], chunks: [String], trailers: [String] = []
        ) -> Step {
            let head = (["HTTP/1.1 \(status)"] + fields + ["Transfer-Encoding: chunked", "", ""]).joined(
                separator: "\r\n")
            let body = chunks.map { String($0.utf8.count, radix: 16) + "\r\n\($0)\r\n" }.joined()
            return .send(head + body + "0\r\n" + trailers.map { $0 + "\r\n" }.joined() + "\r\n")
        }
    }

    /// What became of a connection.
    public enum End: Sendable, Equatable {
        case open
        /// By a step, or by `closeAll` or `resetAll`.
        case byServer
        case byClient
        /// It sent what is no request, which this describes, and was closed.
        case malformed(String)
        /// No TLS came about.
        case noTLS
    }

    /// What a connection was used for.
    public struct Connection: Sendable {
        public internal(set) var requests: [Request] = []
        public internal(set) var end = End.open
    }

    /// Where it listens.
    public let port: Int
    /// Its origin, by the scheme that it serves.
    public let origin: Origin
    private let script: @Sendable (Request) -> [Step]
    private let greeting: @Sendable (Int) -> [Step]
    private let context: OpaquePointer?
    private let listener: CInt
    /// Its reading end becomes readable when the server ends, and stays so.
    private let ending: (reading: CInt, writing: CInt)
    private let lock = PthreadLock()
    private var acceptor: JoinedThread?
    private var threads: [JoinedThread] = []
    private var streams: [BlockingStream] = []
    private var records: [Connection] = []
    private var releases = 0

    /// Runs `body` with a server, and ends it, with all its connections, on every exit.
    /// - Parameters:
    ///   - leaf: the certificate of a server over TLS; nil for cleartext.
    ///   - protocols: what ALPN knows; a client that offers nothing of it is turned away.
    ///   - greeting: the steps that come before any request, for the connection of that number.
    ///   - script: the steps for a request. Called on a connection's thread, so for several requests at a time.
    /// - Throws: `ProcessFailure` where it cannot be started, and what `body` throws.
    public static func run<R>(
        tls leaf: TestCertificates.Leaf? = nil, protocols: [String] = ["http/1.1"],
        greeting: @escaping @Sendable (_ connection: Int) -> [Step] = { _ in [] },
        script: @escaping @Sendable (Request) -> [Step],
        _ body: nonisolated(nonsending) (ScriptedHTTP1Server) async throws -> R
    ) async throws -> R {
        let server = try ScriptedHTTP1Server(leaf, protocols, greeting, script)
        defer { server.finish() }
        return try await body(server)
    }

    private init(
        _ leaf: TestCertificates.Leaf?, _ protocols: [String], _ greeting: @escaping @Sendable (Int) -> [Step],
        _ script: @escaping @Sendable (Request) -> [Step]
    ) throws {
        self.script = script
        self.greeting = greeting
        var context: OpaquePointer?
        if let leaf { context = try BlockingStream.context(leaf, protocols) }
        self.context = context
        do {
            ending = try LoopbackSocket.wakePipe()
            (listener, port) = try LoopbackSocket.listen()
            origin = try Origin(scheme: context == nil ? .http : .https, host: "localhost", port: port)
        } catch {
            if let context { ch2_context_free(context) }
            throw error
        }
        LoopbackSocket.makeNonblocking(listener)
        acceptor = try JoinedThread { [unowned self] in acceptAll() }
    }

    deinit {
        for descriptor in [listener, ending.reading, ending.writing] { close(descriptor) }
        if let context { ch2_context_free(context) }
    }

    private func finish() {
        var byte: UInt8 = 0
        _ = write(ending.writing, &byte, 1)
        acceptor?.join()
        // Nobody adds to these any more.
        for stream in streams { stream.end(.reset) }
        for thread in threads { thread.join() }
    }

    // MARK: - What tests call

    /// What each connection was used for so far, in the order of accepting.
    public var connections: [Connection] { lock.withLock { records } }

    /// All requests so far, by connection and then in their order.
    public var requests: [Request] { connections.flatMap(\.requests) }

    /// Lets one `hold` go on for each count, one that waits now or a later one.
    public func release(_ count: Int = 1) { lock.withLock { releases += count } }

    /// Writes bytes that no request asked for, on each open connection. Only for connections that are idle.
    public func sendToAll(_ text: String) {
        for stream in lock.withLock({ streams }) { stream.write(Array(text.utf8)) }
    }

    /// Closes the connections that are open, whatever their steps do, and returns when that is done.
    public func closeAll() { endAll(.close) }

    /// Resets the connections that are open, whatever their steps do, and returns when that is done.
    public func resetAll() { endAll(.reset) }

    private func endAll(_ ending: BlockingStream.Ending) {
        let ended = lock.withLock {
            for (number, stream) in streams.enumerated() where records[number].end == .open {
                records[number].end = .byServer
                stream.end(ending)
            }
            return streams
        }
        // Their threads do it, as soon as they run.
        _ = becomes { ended.allSatisfy(\.isClosed) }
    }

    // MARK: - Threads

    private func acceptAll() {
        while true {
            var entries = [
                pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
                pollfd(fd: ending.reading, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&entries, 2, -1)
            if entries[1].revents != 0 { return }
            guard let descriptor = LoopbackSocket.accept(listener) else { continue }
            lock.withLock {
                let number = records.count
                let stream = BlockingStream(descriptor)
                guard number < Limits.connections,
                    let thread = try? JoinedThread({ [unowned self] in serve(stream, number) })
                else { return stream.refuse() }
                streams.append(stream)
                records.append(Connection())
                threads.append(thread)
            }
        }
    }

    private func serve(_ stream: BlockingStream, _ number: Int) {
        let end = converse(stream, number)
        // Whoever sees the record's end finds the connection ended.
        stream.close()
        lock.withLock {
            if records[number].end == .open { records[number].end = end }
        }
    }

    /// Serves a connection to its end.
    private func converse(_ stream: BlockingStream, _ number: Int) -> End {
        if let context, !stream.startTLS(context) { return .noTLS }
        if let end = perform(greeting(number), stream, number, nil) { return end }
        while true {
            let head: String?
            do throws(Malformed) { head = try stream.readHead(atMost: Limits.headBytes) } catch {
                return .malformed(error.what)
            }
            guard let head else { return .byClient }
            let index = lock.withLock {
                records[number].requests.append(
                    Request(connection: number, number: records[number].requests.count, head: head))
                return records[number].requests.count - 1
            }
            // The script sees the body where it does not say itself when that is read.
            let steps = script(request(number, index))
            if let end = perform(steps, stream, number, index) { return end }
        }
    }

    private func request(_ number: Int, _ index: Int) -> Request { lock.withLock { records[number].requests[index] } }

    /// Does an answer's steps; returns the end where the connection is over by them.
    private func perform(_ steps: [Step], _ stream: BlockingStream, _ number: Int, _ index: Int?) -> End? {
        var steps = steps
        let saysWhen = steps.contains {
            switch $0 {
            case .readBody, .leaveBody: true
            default: false
            }
        }
        if !saysWhen && index != nil { steps.insert(.readBody, at: 0) }
        for step in steps {
            switch step {
            case .send(let bytes):
                guard stream.write(bytes) else { return .byClient }
            case .readBody:
                guard let index else { continue }
                do throws(Malformed) {
                    guard try readBody(stream, number, index) else { return .byClient }
                } catch { return .malformed(error.what) }
            case .leaveBody: break
            case .wait(let duration):
                guard pause(stream, until: { false }, limit: duration) else { return .byClient }
            case .hold:
                let isReleased: () -> Bool = { [self] in
                    lock.withLock {
                        if releases > 0 {
                            releases -= 1
                            return true
                        }
                        return false
                    }
                }
                guard pause(stream, until: isReleased, limit: nil) else { return .byClient }
            case .close: return .byServer
            case .cut:
                stream.forgetTLS()
                return .byServer
            case .finishWriting: stream.finishWriting()
            case .reset:
                stream.end(.reset)
                return .byServer
            }
        }
        return nil
    }

    /// Reads and records a request's body; false where the client ended within it.
    private func readBody(_ stream: BlockingStream, _ number: Int, _ index: Int) throws(Malformed) -> Bool {
        let request = request(number, index)
        let record = { [self] (bytes: ArraySlice<UInt8>) in
            lock.withLock {
                records[number].requests[index].bodyBytes += bytes.count
                let room = Limits.recordedBodyBytes - records[number].requests[index].body.count
                records[number].requests[index].body += bytes.prefix(max(0, room))
            }
        }
        if request.values(of: "Transfer-Encoding").contains(where: { $0.lowercased() == "chunked" }) {
            guard let trailers = try stream.readChunks(record) else { return false }
            lock.withLock { records[number].requests[index].trailers = trailers }
        } else if let length = request.values(of: "Content-Length").first {
            guard let length = Int(length), length >= 0 else { throw Malformed("Content-Length: \(length)") }
            guard stream.readBytes(length, record) else { return false }
        }
        lock.withLock { records[number].requests[index].isComplete = true }
        return true
    }

    /// Waits, looking every 2 ms; false where the client closes, or the server ends, meanwhile.
    private func pause(_ stream: BlockingStream, until isOver: () -> Bool, limit: Duration?) -> Bool {
        let deadline = limit.map { ContinuousClock.now + $0 }
        while !isOver() {
            if let deadline, ContinuousClock.now >= deadline { return true }
            if stream.isLeft() { return false }
            var entry = pollfd(fd: ending.reading, events: Int16(POLLIN), revents: 0)
            if poll(&entry, 1, 2) != 0 { return false }
        }
        return true
    }
}
