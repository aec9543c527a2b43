import HTTPTypes

/// An HTTP/2 session with a proxy that forwards requests and gets credentials or fields. Adds them to each request.
///
/// It is a wrapper, so that requests on other connections do not even have to check whether they need them.
final class ForwardedHTTP2Session: HTTPSession {
    private let session: HTTP2Session
    private let form: AbsoluteForm

    init(_ session: HTTP2Session, _ form: AbsoluteForm) {
        self.session = session
        self.form = form
    }

    func submit(
        _ stream: StreamState, _ request: HTTPRequest, expectsContinue: Bool, priority: HTTPPriority?
    ) throws(H2Error) {
        var request = request
        request.headerFields.append(contentsOf: form.fields)
        if let authorization = form.authorization(for: request) {
            request.headerFields[.proxyAuthorization] = authorization
        }
        try session.submit(stream, request, expectsContinue: expectsContinue, priority: priority)
    }

    func submit(_ stream: StreamState, _ request: PreparedRequest) throws(H2Error) {
        try session.submit(stream, request)
    }

    var hasFreeSlot: Bool { session.hasFreeSlot }
    var openStreamCount: Int { session.openStreamCount }
    func forEachOpenStream(_ body: (StreamState) -> Void) { session.forEachOpenStream(body) }
    func giveUp(_ stream: StreamState, isWriteUnderWay: Bool) {
        session.giveUp(stream, isWriteUnderWay: isWriteUnderWay)
    }

    func receive(_ bytes: UnsafeRawBufferPointer, now: UInt64) throws(H2Error) { try session.receive(bytes, now: now) }
    func receivedEnd(_ failure: H2Error?, now: UInt64) -> H2Error { session.receivedEnd(failure, now: now) }
    func tellTouched() { session.tellTouched() }
    func consumed(_ stream: StreamState) { session.consumed(stream) }
    func dropUnread(_ stream: StreamState) { session.dropUnread(stream) }
    var failure: H2Error? { session.failure }

    var hasOutput: Bool { session.hasOutput }
    func fillOutput(limit: Int, now: UInt64) { session.fillOutput(limit: limit, now: now) }
    var outputBytes: UnsafeRawBufferPointer { session.outputBytes }
    func outputTaken(_ count: Int, now: UInt64) { session.outputTaken(count, now: now) }

    func failAll(_ error: (StreamState, _ mayHaveLeft: Bool) -> H2Error) { session.failAll(error) }
    func release() { session.release() }

    func countsOnly(roundTrip: UInt64) { session.countsOnly(roundTrip: roundTrip) }
    var counts: SessionCounts { session.counts }
    var snapshot: ConnectionSnapshot { session.snapshot }
}
