import H2Client
import H2Measure
import H2Platform
import HTTPTypes

/// The variables of -w with one value, in the order of `%{json}`.
enum WriteOutVariable: String, CaseIterable, Sendable {
    case certificates = "certs"
    case connID = "conn_id"
    case contentType = "content_type"
    case errorMessage = "errormsg"
    case exitCode = "exitcode"
    case fileName = "filename_effective"
    case httpCode = "http_code"
    case httpConnect = "http_connect"
    case httpVersion = "http_version"
    case localIP = "local_ip"
    case localPort = "local_port"
    case method
    case numCertificates = "num_certs"
    case numConnects = "num_connects"
    case numHeaders = "num_headers"
    case numRedirects = "num_redirects"
    case numRetries = "num_retries"
    case proxyVerifyResult = "proxy_ssl_verify_result"
    case proxyUsed = "proxy_used"
    case redirectURL = "redirect_url"
    case referer
    case remoteIP = "remote_ip"
    case remotePort = "remote_port"
    case responseCode = "response_code"
    case reused
    case scheme
    case sizeDelivered = "size_delivered"
    case sizeDownload = "size_download"
    case sizeHeader = "size_header"
    case sizeRequest = "size_request"
    case sizeUpload = "size_upload"
    case speedDownload = "speed_download"
    case speedUpload = "speed_upload"
    case sslVerifyResult = "ssl_verify_result"
    case streamID = "stream_id"
    case timeAppConnect = "time_appconnect"
    case timeConnect = "time_connect"
    case timeNameLookup = "time_namelookup"
    case timePostTransfer = "time_posttransfer"
    case timePreTransfer = "time_pretransfer"
    case timeQueue = "time_queue"
    case timeRedirect = "time_redirect"
    case timeStartTransfer = "time_starttransfer"
    case timeTotal = "time_total"
    case timeWindowStalled = "time_window_stalled"
    case tlsEarlyData = "tls_earlydata"
    case url
    case urlFragment = "url.fragment"
    case urlHost = "url.host"
    case urlOptions = "url.options"
    case urlPassword = "url.password"
    case urlPath = "url.path"
    case urlPort = "url.port"
    case urlQuery = "url.query"
    case urlScheme = "url.scheme"
    case urlUser = "url.user"
    case urlZoneID = "url.zoneid"
    case urlEffective = "url_effective"
    case effectiveFragment = "urle.fragment"
    case effectiveHost = "urle.host"
    case effectiveOptions = "urle.options"
    case effectivePassword = "urle.password"
    case effectivePath = "urle.path"
    case effectivePort = "urle.port"
    case effectiveQuery = "urle.query"
    case effectiveScheme = "urle.scheme"
    case effectiveUser = "urle.user"
    case effectiveZoneID = "urle.zoneid"
    case urlNumber = "urlnum"
    case transferID = "xfer_id"

    /// A value with the form in which it is written.
    enum Value: Equatable {
        /// nil is `null` in JSON, and nothing otherwise.
        case text(String?)
        case number(Int)
        /// Three digits, except in JSON.
        case status(Int)
        /// Seconds with six decimals.
        case time(Duration)
    }
}

/// The facts about one transfer that -w can tell, once it has ended.
struct TransferReport: Sendable {
    let url: String
    let index: Int
    let method: String
    let referer: String?
    /// nil if the URL is not valid.
    let target: RequestTarget?
    /// The file's name, as far as the transfer got to it.
    let fileName: String?
    let response: StreamedResponse?
    let metrics: ResponseMetrics?
    /// Attempts to connect that failed.
    let failedDials: Int
    let bytesUploaded: Int
    /// Bytes of the body that were written.
    let bytesWritten: Int
    let failure: Failure?
    /// From the transfer's start to the call that sent its request.
    let sent: Duration
    /// From the transfer's start to its end.
    let total: Duration
    /// How long its bodies waited for a window of HTTP/2.
    var windowStall = Duration.zero
    /// --proxy-insecure.
    var acceptsAnyProxy = false

