import H2Client
import H2Measure
import HTTPTypes

/// The output of -v and -vv. Everything from a server is made printable.
struct Verbose: Sendable {
    let console: Console
    /// 1: connections and header fields; 2: frames.
    let level: Int
    /// Whether lines begin with the transfer's number, because several may run at once.
    let numbersTransfers: Bool
    /// Whether lines begin with the time.
    var showsTime = false
    /// Gets the same lines, and more.
    var trace: Trace?

    private var isOn: Bool { level > 0 }

    /// Shows lines, each with the time if that is wanted.
    private func say(_ text: String) {
        guard isOn else { return }
        guard showsTime else { return console.say(text) }
        let time = Trace.time(at: nil)
        console.say(
            text.split(separator: "\n", omittingEmptySubsequences: false).map { time + $0 }.joined(separator: "\n"))
    }

    /// Reports the client's connection events until it is shut down.
    func narrate(_ client: HTTPClient) -> Task<Void, Never>? {
        guard isOn || trace != nil else { return nil }
        let events = client.events()
        return Task(executorPreference: H2EventLoop.shared.taskExecutor) {
            for await event in events { tell(event) }
        }
    }

    private func tell(_ event: HTTPClient.Event) {
        for line in Verbose.lines(event) {
            say(printable("* \(line)"))
            trace?.info(line, connection: event.connectionID)
        }
    }

    /// The lines of -v about an event, except those that transfers report themselves.
    static func lines(_ event: HTTPClient.Event) -> [String] {
        let origin = event.origin.map { "\($0)" } ?? "a server"
        let connection = "connection \(event.connectionID?.description ?? "")"
        return switch event.kind {
        case .connecting(let reason): ["connecting to \(origin): \(reason.sentence)"]
        case .connectFailed(let error):
            ["connecting to \(origin) failed: \((error as? H2Error)?.message ?? "\(error)")"]
        case .connectCancelled: ["stopped connecting to \(origin): the connection is no longer needed"]
        case .connectionOpened(let info, let version, let reason): opened(info, version, reason)
        case .connectionShared: ["\(connection) serves \(origin) too from now on"]
        case .tunnelOpened: ["\(connection) carries a tunnel to \(origin)"]
        case .connectionDraining(let reason): ["\(connection) takes no new requests: \(reason)"]
        case .connectionClosed(let reason, let requests):
            ["\(connection) ended after \(counted(requests, "request")): \(reason)"]
        case .requestRetried(let failed):
            ["\(failed.reason); trying again \(failed.wait > .zero ? "in \(failed.wait.brief)" : "at once")"]
        case .requestHedged(let time): ["no answer after \(time.brief); sending another copy on \(connection)"]
        case .requestRedirected(let redirect):
            ["following the redirect (\(redirect.status.code)) to \(redirect.target)"]
        case .requestQueued, .requestSent, .attemptFinished: []
        }
    }

    private static func opened(
        _ info: ConnectionInfo, _ version: HTTPProtocolVersion, _ reason: HTTPClient.OpenReason
    ) -> [String] {
        let name = "connection \(info.id)"
        var lines = [
            "\(name) to \(info.origin): \(info.remoteAddress) from \(info.localAddress), opened since \(reason.sentence)"
        ]
        if let tls = info.tlsVersion {
            // The version is HTTP/1.1 without ALPN too.
            let choice = version == .http2 ? "ALPN chose h2" : version.rawValue
            lines.append("\(name): \(tls), \(info.cipher ?? "unknown cipher"), \(choice)")
            lines.append(
                "\(name): certificate of \(info.certificateSubject ?? "nobody"), "
                    + "issued by \(info.certificateIssuer ?? "nobody"), until \(info.certificateExpiry ?? "never")"
                    + (info.isPeerVerified ? ", verified" : ", NOT VERIFIED")
                    + (info.isTLSResumed ? ", session resumed" : ""))
        } else {
            lines.append("\(name): cleartext, \(version == .http2 ? "HTTP/2 by prior knowledge" : version.rawValue)")
        }
        var times = "resolve \(info.resolve.brief), connect \(info.connect.brief)"
        if let tls = info.tls { times += ", TLS \(tls.brief)" }
        return lines + ["\(name): \(times)"]
    }

    /// The version that a request will be sent with, as far as it is known before it has a connection.
    private func version(_ request: HTTPRequest, _ versions: HTTPClient.Versions) -> String {
        switch versions {
        case .http2Only: "HTTP/2"
        case .http1Only: "HTTP/1.1"
        default: request.scheme == "http" ? "HTTP/1.1" : "HTTP"
        }
    }

