import CNghttp2
import H2Platform
import H2TestSupport
import Synchronization

@testable import H2Client

/// A TLS 1.3 server for HTTP/1.1 that accepts early data and distinguishes it from data after the handshake.
///
/// Each connection has a thread, on which the test's script serves it with blocking calls. A call that reads ends after
/// a minute at the latest.
///
/// Invariant behind `@unchecked Sendable`: mutable state is accessed with `lock` held.
final class EarlyDataPeer: @unchecked Sendable {
    /// A request whose head has arrived.
    struct Request: Equatable {
        /// The number of the connection, counted from 1.
        var connection: Int
        var line: String
        /// Whether all of it arrived as early data.
        var isEarly: Bool
    }

    /// Why a script cannot go on: the client is gone.
    struct Gone: Error {}

    let context: TLSContext
    let caPEM: String
    private let lock = PthreadLock()
    private var stored: [Request] = []
    private var server: RawServer?
    private let visitors = Atomic<Int>(0)

    /// - Parameters:
    ///   - limit: the amount of early data accepted on a connection.
    ///   - serve: the script.
    init(limit: UInt32 = 16_384, _ serve: @escaping @Sendable (Visitor) throws -> Void) throws {
        (context, caPEM) = try Self.makeContext(["http/1.1"], limit: limit)
        server = try RawServer { [weak self] socket in
            guard let self else { return }
            let number = visitors.add(1, ordering: .relaxed).newValue
            let visitor = Visitor(self, socket, number)
            try? serve(visitor)
        }
    }

    static func makeContext(_ protocols: [String], limit: UInt32) throws -> (TLSContext, caPEM: String) {
        let context = try TLSContext(serverProtocols: protocols)
        SSL_CTX_set_max_early_data(context.context, limit)
        SSL_CTX_set_recv_max_early_data(context.context, limit)
        return (context, try context.makeSelfSigned(names: ["127.0.0.1"], days: 1).caPEM)
    }

    var url: String { "https://127.0.0.1:\(server?.port ?? 0)/" }
    /// All requests so far, in order.
    var requests: [Request] { lock.withLock { stored } }
    func requests(on connection: Int) -> [Request] { requests.filter { $0.connection == connection } }
    func stop() { server?.stop() }

    private func add(_ request: Request) { lock.withLock { stored.append(request) } }

    /// One connection of a client.
    final class Visitor {
        let number: Int
        let socket: RawSocket
        private let peer: EarlyDataPeer
        private var ssl: OpaquePointer?
        private var bytes: [UInt8] = []
        private var isDone = false

        init(_ peer: EarlyDataPeer, _ socket: RawSocket, _ number: Int) {
            self.peer = peer
            self.socket = socket
            self.number = number
        }

        deinit {
            if let ssl {
                if isDone { SSL_shutdown(ssl) }
                SSL_free(ssl)
            }
        }

        /// Waits until the ClientHello has begun to arrive.
        func awaitHello() {
            var byte: UInt8 = 0
            _ = recv(socket.descriptor, &byte, 1, CInt(MSG_PEEK))
        }

        /// Reads the ClientHello and the early data that comes with it, up to the end of a request or of the early
        /// data. It does not answer the handshake before `finish`, except with the server's own part.
        /// - Parameter takesEarlyData: whether early data is accepted.
        func begin(with context: TLSContext? = nil, takesEarlyData: Bool = true) throws {
            guard let ssl = SSL_new((context ?? peer.context).context) else { throw Gone() }
            self.ssl = ssl
            // Not OpenSSL's own BIO, whose writes raise SIGPIPE.
            let bio = ch2_socket_bio(socket.descriptor)
            SSL_set_bio(ssl, bio, bio)
            SSL_set_accept_state(ssl)
            if !takesEarlyData { SSL_set_max_early_data(ssl, 0) }
            while try readEarly(), !hasHead {}
            if hasHead { noteHead(isEarly: true) }
        }

        /// Completes the handshake. More early data may arrive before that.
        func finish() throws {
            while try readEarly() {}
            while hasHead { noteHead(isEarly: true) }
            guard SSL_accept(ssl) == 1 else { throw Gone() }
            isDone = true
        }

        private var isEarlyOver = false

        /// Returns false at the end of the early data.
        private func readEarly() throws -> Bool {
            if isEarlyOver { return false }
            var buffer = [UInt8](repeating: 0, count: 16 << 10)
            var count = 0
            switch SSL_read_early_data(ssl, &buffer, buffer.count, &count) {
            case SSL_READ_EARLY_DATA_SUCCESS:
                bytes += buffer[..<count]
                return true
            case SSL_READ_EARLY_DATA_FINISH:
                bytes += buffer[..<count]
                isEarlyOver = true
                return false
            default: throw Gone()
            }
        }

        /// Waits for the next request after the handshake.
        func readRequest() throws {
            while !hasHead {
                var buffer = [UInt8](repeating: 0, count: 16 << 10)
                let count = SSL_read(ssl, &buffer, CInt(buffer.count))
                guard count > 0 else { throw Gone() }
                bytes += buffer[..<Int(count)]
            }
            noteHead(isEarly: false)
        }

        private var hasHead: Bool { headLength != nil }
        private var headLength: Int? {
            bytes.indices.first { bytes[$0...].starts(with: Array("\r\n\r\n".utf8)) }.map { $0 + 4 }
        }

        private func noteHead(isEarly: Bool) {
            guard let length = headLength else { return }
            let line = String(decoding: bytes.prefix { $0 != 13 }, as: UTF8.self)
            bytes.removeFirst(length)
            peer.add(Request(connection: number, line: line, isEarly: isEarly))
        }

        /// Writes a response; works even before the handshake is complete.
        func respond(_ status: String = "200 OK", _ body: String = "ok", closes: Bool = true) {
            let end = closes ? "connection: close\r\n" : ""
            write("HTTP/1.1 \(status)\r\ncontent-length: \(body.utf8.count)\r\n\(end)\r\n\(body)")
        }

        private func write(_ text: String) {
            let text = Array(text.utf8)
            var written = 0
            if isDone {
                _ = SSL_write(ssl, text, CInt(text.count))
            } else {
                _ = SSL_write_early_data(ssl, text, text.count, &written)
            }
        }

        /// Serves one request, early or late, and ends the connection.
        func serve(with context: TLSContext? = nil, takesEarlyData: Bool = true) throws {
            let before = peer.requests(on: number).count
            try begin(with: context, takesEarlyData: takesEarlyData)
            try finish()
            if peer.requests(on: number).count == before { try readRequest() }
            respond()
        }
    }
}