    func value(of variable: WriteOutVariable) -> WriteOutVariable.Value {
        let info = response?.connectionInfo
        return switch variable {
        case .certificates: .text(info.map(\.certificateText))
        case .connID: .number(response?.connectionID.number ?? -1)
        case .contentType: .text(response?.firstValue(of: .contentType))
        case .errorMessage: .text(failure.map { printable(withoutCredentials($0.message)) })
        case .exitCode: .number(Int(failure?.status.rawValue ?? 0))
        case .fileName: .text(fileName)
        case .httpCode, .responseCode: .status(response?.status.code ?? 0)
        case .httpConnect: .status(info?.tunnel != nil && info?.proxy?.hasPrefix("http") == true ? 200 : 0)
        case .httpVersion: .text(httpVersion)
        case .localIP: .text(Self.address(info?.localAddress).host)
        case .localPort: .number(Self.address(info?.localAddress).port)
        case .method: .text(method)
        case .numCertificates: .number(info?.certificates.count ?? 0)
        case .numConnects: .number(isNewConnection ? 1 : 0)
        case .numHeaders: .number(response?.rawHeaderFields.count ?? 0)
        case .numRedirects: .number(response?.redirects.count ?? 0)
        case .numRetries: .number(failedDials + (response?.failedAttempts.count ?? 0))
        case .proxyVerifyResult: .number(isProxyUnverified ? 1 : 0)
        case .proxyUsed: .number(info?.proxy == nil ? 0 : 1)
        case .redirectURL: .text(redirectURL)
        case .referer: .text(referer)
        case .remoteIP: .text(Self.address(info?.remoteAddress).host)
        case .remotePort: .number(Self.address(info?.remoteAddress).port)
        case .reused: .number(response?.isConnectionReused == true ? 1 : 0)
        case .scheme: .text(effective?.origin.scheme.rawValue)
        case .sizeDelivered: .number(bytesWritten)
        case .sizeDownload: .number(bytesDownloaded)
        case .sizeHeader: .number(response.map { Head.bytes(of: $0).count } ?? 0)
        case .sizeRequest: .number(max(0, (metrics?.bytesSent ?? 0) - bytesUploaded))
        case .sizeUpload: .number(bytesUploaded)
        case .speedDownload: .number(speed(bytesDownloaded))
        case .speedUpload: .number(speed(bytesUploaded))
        // There is no code of OpenSSL's to tell; 1 is its "unspecified error".
        case .sslVerifyResult: .number(info.map { $0.tlsVersion == nil || $0.isPeerVerified } ?? true ? 0 : 1)
        case .streamID: .number(response.map { $0.version == .http2 ? Int($0.streamID) : -1 } ?? -1)
        // The client's times are taken once per turn of its loop, so they may be a little late.
        case .timeAppConnect: .time(min(times.tls, total))
        case .timeConnect: .time(min(times.connect, total))
        case .timeNameLookup: .time(min(times.resolve, total))
        case .timePostTransfer: .time(min(times.posted, total))
        case .timePreTransfer: .time(min(times.ready, total))
        case .timeQueue: .time(min(times.queue, total))
        case .timeRedirect: .time(.zero)
        case .timeStartTransfer: .time(min(times.firstByte, total))
        case .timeTotal: .time(total)
        case .timeWindowStalled: .time(windowStall)
        case .tlsEarlyData: .number(earlyData)
        case .url: .text(url)
        case .urlEffective: .text(effectiveURL)
        case .urlNumber, .transferID: .number(index)
        default: .text(part(variable))
        }
    }

    // MARK: - Parts

    /// The target that the response came from.
    private var effective: RequestTarget? {
        guard let last = response?.redirects.last else { return target }
        return (try? RequestTarget("\(last.target)")) ?? target
    }

    private var effectiveURL: String { (response?.redirects.last).map { "\($0.target)" } ?? url }

    var httpVersion: String {
        guard let response else { return "0" }
        guard response.version == .http1 else { return "2" }
        return response.statusLine?.minorVersion == 0 ? "1" : "1.1"
    }

    /// Whether an https proxy was used whose certificate nobody verified.
    private var isProxyUnverified: Bool {
        acceptsAnyProxy && response?.connectionInfo.proxy?.hasPrefix("https:") ?? false
    }

    private var isNewConnection: Bool { response.map { !$0.isConnectionReused } ?? false }

