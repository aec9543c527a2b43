import H2Client
import H2Platform
import HTTPTypes
import Synchronization

/// A request's body as given on the command line, for one URL.
enum MessageBody: Sendable {
    case none
    case bytes([UInt8])
    case file(String)
    case form(HTTPRequestBody)
    case once(OneTimeBody)

    /// - Parameter meter: what counts the bytes or holds them back, if anything.
    func content(_ trailers: HTTPFields?, _ meter: BodyMeter? = nil) -> HTTPRequestBody {
        switch self {
        case .none: trailers.map { .bytes([], trailers: $0) } ?? .empty
        case .bytes(let bytes) where meter?.limitsSpeed == true && !bytes.isEmpty:
            .writer(length: bytes.count, trailers: trailers, isReplayable: true) { writer in
                var pace = meter?.pace ?? Pace(limit: nil)
                try await writer.write(bytes, &pace, meter)
            }
        case .bytes(let bytes): Self.shown(bytes, meter, trailers)
        case .file(let path): (meter.flatMap { Self.metered(path, $0, trailers) }) ?? .file(path, trailers: trailers)
        case .form(let form): form
        case .once(let body): .writer(trailers: trailers) { try await body.write(to: $0, meter) }
        }
    }

    /// Bytes that may be sent at once, after a trace has shown them.
    private static func shown(_ bytes: [UInt8], _ meter: BodyMeter?, _ trailers: HTTPFields?) -> HTTPRequestBody {
        if !bytes.isEmpty { meter?.add(bytes[...], .sent) }
        return .bytes(bytes, trailers: trailers)
    }

    /// A regular file; nil if it is none any more, which the request reports.
    private static func metered(
        _ path: String, _ meter: BodyMeter, _ trailers: HTTPFields?
    ) -> HTTPRequestBody? {
        guard case .regular(let size)? = try? FileKind.readable(path) else { return nil }
        return .writer(length: size, trailers: trailers, isReplayable: true) { writer in
            let descriptor = try await openOffLoop(path, O_RDONLY)
            guard descriptor >= 0 else {
                throw Failure(.readFailed, "cannot read \(path): \(errnoText(-descriptor))")
            }
            let input = InputFile(descriptor, name: path, isOurs: true)
            var pace = meter.pace
            var left = size
            while left > 0 {
                // Bytes added meanwhile are not sent.
                let chunk = Array(try await input.next().prefix(left))
                guard !chunk.isEmpty else {
                    throw Failure(.readFailed, "\(path) became shorter while it was sent")
                }
                try await writer.write(chunk, &pace, meter)
                left -= chunk.count
            }
        }
    }
}

extension MessageBody {
    /// Whether the body can be read only once and has been.
    var wasRead: Bool {
        if case .once(let body) = self { body.wasAsked } else { false }
    }
}

/// A body that is read while it is sent, and so can be sent only once: stdin, a pipe, a device.
final class OneTimeBody: Sendable {
    /// `-` is stdin. Anything else is opened when the body is needed, since opening a pipe may have to wait for its other end.
    private let path: String
    /// How long to wait for the next bytes.
    private let patience: Duration?
    private let wasRead = Atomic<Bool>(false)
    private let count = Atomic<Int>(0)

    init(path: String, patience: Duration?) {
        self.path = path
        self.patience = patience
    }

    var wasAsked: Bool { wasRead.load(ordering: .relaxed) }
    /// The number of bytes handed to the connection.
    var bytesRead: Int { count.load(ordering: .relaxed) }

    /// - Throws: `Failure` (`readFailed`), also if the body was read before; `CancellationError`; what `writer` throws.
    func write(to writer: HTTPRequestBody.Writer, _ meter: BodyMeter? = nil) async throws {
        guard !wasRead.exchange(true, ordering: .relaxed) else {
            throw Failure(
                .readFailed, "\(name) can be read only once, and it has to be sent a second time; use a regular file")
        }
        let input = try await open()
        var pace = meter?.pace ?? Pace(limit: nil)
        meter?.measure(true)
        while true {
            let chunk = try await input.next(within: patience)
            if chunk.isEmpty { return }
            try await writer.write(chunk, &pace, meter)
            count.add(chunk.count, ordering: .relaxed)
        }
    }

    private func open() async throws -> InputFile {
        if path == "-" { return InputFile(STDIN_FILENO, name: path, isOurs: false) }
        let descriptor: CInt
        if let patience {
            let path = path
            let name = name
            descriptor = try await TimeLimit.run(patience) { clock -> Result<CInt, any Error> in
                do {
                    return .success(try await openOffLoop(path, O_RDONLY))
                } catch is CancellationError where clock.isOver {
                    return .failure(
                        Failure(
                            .timeout,
                            "nobody opened \(name) for writing for \(patience.brief); "
                                + "allow more time with --stall-timeout"))
                } catch {
                    return .failure(error)
                }
            }.get()
        } else {
            descriptor = try await openOffLoop(path, O_RDONLY)
        }
        guard descriptor >= 0 else { throw Failure(.readFailed, "cannot read \(path): \(errnoText(-descriptor))") }
        return InputFile(descriptor, name: path, isOurs: true)
    }

