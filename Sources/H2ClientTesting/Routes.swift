import CNghttp2
import H2Client
import H2Platform

/// The routes: the answer to each path.
extension ServerStream {
    private static let help = """
        GET  /bytes/N              N bytes; byte i is i modulo 251
        GET  /delay/MS             3 bytes, after MS milliseconds
        any  /echo                 the request body, content-type and trailers, as they arrive
        any  /upload               the number of bytes of the request body, and their SHA-256
        any  /100                  as /upload, with 100 (Continue) whether it was expected or not
        any  /early                200 before the request body is read, then RST_STREAM(NO_ERROR)
        GET  /status/N             that status (200 to 599)
        GET  /drip?bytes=N&chunk=N&interval=MS
        GET  /trailers             a body, then trailer fields
        GET  /103?n=N              N times 103 (Early Hints), then 200
        GET  /headers              the request fields
        GET  /large-headers?n=N&size=M
        GET  /priority?wait=MS     the priority field and PRIORITY_UPDATE
        GET  /reset/CODE?after=N   RST_STREAM with CODE (after N bytes of body)
        GET  /stall?after=N        never ends (sends N bytes of body; without: no answer)
        GET  /goaway?code=N&debug=TEXT&last=ID
        GET  /close?after=N&how=fin|reset|notify
        GET  /settings?max-concurrent-streams=N&initial-window-size=N&max-frame-size=N&header-table-size=N&delay=MS
        GET  /ping                 a PING frame, then 200
        GET  /stats                what this origin has done so far, as JSON
        GET  /PATH                 a file of the document root, where there is one

        On HTTP/1.1, where streams cannot be reset, what resets a stream closes the connection: /reset at once or after
        the bytes, /early after its answer, which says so. /goaway answers with Connection: close; /settings and /ping
        only answer.

        """

    /// Answers the request, whose fields are complete and whose body may still be arriving.
    func route() {
        guard !request.isTooLarge else {
            take(.discard)
            return answer(431, "the request's header fields are too large\n")
        }
        let target = Target(request.target)
        if let handler = handler(for: target.path) { return answer(target, by: handler) }
        let (name, argument) = target.route
        let method = request.method
        switch name {
        // These take a body, and any method.
        case "echo" where argument == nil: return echo(method)
        case "upload" where argument == nil: return upload(isAsked: false)
        case "100" where argument == nil: return upload(isAsked: true)
        case "early" where argument == nil: return early()
        default: break
        }
        take(.discard)
        let isHead = method == "HEAD"
        guard method == "GET" || isHead else {
            let fields = fields(405)
            fields.add("allow", "GET, HEAD")
            return finish(fields, "only GET and HEAD work here\n", isHead: false)
        }
        do {
            if try answerRoute(name, argument, target, isHead: isHead) { return }
            file(target.path, isHead: isHead)
        } catch {
            answer(400, "'\(error.name)' is not a number\n", isHead: isHead)
        }
    }

    /// Answers a route; false if there is no such route.
    private func answerRoute(
        _ name: Substring, _ argument: Substring?, _ target: Target, isHead: Bool
    ) throws(Target.BadNumber) -> Bool {
        if let argument {
            guard let number = wholeNumber(argument.utf8) else { return false }
            switch name {
            case "bytes": pattern(number, isHead: isHead)
            case "delay":
                guard number <= 86_400_000 else { answer(400, "at most 86,400,000 ms\n", isHead: isHead); return true }
                schedule(after: .milliseconds(number)) { $0.answer(200, "ok\n", isHead: isHead) }
            case "status":
                guard (200...599).contains(number) else { answer(400, "200 to 599\n", isHead: isHead); return true }
                status(number, isHead: isHead)
            case "reset":
                let code = UInt32(clamping: number)
                try cutBody(target, .reset(code), isHead: isHead) { $0.reset(code) }
            default: return false
            }
            return true
        }
        switch name {
        case "": return root(isHead: isHead)
        case "drip": try drip(target, isHead: isHead)
        case "trailers": trailers(isHead: isHead)
        case "103": try earlyHints(target, isHead: isHead)
        case "headers": echoFields(isHead: isHead)
        case "large-headers": try largeFields(target, isHead: isHead)
        case "priority": try priority(target, isHead: isHead)
        case "stall": try cutBody(target, .stall, isHead: isHead) { _ in }
        case "goaway": try goAway(target, isHead: isHead)
        case "close": try closeConnection(target, isHead: isHead)
        case "stats":
            finish(fields(200), connection.counters.snapshot.json, isHead: isHead, type: "application/json")
        case "settings": try changeSettings(target, isHead: isHead)
        case "ping":
            connection.ping()
            answer(200, "pinged\n", isHead: isHead)
        default: return false
        }
        return true
    }

