// Errors of streams.

extension StreamState {
    /// The name in error messages: HTTP/1.1 has no streams, so requests are numbered per connection.
    final var title: String { isNumberedByOrder ? "request \(id)" : "stream \(id)" }

    func bodyTooLarge(_ limit: Int) -> H2Error {
        H2Error(
            .bodyTooLarge, scope: .stream(id), initiator: .user,
            message: "the response's body is longer than \(limit) bytes",
            remedy: "collect more, or read it in pieces")
    }
}

extension ConnectionSnapshot.GoAway {
    /// RFC 9113 section 6.8: streams above the last identifier were not processed and never will be.
    func notProcessed(_ id: Int32) -> H2Error {
        H2Error(
            .notProcessed, scope: .stream(id), initiator: .remote, cause: .http2(code, debugText: debugText),
            message: "\(id == 0 ? "the request" : "stream \(id)") was not processed: the server said GOAWAY "
                + "(last stream \(lastStreamID), \(describedCode))",
            remedy: "send it again on a new connection", isRetryable: true)
    }

    var describedCode: String { debugText.isEmpty ? "\(code)" : "\(code), \"\(debugText)\"" }
}

extension H2Error {
    /// The error for a request on a connection that takes no more.
    static func draining(_ why: String) -> H2Error {
        H2Error(
            .connectionDraining, scope: .connection, message: "the connection takes no new requests: \(why)",
            remedy: "send it on a new connection", isRetryable: true)
    }

    static func closedByServer(_ remedy: String = "connect anew") -> H2Error {
        H2Error(
            .connectionClosed, scope: .connection, initiator: .remote, message: "the server closed the connection",
            remedy: remedy)
    }

    /// - Parameter headArrived: whether the final response head arrived, so that the request was processed after all.
    static func reset(
        stream id: Int32, code: H2Error.HTTP2Code, by initiator: Initiator, headArrived: Bool = false
    ) -> H2Error {
        let remedy =
            switch code {
            case .refusedStream where headArrived: "the server refused it after it had answered; its log may say why"
            case .refusedStream: "the server did not process it: send it again, with fewer at once"
            case .enhanceYourCalm: "the server wants less load: send fewer requests at once"
            case .http11Required: "the server wants HTTP/1.1 for this"
            case .internalError: "the server failed; its log may say why"
            case .cancel: "the server gave it up; its log may say why"
            case .noError: "the server ended it before its response was whole"
            default: "its log may say why"
            }
        let who = initiator == .remote ? "reset by server" : "reset by us"
        if initiator == .local && code == .protocolError {
            return H2Error(
                .protocolViolation, scope: .stream(id), initiator: .local, cause: .http2(code, debugText: ""),
                message: "stream \(id): the response's body does not match its header fields "
                    + "(content-length, or DATA where none may be)",
                remedy: "the response is malformed or was cut short; the fault is the server's")
        }
        if initiator == .local && code == .flowControlError {
            return H2Error(
                .protocolViolation, scope: .stream(id), initiator: .local, cause: .http2(code, debugText: ""),
                message: "stream \(id): the server sent more than the stream's window allowed",
                remedy: "the fault is the server's")
        }
        return H2Error(
            .streamReset, scope: .stream(id), initiator: initiator, cause: .http2(code, debugText: ""),
            message: "stream \(id) \(who) (error \(code))", remedy: remedy,
            isRetryable: code == .refusedStream && initiator == .remote && !headArrived)
    }

    static func timeout(_ phase: Phase, _ limit: Duration, stream: Int32) -> H2Error {
        let (what, remedy) =
            switch phase {
            case .queued:
                ("the request waited longer than \(limit) for its turn", "allow more time or send fewer at once")
            case .sending:
                ("the request's body made no progress for \(limit)", "the server does not take it, or the way stalled")
            case .firstByte: ("no response came within \(limit)", "the server is slow; allow more time")
            case .retrying:
                ("the request could not be sent again within \(limit)", "allow more time (RetryPolicy.maximumTime)")
            case .betweenBytes: ("the response's body made no progress for \(limit)", "the server or the way stalled")
            default: ("the request took longer than \(limit)", "allow more time")
            }
        return H2Error(
            .timeout, scope: .stream(stream), cause: .timeout(phase, after: limit), message: what, remedy: remedy,
            isRetryable: phase == .queued)
    }

