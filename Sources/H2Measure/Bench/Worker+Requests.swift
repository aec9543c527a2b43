internal import H2Client

// Requests as a worker sees them: when they begin, what they waited for, and how they end.

extension Worker {
    // MARK: - Sending

    /// Whether any other request may begin now.
    var maySend: Bool {
        switch phase {
        case .measuring: left > 0
        case .warmUp: true
        case .draining, .over: false
        }
    }

    /// The loop's time, read again every few calls, so that it is precise to a few requests.
    @inline(__always)
    func tick() -> UInt64 {
        clockCount &+= 1
        if clockCount & 7 == 0 { loop.readClock() }
        return loop.now
    }

    /// A request begins on a stream. Returns whether it is one of those asked for that has not been counted yet.
    /// - Parameter gap: the last time without a connection in this slot.
    @inline(__always)
    func began(_ notes: UnsafeMutablePointer<DirectStream.Notes>, now: UInt64, gap: Gap) -> Bool {
        inFlight += 1
        if inFlight > samples.peak { samples.peak = inFlight }
        guard notes.pointee.attempts == 0 else { return false }
        notes.pointee.beganAt = now
        if requests.count > 1 { chooseRequest(notes) } else { notes.pointee.request = 0 }
        guard case .measuring = phase else {
            notes.pointee.isMeasured = false
            return false
        }
        notes.pointee.isMeasured = true
        left -= 1
        findings.requests.sent += 1
        if notes.pointee.intendedAt < now { noteWaits(notes, gap, sign: 1) }
        return true
    }

    /// Chooses the next of several requests; a script or a scenario has chosen it already.
    private func chooseRequest(_ notes: UnsafeMutablePointer<DirectStream.Notes>) {
        if case .script = plan.pace { return }
        if plan.scenario != nil { return }
        notes.pointee.request = nextRequest
        nextRequest += 1
        if nextRequest == requests.count { nextRequest = 0 }
    }

    /// The last time that a slot had no connection.
    struct Gap {
        var from: UInt64
        var to: UInt64
    }

    /// Divides the time from when a request was due until it began by what it waited for: a connection, a stream of one, and
    /// the client itself, which is the rest. The client's part is the delay until the loop noticed that the request was due,
    /// and the time from when it could have begun.
    /// - Parameter sign: -1 to undo it.
    @inline(never)
    private func noteWaits(_ notes: UnsafeMutablePointer<DirectStream.Notes>, _ gap: Gap, sign: Int) {
        let (intended, began) = (notes.pointee.intendedAt, notes.pointee.beganAt)
        let able = min(max(notes.pointee.ableAt, intended), began)
        let taken = isOpenLoop ? min(max(notes.pointee.takenAt, intended), able) : intended
        let (gapBegin, gapEnd) = (max(gap.from, taken), min(gap.to, able))
        let connection = gapEnd > gapBegin ? gapEnd - gapBegin : 0
        let stream = able - taken - connection
        let late = began - intended - connection - stream
        if connection > 0 {
            findings.waits.connection += Double(connection) * Double(sign)
            findings.waits.connectionRequests += sign
        }
        if stream > 0 {
            findings.waits.stream += Double(stream) * Double(sign)
            findings.waits.streamRequests += sign
        }
        findings.waits.late += Double(late) * Double(sign)
        if late > findings.waits.maximumLate, sign > 0 { findings.waits.maximumLate = late }
    }

    /// Undoes `began`, for a request that was never sent after all. Returns what that returned.
    func didNotBegin(_ notes: UnsafeMutablePointer<DirectStream.Notes>, gap: Gap) -> Bool {
        inFlight -= 1
        guard notes.pointee.attempts == 0, notes.pointee.isMeasured else { return false }
        left += 1
        findings.requests.sent -= 1
        // It goes on waiting, and is counted when it begins.
        if notes.pointee.intendedAt < notes.pointee.beganAt { noteWaits(notes, gap, sign: -1) }
        return true
    }

    // MARK: - Answers

    /// A request's attempt is over.
    @inline(__always)
    func ended() { inFlight -= 1 }

    /// A request's response is complete.
    @inline(__always)
    func done(
        _ notes: UnsafeMutablePointer<DirectStream.Notes>, now: UInt64, headAt: UInt64, endAt: UInt64, status: Int,
        bodyBytes: Int, on stream: StreamID
    ) {
        if case .measuring = phase { findings.requests.answeredInTime += 1 }
        guard notes.pointee.isMeasured else { return }
        findings.requests.done += 1
        if case .draining = phase { findings.requests.drained += 1 }
        findings.statuses[status] += 1
        findings.traffic.bodiesReceived += bodyBytes
        let (intended, began) = (notes.pointee.intendedAt, notes.pointee.beganAt)
        if intended == began && headAt == endAt {
            recorder.record(now - began)
        } else {
            recorder.record(
                latency: now - began, corrected: now - min(intended, now),
                firstByte: firstByte(began: began, headAt: headAt, endAt: endAt, now))
        }
        if !isPlain {
            breakdown?.record(now - began, status: status, request: notes.pointee.request)
            liveCounts?.record(
                request: notes.pointee.request, status: status, latency: now - began, bytes: bodyBytes, at: now)
            if log != nil {
                let firstByte = firstByte(began: began, headAt: headAt, endAt: endAt, now)
                note(notes, now, firstByte: firstByte, status, bodyBytes, stream, .done)
            }
        }
        if left == 0 { checkEnd() }
    }