    // MARK: - Answers

    func answer(_ status: Int, _ text: String, isHead: Bool = false) {
        finish(fields(status), text, isHead: isHead)
    }

    private func finish(
        _ fields: FieldList, _ text: String, isHead: Bool, type: StaticString = "text/plain; charset=utf-8"
    ) {
        let bytes = Array(text.utf8)
        // A short text counts as part of its request; it must also be able to report that too much is held.
        guard bytes.count <= 1_024 || hold(bytes.count) else { return refuseForWantOfMemory(isHead: isHead) }
        fields.add("content-type", type)
        fields.add("content-length", number: bytes.count)
        respond(fields, .text(bytes), count: bytes.count, isHead: isHead)
    }

    private func pattern(_ count: Int, isHead: Bool) {
        let limit = connection.listener.configuration.limits.responseBytes
        guard count <= limit else { return answer(400, "at most \(limit) bytes\n", isHead: isHead) }
        let fields = fields(200)
        fields.add("content-type", "application/octet-stream")
        fields.add("content-length", number: count)
        respond(fields, .pattern, count: count, isHead: isHead)
    }

    private func root(isHead: Bool) -> Bool {
        if case .file(let file) = connection.listener.site.find("/") {
            send(file, isHead: isHead)
        } else {
            answer(200, Self.help, isHead: isHead)
        }
        return true
    }

    private func status(_ status: Int, isHead: Bool) {
        // RFC 9110 section 6.4.1: no content in these.
        guard status != 204, status != 304 else { return respond(fields(status)) }
        answer(status, "status \(status)\n", isHead: isHead)
    }

    /// Refuses a request because all workers are busy and the queue is full.
    func refuseForWantOfWorkers(_ refusal: OriginServer.Workers.Refusal) {
        take(.discard)
        switch refusal {
        case .refusedStream where connection.canRefuseStreams: connection.refuse(self)
        case .refusedStream, .unavailable(retryAfter: nil): unavailable("all workers are busy\n", retryAfter: nil)
        case .unavailable(let seconds): unavailable("all workers are busy\n", retryAfter: seconds)
        }
    }

    func refuseForWantOfMemory(isHead: Bool) {
        connection.counters.requestsOverLimit.add(1)
        answer(503, "too much is held for other requests\n", isHead: isHead)
    }

    func unavailable(_ text: String, retryAfter seconds: Int?) {
        let fields = fields(503)
        if let seconds { fields.add("retry-after", number: max(seconds, 0)) }
        finish(fields, text, isHead: request.method == "HEAD")
    }

    // MARK: - Request bodies

    func continueIfExpected(isAsked: Bool = false) {
        guard !hasRequestEnded, isAsked || request.value("expect")?.lowercased() == "100-continue" else { return }
        inform(fields(100))
    }

    private func echo(_ method: String) {
        continueIfExpected()
        let fields = fields(200)
        if let type = request.value("content-type") { fields.add("content-type", text: type) }
        if let length = request.value("content-length") { fields.add("content-length", text: length) }
        // Nothing is sent back to HEAD, so nothing is kept.
        take(method == "HEAD" ? .discard : .echo)
        respond(fields, .echo, isHead: method == "HEAD")
    }

    private func upload(isAsked: Bool) {
        continueIfExpected(isAsked: isAsked)
        let digest = BodyDigest()
        take(.digest(digest)) { $0.answer(200, "\($0.receivedBytes) \(digest.finish())\n") }
    }

    private func early() {
        // Not consumed, so that the client soon runs out of window and must read the answer.
        if !hasRequestEnded { resetAfterEnd() }
        answer(200, "answered before the request body was read\n")
    }

    // MARK: - Multi-part responses

