import H2Client
import HTTPTypes

/// What -v and -vv say. Everything that came from a server is made printable.
struct Verbose: Sendable {
    let console: Console
    /// 1: connections and header fields; 2: frames.
    let level: Int
    /// Several transfers are under way at once: each line says whose it is.
    let numbersTransfers: Bool

    private var isOn: Bool { level > 0 }

    func connected(_ info: ConnectionInfo) {
        guard isOn else { return }
        let name = "* connection \(info.id)"
        var lines = ["\(name) to \(info.origin): \(info.remoteAddress) from \(info.localAddress)"]
        if let version = info.tlsVersion {
            lines.append("\(name): \(version), \(info.cipher ?? "unknown cipher"), ALPN chose h2")
            lines.append(
                "\(name): certificate of \(info.certificateSubject ?? "nobody"), "
                    + "issued by \(info.certificateIssuer ?? "nobody"), until \(info.certificateExpiry ?? "never")"
                    + (info.isPeerVerified ? ", verified" : ", NOT VERIFIED"))
        } else {
            lines.append("\(name): cleartext, HTTP/2 by prior knowledge")
        }
        var times = "resolve \(info.resolve.brief), connect \(info.connect.brief)"
        if let tls = info.tls { times += ", TLS \(tls.brief)" }
        lines.append("\(name): \(times)")
        for line in lines { console.say(printable(line)) }
    }

    /// Says the request, and has informational responses said as they come.
    func sending(
        _ request: HTTPRequest, _ transfer: Transfer, _ options: inout RequestOptions
    ) {
        guard isOn else { return }
        let mark = mark(transfer)
        var text = "\(mark)> \(request.method.rawValue) \(request.path ?? "/") HTTP/2"
        text += "\n\(mark)> :scheme: \(request.scheme ?? "")\n\(mark)> :authority: \(request.authority ?? "")"
        for field in request.headerFields {
            // A password must not come into a log that is shown around.
            let value = field.name == .authorization ? "(not shown)" : printable(field.value)
            text += "\n\(mark)> \(field.name.canonicalName): \(value)"
        }
        if let priority = options.priority { text += "\n\(mark)> priority: \(priority.fieldValue)" }
        console.say("\(text)\n\(mark)>")
        let console = console
        options.onInformational = { response in
            console.say(Verbose.head(response, mark: mark))
        }
    }

    func received(_ response: Response, _ transfer: Transfer) {
        guard isOn else { return }
        let reused = response.isConnectionReused ? "reused" : "new"
        let mark = mark(transfer)
        console.say(
            "\(mark)* stream \(response.streamID) on connection \(response.connectionID) (\(reused))\n"
                + Verbose.head(response.head, mark: mark))
    }

    nonisolated(nonsending) func finished(_ response: Response, _ transfer: Transfer) async {
        guard isOn else { return }
        let mark = mark(transfer)
        if let trailers = await response.trailerFields() {
            for field in trailers {
                console.say("\(mark)< \(field.name.canonicalName): \(printable(field.value)) (trailer)")
            }
        }
        let metrics = await response.metrics()
        var times = "queued \(metrics.queued.brief), sent at \(metrics.requestSent.brief)"
        if let firstByte = metrics.firstByte { times += ", first byte at \(firstByte.brief)" }
        if let lastByte = metrics.lastByte { times += ", whole at \(lastByte.brief)" }
        console.say(
            "\(mark)* stream \(response.streamID) done: \(times); \(metrics.bodyBytesReceived) B of body, "
                + "\(metrics.bytesReceived) B received, \(metrics.bytesSent) B sent")
    }

    func retrying(_ transfer: Transfer, _ error: H2Error) {
        guard isOn else { return }
        console.say("\(mark(transfer))* \(printable(error.message)); trying again")
    }

    /// Says each frame; nil below -vv, which costs nothing.
    var frameLogger: (@Sendable (FrameRecord) -> Void)? {
        guard level > 1 else { return nil }
        console.say(
            "* frames: time, connection, < received or > sent, type, stream, payload length, flags, detail, "
                + "[window for receiving: stream/connection | for sending: stream/connection]")
        let console = console
        return { console.say(Verbose.line($0)) }
    }

    static func line(_ frame: FrameRecord) -> String {
        func window(_ pair: (stream: Int?, connection: Int)) -> String {
            "\(pair.stream.map { "\($0)/" } ?? "")\(pair.connection)"
        }
        var text = "\(fixed(frame.time.seconds * 1000, 2)) ms \(frame.connectionID) "
        text += frame.direction == .sent ? "> " : "< "
        text += "\(frame.type) stream \(frame.streamID), \(frame.length) B"
        if !frame.flags.isEmpty { text += ", \(frame.flags.joined(separator: "+"))" }
        if !frame.detail.isEmpty { text += ", \(frame.detail)" }
        return printable(text + " [\(window(frame.receiveWindow)) | \(window(frame.sendWindow))]")
    }

    private static func head(_ response: HTTPResponse, mark: String) -> String {
        var text = "\(mark)< HTTP/2 \(response.status.code)"
        for field in response.headerFields {
            text += "\n\(mark)< \(field.name.canonicalName): \(printable(field.value))"
        }
        return "\(text)\n\(mark)<"
    }

    private func mark(_ transfer: Transfer) -> String { numbersTransfers ? "[\(transfer.index + 1)] " : "" }
}
