import CNghttp2
import H2Client
import H2Platform

/// What a client sent is no HTTP/1.1.
struct Malformed: Error {
    var what: String
    init(_ what: String) { self.what = what }
}

/// One accepted connection of a scripted server, with or without TLS, as its thread wants it: calls that return when
/// there is something.
///
/// Only its thread closes the descriptor, so that no number is used that means another file by then. Other threads may
/// `write` and `end`. The descriptor does not block: each call into OpenSSL holds `lock`, each wait does not.
///
/// Invariant behind `@unchecked Sendable`: `state` and `ssl` are touched with `lock` held, `input` by its thread alone.
final class BlockingStream: @unchecked Sendable {
    enum Ending: Sendable { case close, reset }

    private enum State {
        /// Can transition to all others.
        case open
        /// Somebody wants it ended, which its thread does next. Can transition to `closed`.
        case ending(Ending)
        case closed
    }

    private let descriptor: CInt
    private let lock = PthreadLock()
    private var state = State.open
    private var ssl: OpaquePointer?
    private var input: [UInt8] = []

    init(_ descriptor: CInt) {
        self.descriptor = descriptor
        LoopbackSocket.makeNonblocking(descriptor)
    }

    /// A context with that certificate, to be freed by `ch2_context_free`.
    static func context(_ leaf: TestCertificates.Leaf, _ protocols: [String]) throws -> OpaquePointer {
        let list = protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        let made = list.withUnsafeBufferPointer {
            ch2_server_context(0, 0, 16 << 10, $0.baseAddress, UInt32($0.count))
        }
        guard let made else { throw ProcessFailure("cannot make a TLS context") }
        guard SSL_CTX_use_certificate_chain_file(made, leaf.certificateFile) == 1,
            SSL_CTX_use_PrivateKey_file(made, leaf.keyFile, SSL_FILETYPE_PEM) == 1
        else {
            ch2_context_free(made)
            throw ProcessFailure("cannot load \(leaf.certificateFile)")
        }
        return made
    }

    // MARK: - From any thread

    var isClosed: Bool {
        lock.withLock {
            if case .closed = state { true } else { false }
        }
    }

    /// Has the thread end the connection as soon as it comes back from where it is.
    func end(_ ending: Ending) {
        lock.withLock {
            guard case .open = state else { return }
            state = .ending(ending)
            // Nothing of it reaches the client; it makes the thread's poll return.
            shutdown(descriptor, CInt(SHUT_RD))
        }
    }