    /// Prints the request, and informational responses when they arrive. The HTTP version is not known yet.
    func sending(
        _ request: HTTPRequest, _ transfer: Transfer, _ options: inout RequestOptions, _ versions: HTTPClient.Versions
    ) {
        guard isOn || trace != nil else { return }
        trace?.sending(request, transfer.number, version: version(request, versions))
        let mark = mark(transfer)
        let target = "\(request.scheme ?? "")://\(request.authority ?? "")\(request.path ?? "/")"
        var text = "\(mark)> \(request.method.rawValue) \(printable(target))"
        for field in request.headerFields {
            // Logs are shared, so they must not contain passwords.
            let isSecret = [.authorization, .proxyAuthorization, .cookie].contains(field.name)
            let value = isSecret ? "(not shown)" : printable(field.value)
            text += "\n\(mark)> " + console.style.headLine("\(field.name.canonicalName): \(value)")
        }
        if let priority = options.priority { text += "\n\(mark)> priority: \(priority.fieldValue)" }
        say("\(text)\n\(mark)>")
        let number = transfer.number
        options.onInformational = { response in
            say(Verbose.head(response, "HTTP", mark: mark, console.style))
            trace?.head(Head.bytes(ofInformational: response), number, nil)
        }
    }

    /// Tells of a transfer that --skip-existing leaves out.
    func skipped(_ transfer: Transfer) {
        guard isOn else { return }
        say(printable("\(mark(transfer))* \(transfer.fileName ?? "") exists: nothing is fetched"))
    }

    func received(_ response: StreamedResponse, _ transfer: Transfer) {
        trace?.head(Head.bytes(of: response), transfer.number, response.connectionID)
        guard isOn else { return }
        let mark = mark(transfer)
        var text = "\(mark)* \(Verbose.name(response)) on connection \(response.connectionID) "
        text += "(\(response.isConnectionReused ? "reused" : "new")), \(response.version.rawValue)"
        for (index, attempt) in response.failedAttempts.enumerated() {
            text += index == 0 ? "; before that " : ", "
            text += "on \(attempt.connectionID): "
            text += printable(attempt.error?.message ?? "status \(attempt.status?.code ?? 0)")
        }
        say("\(text)\n" + Verbose.head(response.head, response.version.rawValue, mark: mark, console.style))
    }

    /// The response's name: its stream, or "request" over HTTP/1.x, which has no streams.
    private static func name(_ response: StreamedResponse) -> String {
        response.version == .http2 ? "stream \(response.streamID)" : "request"
    }

    nonisolated(nonsending) func finished(_ response: StreamedResponse, _ transfer: Transfer) async {
        guard isOn || trace != nil else { return }
        let mark = mark(transfer)
        if let trailers = await response.trailerFields() {
            for field in trailers {
                let line = Array("\(field.name.rawName): \(field.value)\r\n".utf8)
                trace?.head(line, transfer.number, response.connectionID)
                say("\(mark)< \(field.name.canonicalName): \(printable(field.value)) (trailer)")
            }
        }
        let metrics = await response.metrics()
        var times = "queued \(metrics.queued.brief), sent at \(metrics.requestSent.brief)"
        if let firstByte = metrics.firstByte { times += ", first byte at \(firstByte.brief)" }
        if let lastByte = metrics.lastByte { times += ", whole at \(lastByte.brief)" }
        say(
            "\(mark)* \(Verbose.name(response)) done: \(times); \(metrics.bodyBytesReceived) B of body, "
                + "\(metrics.bytesReceived) B received, \(metrics.bytesSent) B sent")
    }

    /// A logger that prints each frame; nil, at no cost, below -vv.
    func frameLogger(_ versions: HTTPClient.Versions) -> (@Sendable (FrameRecord) -> Void)? {
        if level < 2 {
            guard let trace, versions != .http1Only else { return nil }
            return { trace.info(Verbose.line($0), connection: $0.connectionID) }
        }
        guard versions != .http1Only else {
            say("* frames are HTTP/2's: with --http1.1 -vv says no more than -v")
            return nil
        }
        say(
            "* frames: time, connection, < received or > sent, type, stream, payload length, flags, detail, "
                + "[window for receiving: stream/connection | for sending: stream/connection]")
        return { frame in
            let line = Verbose.line(frame)
            say(line)
            trace?.info(line, connection: frame.connectionID)
        }
    }

    static func line(_ frame: FrameRecord) -> String {
        func window(_ pair: FrameRecord.Window) -> String {
            "\(pair.stream.map { "\($0)/" } ?? "")\(pair.connection)"
        }
        var text = "\(fixed(frame.time.inSeconds * 1000, 2)) ms \(frame.connectionID) "
        text += frame.direction == .sent ? "> " : "< "
        text += "\(frame.type) stream \(frame.streamID), \(frame.length) B"
        if !frame.flags.isEmpty { text += ", \(frame.flags.joined(separator: "+"))" }
        if !frame.detail.isEmpty { text += ", \(frame.detail)" }
        return printable(text + " [\(window(frame.receiveWindow)) | \(window(frame.sendWindow))]")
    }

    private static func head(
        _ response: HTTPResponse, _ version: String, mark: String, _ style: TextStyle
    ) -> String {
        // Informational responses have no version here.
        let status = "\(version) \(response.status.code)"
        var text = "\(mark)< " + (version.hasPrefix("HTTP/") ? style.headLine(status) : status)
        for field in response.headerFields {
            text += "\n\(mark)< " + style.headLine("\(field.name.canonicalName): \(printable(field.value))")
        }
        return "\(text)\n\(mark)<"
    }

    private func mark(_ transfer: Transfer) -> String { numbersTransfers ? "[\(transfer.number + 1)] " : "" }
}
