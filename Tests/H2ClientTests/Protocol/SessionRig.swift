import CNghttp2
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// A client's session without any I/O: frames in, frames out, time by hand.
final class SessionRig {
    let session: HTTP2Session
    let encoder = FieldEncoder()
    let decoder = FieldDecoder()
    private let reader = FrameReader(expectsPreface: true)
    /// Nanoseconds.
    var now: UInt64 = 1_000_000_000
    /// Everything the session has sent so far.
    private(set) var history: [Frame] = []

    /// `greets`: SETTINGS have been exchanged and acknowledged, and what the client said first was taken.
    init(
        _ configuration: ConnectionConfiguration = ConnectionConfiguration(), greets: Bool = true,
        scheme: Origin.Scheme = .https,
        settings: KeyValuePairs<UInt16, UInt32> = [:]
    ) {
        session = HTTP2Session(
            origin: try! Origin(scheme: scheme, host: "example.org"), configuration: configuration,
            connectionID: ConnectionID(number: 1), now: now)
        guard greets else { return }
        sent()
        receive(.settings(settings), .settingsAck)
        sent()
        session.events = []
    }

    convenience init(windows stream: Int, connection: Int = 65_535, unreadLimit: Int = 32 << 20) {
        var configuration = ConnectionConfiguration()
        configuration.windows.stream = stream
        configuration.windows.maximum = stream
        configuration.windows.connection = connection
        configuration.windows.unreadLimit = unreadLimit
        self.init(configuration)
    }

    var sawPreface: Bool { reader.sawPreface }

    // MARK: - In

    /// Feeds frames; the error is what `receive` threw, or what the session's own GOAWAY gave away.
    @discardableResult
    func receive(_ frames: Frame...) -> H2Error? { receive(bytes: frames.flatMap(\.bytes)) }

    @discardableResult
    func receive(bytes: [UInt8]) -> H2Error? {
        do {
            try bytes.withUnsafeBytes { try session.receive($0, now: now) }
        } catch {
            return error as? H2Error
        }
        session.fillOutput(limit: 1 << 30, now: now)
        return session.violation
    }

    /// A response's header section.
    func head(
        _ stream: StreamState, _ fields: [(String, String)] = [], status: String = "200", endStream: Bool = false
    ) -> Frame {
        .headers(stream.id, encoder.encode([(":status", status)] + fields), endStream: endStream)
    }

    // MARK: - Out

    /// What the session has to send, as frames.
    @discardableResult
    func sent() -> [Frame] {
        session.fillOutput(limit: 1 << 30, now: now)
        let frames = reader.read(session.output.bytes)
        session.output.removeFirst(session.output.count)
        history += frames
        return frames
    }

    /// The frames of one type that the session has to send.
    func sent(_ type: UInt8) -> [Frame] { sent().filter { $0.type == type } }

    // MARK: - Requests

    func request(
        _ method: HTTPRequest.Method = .get, path: String = "/", fields: HTTPFields = [:],
        body: StreamState.Outgoing = .done, trailers: HTTPFields? = nil, contentLength: Int? = nil
    ) throws -> RecordingStream {
        let stream = RecordingStream()
        stream.outgoing = body
        stream.outgoingTrailers = trailers
        stream.contentLength = contentLength
        try session.submit(
            stream, HTTPRequest(method: method, scheme: nil, authority: nil, path: path, headerFields: fields),
            expectsContinue: false, priority: nil)
        return stream
    }

    /// A GET whose frames have left.
    func sentRequest(_ method: HTTPRequest.Method = .get) throws -> RecordingStream {
        let stream = try request(method)
        sent()
        return stream
    }

    /// Reads all that a stream holds, as its reader would.
    func read(_ stream: StreamState) -> [UInt8] {
        let bytes = stream.body
        stream.body = []
        session.consumed(stream)
        return bytes
    }

    // MARK: - Windows

    /// Whether everything that ever arrived was credited to the connection, to the byte.
    ///
    /// nghttp2 keeps the consumed bytes to itself until they are half a window. So one DATA frame for a closed stream,
    /// which counts as consumed at once, fills what was received up to exactly that half: WINDOW_UPDATE then goes out if
    /// and only if nothing is missing.
    func isConnectionWindowWhole() throws -> Bool {
        sent()
        let closed = try sentRequest()
        receive(.resetStream(closed.id, 8))
        sent()
        let half = Int(nghttp2_session_get_effective_local_window_size(session.raw)) / 2
        var missing = half - Int(nghttp2_session_get_effective_recv_data_length(session.raw))
        guard missing > 0 else { return false }
        while missing > 0 {
            let count = min(missing, 16_384)
            if receive(.data(closed.id, [UInt8](repeating: 0, count: count))) != nil { return false }
            missing -= count
        }
        return nghttp2_session_get_effective_recv_data_length(session.raw) == 0
    }
}

/// A stream that counts what it is told.
final class RecordingStream: StreamState {
    private(set) var changes = 0
    private(set) var bodyRequests = 0

    var onChange: () -> Void = {}
    override func progressed() {
        changes += 1
        onChange()
    }
    override func wantsBody() { bodyRequests += 1 }

    /// Why it failed; nil while it has not.
    var failure: H2Error? {
        if case .failed(let error) = phase { error as? H2Error } else { nil }
    }

    var hasEnded: Bool { if case .ended = phase { true } else { false } }
    var isAwaitingHead: Bool { if case .awaitingHead = phase { true } else { false } }
    var bodyText: String { String(decoding: body, as: UTF8.self) }
}

func text(_ string: String) -> [UInt8] { Array(string.utf8) }
