import HTTPTypes
import Testing

@testable import H2Client

/// A client's HTTP/1.1 session without any I/O: text in, text out, time by hand.
final class HTTP1Rig {
    let session: HTTP1Session
    /// Nanoseconds.
    var now: UInt64 = 1_000_000_000

    init(_ configuration: ConnectionConfiguration = ConnectionConfiguration()) {
        session = HTTP1Session(
            origin: try! Origin(scheme: .https, host: "example.org"), configuration: configuration, now: now)
    }

    // MARK: - Requests

    func request(
        _ method: HTTPRequest.Method = .get, path: String? = "/", authority: String? = nil, fields: HTTPFields = [:],
        body: StreamState.Outgoing = .done, trailers: HTTPFields? = nil, contentLength: Int? = nil,
        expectsContinue: Bool = false, priority: HTTPPriority? = nil
    ) throws -> RecordingStream {
        try submit(
            HTTPRequest(method: method, scheme: nil, authority: authority, path: path, headerFields: fields),
            body: body, trailers: trailers, contentLength: contentLength, expectsContinue: expectsContinue,
            priority: priority)
    }

    func submit(
        _ request: HTTPRequest, body: StreamState.Outgoing = .done, trailers: HTTPFields? = nil,
        contentLength: Int? = nil, expectsContinue: Bool = false, priority: HTTPPriority? = nil
    ) throws -> RecordingStream {
        let stream = RecordingStream()
        stream.outgoing = body
        stream.outgoingTrailers = trailers
        stream.contentLength = contentLength
        try session.submit(
            stream, request, expectsContinue: expectsContinue, priority: priority)
        return stream
    }

    /// A request whose bytes have left.
    func sentRequest(_ method: HTTPRequest.Method = .get) throws -> RecordingStream {
        let stream = try request(method)
        sent()
        return stream
    }

    /// A GET that was answered by these bytes.
    func answered(_ text: String, to method: HTTPRequest.Method = .get) throws -> RecordingStream {
        let stream = try sentRequest(method)
        receive(text)
        return stream
    }

    // MARK: - Bytes

    /// What the session has to send, which leaves.
    @discardableResult
    func sent(limit: Int = 1 << 30) -> String {
        session.fillOutput(limit: limit, now: now)
        session.tellTouched()
        let text = String(decoding: session.output.bytes, as: UTF8.self)
        session.outputTaken(session.output.count, now: now)
        return text
    }

    func receive(_ text: String) { receive(Array(text.utf8)) }

    func receive(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { session.receive($0, now: now) }
        session.tellTouched()
    }

    func end(_ failure: H2Error? = nil) {
        _ = session.receivedEnd(failure, now: now)
        session.tellTouched()
    }

    // MARK: - Facts

    var violation: H2Error? { if case .broken(let error) = session.life { error } else { nil } }
    /// Why no other request is taken.
    var closing: String? { if case .closing(let why) = session.life { why } else { nil } }
}

extension HTTPField.Name {
    init(_ known: StaticString) { self.init(known.description)! }
}

extension StreamState {
    func field(_ name: String) -> String? { head.firstValue(of: name) }
}