    /// As it was sent, before it was decoded. Of a response that -f refuses no byte was wanted, even if some came.
    private var bytesDownloaded: Int {
        if failure?.status == .statusRefused, bytesWritten == 0 { return 0 }
        let received = metrics?.bodyBytesReceived ?? 0
        // A file may come in several responses, of which the metrics have the last one.
        return response?.decodedCodings.isEmpty == true ? max(received, bytesWritten) : received
    }

    private func speed(_ bytes: Int) -> Int {
        let seconds = total.inSeconds
        return seconds > 0 ? Int(min(Double(bytes) / seconds, 1e18)) : 0
    }

    private var earlyData: Int {
        guard isNewConnection, let sent = metrics?.bytesSent else { return 0 }
        switch response?.connectionInfo.earlyData {
        case .accepted: return sent
        case .rejected: return -sent
        default: return 0
        }
    }

    /// Where the redirect that was not followed leads.
    private var redirectURL: String? {
        guard let response, response.status.kind == .redirection,
            let location = response.firstValue(of: .location), let base = effective,
            let reference = try? URLReference(location, from: base)
        else { return nil }
        let fragment = reference.fragment.map { "#\($0)" } ?? ""
        return "\(reference.target.origin)\(reference.target.path)\(fragment)"
    }

    /// `127.0.0.1:80` or `[::1]:80`, taken apart.
    private static func address(_ text: String?) -> (host: String, port: Int) {
        guard let text, let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")),
            let port = Int(text[text.utf8.index(after: colon)...])
        else { return ("", 0) }
        let host = text[..<colon]
        return (host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host), port)
    }

    // MARK: - Times

    /// From the transfer's start; zero for what did not happen, as on a connection that was open already.
    private struct Times {
        var queue, resolve, connect, tls, ready, posted, firstByte: Duration
    }

    private var times: Times {
        var times = Times(
            queue: .zero, resolve: .zero, connect: .zero, tls: .zero, ready: .zero, posted: .zero, firstByte: .zero)
        guard let metrics else { return times }
        let begin = sent + metrics.attemptStart
        times.ready = begin + metrics.queued
        times.posted = sent + metrics.requestSent
        times.firstByte = metrics.firstByte.map { sent + $0 } ?? .zero
        guard isNewConnection else {
            times.queue = times.ready
            return times
        }
        let tunnel = response?.connectionInfo.tunnel ?? .zero
        let dial = (metrics.resolve ?? .zero) + (metrics.connect ?? .zero) + tunnel + (metrics.tls ?? .zero)
        times.queue = begin + max(metrics.queued - dial, .zero)
        times.resolve = times.queue + (metrics.resolve ?? .zero)
        times.connect = times.resolve + (metrics.connect ?? .zero)
        if let tls = metrics.tls { times.tls = times.connect + tunnel + tls }
        // Parts of the dial are measured as they end, and the wait for it when the loop's turn begins, which may be earlier.
        times.ready = max(times.ready, times.connect, times.tls)
        times.posted = max(times.posted, times.ready)
        if metrics.firstByte != nil { times.firstByte = max(times.firstByte, times.ready) }
        return times
    }

    // MARK: - URLs

    private func part(_ variable: WriteOutVariable) -> String? {
        let name = variable.rawValue
        guard let dot = name.utf8.firstIndex(of: UInt8(ascii: ".")) else { return nil }
        guard let target = name[..<dot] == "url" ? target : effective else { return nil }
        switch name[name.utf8.index(after: dot)...] {
        case "scheme": return target.origin.scheme.rawValue
        case "user": return target.userInfo.map { String($0.prefix { $0 != ":" }) }
        case "password":
            guard let text = target.userInfo, let colon = text.firstIndex(of: ":") else { return nil }
            return String(text[text.index(after: colon)...])
        case "host":
            let host = String(target.origin.host.prefix { $0 != "%" })
            return host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
        case "port": return "\(target.origin.port)"
        case "path": return String(target.path.prefix { $0 != "?" })
        case "query":
            guard let mark = target.path.firstIndex(of: "?") else { return nil }
            return String(target.path[target.path.index(after: mark)...])
        case "fragment": return target.fragment
        case "zoneid":
            guard let percent = target.origin.host.firstIndex(of: "%") else { return nil }
            return String(target.origin.host[target.origin.host.index(after: percent)...])
        // Options belong to the URLs of other schemes.
        default: return nil
        }
    }
}