    private func drip(_ target: Target, isHead: Bool) throws(Target.BadNumber) {
        let count = try target.number("bytes") ?? 10
        let chunk = max(try target.number("chunk") ?? 1, 1)
        let interval = Duration.milliseconds(min(try target.number("interval") ?? 100, 86_400_000))
        release(0)
        pattern(count, isHead: isHead)
        guard !isHead, !isBodyReleased else { return }
        dripNext(chunk: chunk, released: 0, interval: interval)
    }

    private func dripNext(chunk: Int, released: Int, interval: Duration) {
        // While the client reads nothing, only check again now and then.
        guard isReleasedTaken else {
            return schedule(after: max(interval, .milliseconds(20))) {
                $0.dripNext(chunk: chunk, released: released, interval: interval)
            }
        }
        let (sum, overflow) = released.addingReportingOverflow(chunk)
        let total = overflow ? Int.max : sum
        release(total)
        guard !isBodyReleased else { return }
        schedule(after: interval) { $0.dripNext(chunk: chunk, released: total, interval: interval) }
    }

    private func trailers(isHead: Bool) {
        let text = "two trailer fields follow\n"
        setTrailers([("x-checksum", "sum of nothing"), ("x-body-length", "\(text.utf8.count)")])
        let fields = fields(200)
        fields.add("content-type", "text/plain; charset=utf-8")
        fields.add("trailer", "x-checksum, x-body-length")
        let bytes = Array(text.utf8)
        respond(fields, .text(bytes), count: bytes.count, isHead: isHead)
    }

    private func earlyHints(_ target: Target, isHead: Bool) throws(Target.BadNumber) {
        let count = try target.number("n") ?? 1
        guard count <= 1_000 else { return answer(400, "at most 1000\n", isHead: isHead) }
        guard hold(count * Self.hintMemory) else { return refuseForWantOfMemory(isHead: isHead) }
        for _ in 0..<count {
            let fields = fields(103)
            fields.add("link", "</style.css>; rel=preload; as=style")
            inform(fields)
        }
        answer(200, "hinted\n", isHead: isHead)
    }

    /// The approximate bytes that nghttp2 keeps for each hint until it is sent.
    private static let hintMemory = 512

    // MARK: - Fields

    private func echoFields(isHead: Bool) {
        var text = ""
        for entry in request.entries {
            text += "\(request.text(entry.name)): \(request.text(entry.value))\n"
        }
        answer(200, text, isHead: isHead)
    }

    private func largeFields(_ target: Target, isHead: Bool) throws(Target.BadNumber) {
        let (limit, overhead) = (connection.listener.configuration.limits.responseFieldBytes, 48)
        let count = try target.number("n") ?? 10
        let size = try target.number("size") ?? 1_000
        // Check each before multiplying, which could overflow.
        guard count == 0 || size <= limit && count <= limit / (size + overhead) else {
            return answer(400, "at most \(limit) bytes of fields\n", isHead: isHead)
        }
        // There are two copies until they are sent.
        guard hold(2 * count * (size + overhead)) else { return refuseForWantOfMemory(isHead: isHead) }
        let fields = fields(200)
        let value = [UInt8](repeating: UInt8(ascii: "v"), count: count == 0 ? 0 : size)
        value.withUnsafeBufferPointer { value in
            for index in 0..<count {
                var name = "x-filler-\(index)"
                name.withUTF8 { fields.add(nameBytes: $0, bytes: value) }
            }
        }
        finish(fields, "large\n", isHead: isHead)
    }

    private func priority(_ target: Target, isHead: Bool) throws(Target.BadNumber) {
        let wait = min(try target.number("wait") ?? 0, 60_000)
        guard wait == 0 else {
            return schedule(after: .milliseconds(wait)) { $0.answerPriority(isHead: isHead) }
        }
        answerPriority(isHead: isHead)
    }

    private func answerPriority(isHead: Bool) {
        let field = request.value("priority") ?? "none"
        answer(200, "field: \(field)\nupdate: \(priorityUpdate ?? "none")\n", isHead: isHead)
    }

    // MARK: - Faults

    /// With the parameter `after`, sends 200 and that many bytes of a longer body, then the cut. Without it, calls `atOnce`.
    private func cutBody(
        _ target: Target, _ kind: Cut, isHead: Bool, atOnce: (ServerStream) -> Void
    ) throws(Target.BadNumber) {
        guard let after = try target.number("after") else { return atOnce(self) }
        cutBody(after: after, kind, isHead: isHead)
    }