    private static let unreadRemedy =
        "read or drop responses, or raise HTTPClient.Pool.http1ConnectionsPerOrigin (HTTP/1.1); "
        + "RequestOptions.queueTimeout limits the wait"

    private static func unreadSentence(_ count: Int, _ whose: String, _ time: String = "") -> String {
        let (subject, verb) = count == 1 ? ("1 response", ("has", "holds")) : ("\(count) responses", ("have", "hold"))
        return "\(subject) of \(whose) \(verb.0) not been read\(time), and \(verb.1) all its connections or streams"
    }

    /// A request would wait behind unread responses.
    static func behindUnread(_ count: Int, _ patience: Duration) -> H2Error {
        H2Error(
            .limitExceeded, initiator: .user,
            message:
                unreadSentence(count, "this origin", " for \(patience)"),
            remedy: unreadRemedy, isRetryable: true)
    }

    /// Adds that a request waited because of unread responses.
    mutating func add(unread count: Int, of whose: String) {
        message += ": \(Self.unreadSentence(count, whose))"
        remedy = Self.unreadRemedy
    }

    static func bodyLength(_ count: Int, stated: Int, stream: Int32) -> H2Error {
        H2Error(
            .invalidRequest, scope: .stream(stream), initiator: .user,
            message:
                "the request's body has \(count)\(count > stated ? " or more" : "") bytes, not \(stated) as stated",
            remedy: "state the right length, or none")
    }

    static func secondWriter(_ stream: StreamState) -> H2Error {
        H2Error(
            .invalidRequest, scope: .stream(stream.id), initiator: .user,
            message: "\(stream.title): a chunk of the request's body is being written already",
            remedy: "await one write before the next")
    }

    static func writeAfterEnd(_ stream: StreamState) -> H2Error {
        H2Error(
            .invalidRequest, scope: .stream(stream.id), initiator: .user,
            message: "\(stream.title): a chunk was written after the request's body had ended",
            remedy: "use the writer only until its closure returns or it calls finish")
    }

    static func endedTwice(_ stream: StreamState) -> H2Error {
        H2Error(
            .invalidRequest, scope: .stream(stream.id), initiator: .user,
            message: "\(stream.title): the request's body has already ended", remedy: "call finish once")
    }

    static func writerReturnedEarly(_ stream: StreamState) -> H2Error {
        H2Error(
            .invalidRequest, scope: .stream(stream.id), initiator: .user,
            message: "\(stream.title): the request body's writer returned while a chunk was being written",
            remedy: "await each write before the closure returns")
    }

    /// - Parameter isOver: whether the first reader has taken all of it.
    static func secondReader(_ stream: StreamState, isOver: Bool = false) -> H2Error {
        H2Error(
            .invalidRequest, scope: .stream(stream.id), initiator: .user,
            message: "\(stream.title): the response's body \(isOver ? "has been" : "is being") read already",
            remedy: isOver ? "keep what the first reader got" : "one reader at a time")
    }

    static func cannotWrite(_ status: CInt, stream: StreamState) -> H2Error {
        H2Error(
            .localIO, scope: .stream(stream.id), initiator: .user, cause: .errno(status),
            message: "cannot write the body: \(describeErrno(status))", remedy: "is there room and right to write?")
    }

    static func bodyFileFailed(at offset: Int, scope: Scope, cause: Cause = .unknown) -> H2Error {
        H2Error(
            .localIO, scope: scope, initiator: .user, cause: cause,
            message: "the request body's file became shorter, or cannot be read, at byte \(offset)",
            remedy: "leave the file alone while it is sent")
    }
}