    /// A complete response's time to first byte: the whole latency if head and end arrived in one read.
    private func firstByte(began: UInt64, headAt: UInt64, endAt: UInt64, _ now: UInt64) -> UInt64 {
        if headAt == endAt { return now - began }
        return headAt > began ? min(headAt, now) - began : 0
    }

    /// The reason why a complete response does not meet the plan's expectation, and so has failed; nil if it does.
    func unexpected(status: Int, bodyBytes: Int, digest: BodyDigest?) -> String? {
        plan.expectation?.failure(status: status, bodyBytes: bodyBytes, digest: digest)
    }

    /// A request's response is complete, but does not meet the plan's expectation.
    func failed(
        _ notes: UnsafeMutablePointer<DirectStream.Notes>, unexpected why: String, headAt: UInt64, status: Int,
        bodyBytes: Int, on stream: StreamID
    ) {
        if notes.pointee.isMeasured { findings.statuses[status] += 1 }
        failed(notes, kind: why, headAt: headAt, status: status, bodyBytes: bodyBytes, on: stream)
    }

    /// A request that cannot be sent, for a reason that its user has.
    func unsendable(_ notes: UnsafeMutablePointer<DirectStream.Notes>, because why: String) {
        failed(
            notes, kind: why, headAt: 0, status: 0, bodyBytes: 0, on: StreamID(connection: 0, stream: 0))
    }

    /// A stream: the connection's number, and the stream's on it.
    struct StreamID {
        var connection: Int
        var stream: Int
    }

    /// - Parameter cutOff: why we ended its connection during the request; nil if we did not.
    func failed(
        _ notes: UnsafeMutablePointer<DirectStream.Notes>, _ error: H2Error, headAt: UInt64 = 0, status: Int = 0,
        bodyBytes: Int = 0, cutOff: CutOff? = nil, on stream: StreamID
    ) {
        failed(
            notes, kind: cutOff == .silent ? FailureName.silence : error.kind, headAt: headAt, status: status,
            bodyBytes: bodyBytes, isCutOff: cutOff == .expired, on: stream)
    }

    private func failed(
        _ notes: UnsafeMutablePointer<DirectStream.Notes>, kind cause: String, headAt: UInt64, status: Int,
        bodyBytes: Int, isCutOff: Bool = false, on stream: StreamID
    ) {
        guard notes.pointee.isMeasured else { return }
        var isOver = false
        if case .over = phase { isOver = true }
        let kind = isOver || isCutOff ? "aborted" : cause
        if log != nil {
            let (now, began) = (loop.now, notes.pointee.beganAt)
            let firstByte = headAt == 0 ? nil : headAt > began ? min(headAt, now) - began : 0
            note(notes, now, firstByte: firstByte, status, bodyBytes, stream, .failed(kind))
        }
        // These already count as aborted.
        if isOver { return }
        if isCutOff {
            findings.requests.aborted += 1
        } else {
            findings.requests.failed += 1
            findings.errors[kind, default: 0] += 1
            if let liveCounts {
                let (now, began) = (loop.now, notes.pointee.beganAt)
                liveCounts.record(
                    request: notes.pointee.request, status: status, latency: now - min(began, now), bytes: bodyBytes,
                    at: now, failure: kind)
            }
        }
        if left == 0 { checkEnd() }
    }

    private func note(
        _ notes: UnsafeMutablePointer<DirectStream.Notes>, _ now: UInt64, firstByte: UInt64?, _ status: Int,
        _ bodyBytes: Int, _ stream: StreamID, _ result: RequestLog.Result
    ) {
        let (intended, began) = (notes.pointee.intendedAt, notes.pointee.beganAt)
        log?.append(
            start: Int64(began) - Int64(findings.beganAt), intendedStart: Int64(intended) - Int64(findings.beganAt),
            latency: now - min(began, now), corrected: now - min(intended, now),
            firstByte: firstByte, status: status, bytes: bodyBytes, connection: stream.connection,
            stream: stream.stream,
            result: result,
            attempts: notes.pointee.attempts + 1)
    }

    func retried(_ notes: UnsafeMutablePointer<DirectStream.Notes>) {
        if notes.pointee.isMeasured { findings.requests.retries += 1 }
    }

    var open: Int {
        findings.requests.sent - findings.requests.done - findings.requests.failed - findings.requests.aborted
    }

    /// Ends the worker when it has nothing left to do.
    func checkEnd() {
        guard open == 0 else { return }
        switch phase {
        case .measuring where left == 0:
            guard let peers else { return finish(.complete) }
            // Others may still give up, and leave it something to do.
            guard doneAt == nil else { return }
            doneAt = loop.now
            peers.isDone(self)
        case .draining: finish(findings.end)
        case .measuring, .warmUp, .over: break
        }
    }
}