    private var name: String { path == "-" ? "stdin" : path }
}

extension HTTPRequestBody.Writer {
    /// Writes bytes no faster than --limit-rate allows.
    nonisolated(nonsending) fileprivate func write(
        _ bytes: [UInt8], _ pace: inout Pace, _ meter: BodyMeter?
    ) async throws {
        guard let meter else { return try await write(bytes) }
        meter.measure(true)
        for piece in pace.pieces(of: bytes) {
            try await pace.wait(for: piece.count)
            try await write(Array(piece))
            meter.add(piece, .sent)
        }
    }
}

extension Fetch {
    /// Returns the request for one URL, and its body.
    func message(for target: FetchTarget, _ transfer: Transfer) async throws -> (HTTPRequest, MessageBody) {
        if let request = plainRequest(for: target, transfer) { return (request, .none) }
        var path = target.path
        let body: MessageBody
        switch settings.body {
        case .none: body = .none
        case .bytes(let bytes): body = .bytes(bytes)
        case .file(let path): body = try await upload(path)
        case .form(let parts): body = .form(try await form(parts, transfer.meter))
        case .uploads(let files):
            let file = files.count == 1 ? files[0] : files[settings.urls.argument(ofURLAt: transfer.index).argument]
            if path.utf8.last == UInt8(ascii: "/"), file != "-" { path += uploadName(file) }
            body = try await upload(file)
        }
        if !settings.query.isEmpty { path = FetchSettings.path(path, withQuery: settings.query) }
        if let target = settings.requestTarget { path = target }
        var fields = settings.fields
        var authority = settings.authority
        if !transfer.entry.fields.isEmpty {
            let lines = transfer.entry.fields.map { (line: $0, source: "header=") }
            authority = try FetchSettings.apply(lines, to: &fields) ?? authority
        }
        if case .form(let form) = body {
            fields[.contentType] = FetchSettings.formType(form.contentType, given: fields[.contentType])
        }
        let request = HTTPRequest(
            method: settings.method, scheme: target.origin.scheme.rawValue,
            authority: authority ?? target.origin.urlAuthority, path: path, headerFields: fields)
        if case .none = settings.body, settings.query.isEmpty, settings.requestTarget == nil,
            transfer.entry.fields.isEmpty
        {
            template = (target.origin, request)
        }
        return (request, body)
    }

    /// The request for a URL, if it differs from the last one to the same origin in its path alone.
    func plainRequest(for target: FetchTarget, _ transfer: Transfer) -> HTTPRequest? {
        guard var request = template?.request, template?.origin == target.origin, transfer.entry.fields.isEmpty else {
            return nil
        }
        request.path = target.path
        return request
    }

    /// The credentials of a URL, or those of -u. An authorization field of -H comes before both.
    func authentication(for target: FetchTarget) -> HTTPAuthentication? {
        let inURL = target.userInfo.flatMap { Credentials(userInfo: $0, settings.passwordScheme) }
        guard let credentials = inURL ?? settings.credentials else { return nil }
        if let known = authentications.first(where: { $0.credentials == credentials }) { return known.authentication }
        let authentication = credentials.authentication
        authentications.append((credentials, authentication))
        // Of a list with a user name in each URL the last ones are enough.
        if authentications.count > 100 { authentications.removeFirst() }
        return authentication
    }

    /// Files of up to this many bytes are read to the end before they are sent, because the system does not report the
    /// length of files in /proc and /sys.
    private static let smallFile = 64 << 10

    /// The body from `path`. Reading that may block happens off the event loop.
    func upload(_ path: String) async throws -> MessageBody {
        if path == "-" { return .once(OneTimeBody(path: path, patience: settings.stallTimeout)) }
        switch try FileKind.readable(path) {
        case .regular(let size) where size <= Self.smallFile:
            return .bytes(try await offLoop { Result { try readWhole(path, remedy: "stream it with -T") } }.get())
        case .regular: return .file(path)
        case .stream: return .once(OneTimeBody(path: path, patience: settings.stallTimeout))
        }
    }
}

/// The file's own name, percent-encoded, which curl appends to a URL that ends in a slash.
func uploadName(_ file: String) -> String {
    let name = file.utf8.split(separator: UInt8(ascii: "/")).last.map(Array.init) ?? []
    return String(decoding: PercentEncoding.encoded(name), as: UTF8.self)
}