    /// Writes all of it; false where the connection is over.
    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let result = attempt(waitingFor: POLLOUT) { ssl in
                rest.withUnsafeBytes { buffer in
                    guard let ssl else {
                        return H2Platform.send(descriptor, buffer.baseAddress, buffer.count, CInt(MSG_NOSIGNAL))
                    }
                    return Int(SSL_write(ssl, buffer.baseAddress, CInt(buffer.count)))
                }
            }
            guard let result else { return false }
            rest = rest.dropFirst(result)
        }
        return true
    }

    // MARK: - From its thread

    /// Resets a connection that gets no thread.
    func refuse() {
        end(.reset)
        close()
    }

    /// Shakes hands; false where nothing comes of it.
    func startTLS(_ context: OpaquePointer) -> Bool {
        guard let new = SSL_new(context), let bio = ch2_socket_bio(descriptor) else { return false }
        SSL_set_bio(new, bio, bio)
        SSL_set_accept_state(new)
        lock.withLock { ssl = new }
        let isReady = attempt(waitingFor: POLLIN) { ssl in Int(SSL_do_handshake(ssl)) } != nil
        if !isReady { forgetTLS() }
        return isReady
    }

    /// Whether the client has ended its side, or somebody here wants the connection ended.
    func isLeft() -> Bool {
        // POLLRDHUP, which is declared for _GNU_SOURCE alone.
        var entry = pollfd(fd: descriptor, events: 0x2000, revents: 0)
        return poll(&entry, 1, 0) != 0
    }

    /// Ends the server's side and goes on reading.
    func finishWriting() {
        lock.withLock {
            if let ssl { SSL_shutdown(ssl) }
            shutdown(descriptor, CInt(SHUT_WR))
        }
    }

    /// So that no close_notify is sent at the end.
    func forgetTLS() {
        lock.withLock {
            SSL_free(ssl)
            ssl = nil
        }
    }

    /// Ends the connection, by a RST where that is what somebody wanted.
    func close() {
        lock.withLock {
            if case .closed = state { return }
            defer { state = .closed }
            if case .ending(.reset) = state {
                LoopbackSocket.reset(descriptor)
            } else {
                if let ssl { SSL_shutdown(ssl) }
                // Closed with input unread, a socket says RST and no FIN; the client is to see the FIN first.
                shutdown(descriptor, CInt(SHUT_WR))
                H2Platform.close(descriptor)
            }
            SSL_free(ssl)
            ssl = nil
        }
    }

    /// A request's head with its empty line; nil where the client ends before it is complete.
    func readHead(atMost limit: Int) throws(Malformed) -> String? {
        while true {
            // RFC 9112 section 2.2: empty lines before a request are to be ignored.
            while input.starts(with: [13, 10]) { input.removeFirst(2) }
            if let end = find([13, 10, 13, 10]) {
                let head = String(decoding: input[..<end], as: UTF8.self)
                input.removeFirst(end)
                let words = head.prefix { $0 != "\r\n" }.split(separator: " ", omittingEmptySubsequences: false)
                guard words.count == 3, words[2].hasPrefix("HTTP/1.") else { throw Malformed("no request: \(words)") }
                return head
            }
            guard input.count <= limit else { throw Malformed("a head above \(limit) bytes") }
            guard readMore() else { return nil }
        }
    }

    /// Reads that many bytes; false where the client ends before.
    func readBytes(_ count: Int, _ record: (ArraySlice<UInt8>) -> Void) -> Bool {
        var missing = count
        while missing > 0 {
            if input.isEmpty && !readMore() { return false }
            let taken = min(missing, input.count)
            record(input[..<taken])
            input.removeFirst(taken)
            missing -= taken
        }
        return true
    }

    /// Reads a chunked body; returns its trailer lines, or nil where the client ends before.
    func readChunks(_ record: (ArraySlice<UInt8>) -> Void) throws(Malformed) -> [String]? {
        while true {
            guard let line = try readLine() else { return nil }
            guard let size = Int(line.prefix { $0 != ";" }, radix: 16), size >= 0 else {
                throw Malformed("a chunk of size '\(line)'")
            }
            if size == 0 { break }
            guard readBytes(size, record) else { return nil }
            guard let end = try readLine() else { return nil }
            guard end.isEmpty else { throw Malformed("'\(end)' behind a chunk") }
        }
        var trailers: [String] = []
        while true {
            guard let line = try readLine() else { return nil }
            if line.isEmpty { return trailers }
            trailers.append(line)
        }
    }

    private func readLine() throws(Malformed) -> String? {
        while true {
            if let end = find([13, 10]) {
                let line = String(decoding: input[..<(end - 2)], as: UTF8.self)
                input.removeFirst(end)
                return line
            }
            guard input.count <= 16 << 10 else { throw Malformed("a line without an end") }
            guard readMore() else { return nil }
        }
    }

    /// The index behind the first occurrence.
    private func find(_ pattern: [UInt8]) -> Int? {
        guard input.count >= pattern.count else { return nil }
        for start in 0...(input.count - pattern.count) where input[start] == pattern[0] {
            if input[start..<(start + pattern.count)].elementsEqual(pattern) { return start + pattern.count }
        }
        return nil
    }

    /// Waits for input; false where the connection is over.
    private func readMore() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        let count = attempt(waitingFor: POLLIN) { ssl in
            chunk.withUnsafeMutableBytes { buffer in
                guard let ssl else { return recv(descriptor, buffer.baseAddress, buffer.count, 0) }
                return Int(SSL_read(ssl, buffer.baseAddress, CInt(buffer.count)))
            }
        }
        guard let count else { return false }
        input += chunk[..<count]
        return true
    }

    // MARK: - Waiting

    /// Does `operation` until it has a result above 0; nil where the connection is over.
    private func attempt(waitingFor plain: CInt, _ operation: (OpaquePointer?) -> Int) -> Int? {
        enum Result { case done(Int), waits(CInt), over }
        while true {
            let result: Result = lock.withLock {
                guard case .open = state else { return .over }
                ERR_clear_error()
                let count = operation(ssl)
                let error = errno
                if count > 0 { return .done(count) }
                if let ssl {
                    return switch SSL_get_error(ssl, CInt(count)) {
                    case SSL_ERROR_WANT_READ: .waits(POLLIN)
                    case SSL_ERROR_WANT_WRITE: .waits(POLLOUT)
                    default: .over
                    }
                }
                return count < 0 && (error == EAGAIN || error == EINTR) ? .waits(plain) : .over
            }
            switch result {
            case .done(let count): return count
            case .over: return nil
            case .waits(let events):
                var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
                // `end` makes the socket readable, but not writable, so a wait to write looks now and then.
                _ = poll(&entry, 1, events == POLLIN ? -1 : 5)
            }
        }
    }
}