    private func cutBody(after: Int, _ kind: Cut, isHead: Bool) {
        let limit = connection.listener.configuration.limits.responseBytes
        guard after <= limit else { return answer(400, "after \(limit) bytes at most\n", isHead: isHead) }
        cut(after: after, kind)
        let fields = fields(200)
        let count = after.addingReportingOverflow(1 << 20)
        let claimed = count.overflow ? .max : count.partialValue
        fields.add("content-type", "application/octet-stream")
        fields.add("content-length", number: claimed)
        respond(fields, .pattern, count: claimed)
    }

    private func goAway(_ target: Target, isHead: Bool) throws(Target.BadNumber) {
        let code = UInt32(clamping: try target.number("code") ?? 0)
        // GOAWAY's debug data has to fit in one frame.
        let debug = Array((target["debug"] ?? "").utf8.prefix(4_000))
        connection.goAway(last: Int32(clamping: try target.number("last") ?? Int(id)), code: code, debug: debug)
        answer(200, "going away\n", isHead: isHead)
    }

    private func closeConnection(_ target: Target, isHead: Bool) throws(Target.BadNumber) {
        let ending: ServerConnection.Ending =
            switch target["how"] {
            case "reset": .withReset
            case "notify": .politely
            default: .abruptly
            }
        cutBody(after: try target.number("after") ?? 1_024, .close(ending), isHead: isHead)
    }

    private func changeSettings(_ target: Target, isHead: Bool) throws(Target.BadNumber) {
        let names: [(String, nghttp2_settings_id)] = [
            ("max-concurrent-streams", NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS),
            ("initial-window-size", NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE),
            ("max-frame-size", NGHTTP2_SETTINGS_MAX_FRAME_SIZE),
            ("header-table-size", NGHTTP2_SETTINGS_HEADER_TABLE_SIZE),
        ]
        var entries: [nghttp2_settings_entry] = []
        for (name, id) in names {
            guard let value = try target.number(name) else { continue }
            entries.append(nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: UInt32(clamping: value)))
        }
        let delay = min(try target.number("delay") ?? 0, 60_000)
        switch connection.submit(settings: entries, after: .milliseconds(delay)) {
        case .sent: answer(200, "\(entries.count) settings\n", isHead: isHead)
        case .unknown: answer(200, "HTTP/1.1 has no settings\n", isHead: isHead)
        case .refused(let reason): answer(400, reason, isHead: isHead)
        }
    }

    // MARK: - Files

    private func file(_ path: Substring, isHead: Bool) {
        switch connection.listener.site.find(path) {
        case .file(let file): send(file, isHead: isHead)
        case .missing: answer(404, "not found\n", isHead: isHead)
        case .forbidden: answer(403, "not readable\n", isHead: isHead)
        case .busy: unavailable("too many files are open\n", retryAfter: 1)
        case .folder:
            let fields = fields(301)
            // Exactly one leading slash: two would name another host (RFC 3986 section 4.2).
            fields.add("location", text: "/\(path.drop { $0 == "/" })/")
            finish(fields, "it is a folder\n", isHead: isHead)
        }
    }

    private func send(_ file: Site.File, isHead: Bool) {
        if let known = request.value("if-none-match"), known == "*" || known.containsBytes(of: file.entityTag) {
            let fields = fields(304)
            fields.add("etag", text: file.entityTag)
            // The source closes the descriptor with the stream.
            return respond(fields, .file(file.descriptor, start: 0), isHead: true)
        }
        let range = request.value("range").flatMap { Site.range($0, size: file.size) }
        if let range, range.isEmpty {
            let fields = fields(416)
            fields.add("content-range", text: "bytes */\(file.size)")
            fields.add("content-length", number: 0)
            return respond(fields, .file(file.descriptor, start: 0), isHead: true)
        }
        let fields = fields(range == nil ? 200 : 206)
        fields.add("content-type", file.contentType)
        fields.add("content-length", number: range?.count ?? file.size)
        if let range {
            fields.add("content-range", text: "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(file.size)")
        }
        fields.add("accept-ranges", "bytes")
        fields.add("last-modified", text: Site.httpDate(file.modified))
        fields.add("etag", text: file.entityTag)
        respond(
            fields, .file(file.descriptor, start: range?.lowerBound ?? 0), count: range?.count ?? file.size,
            isHead: isHead)
    }
}
