import H2Client
import H2Platform
import HTTPTypes
import Synchronization

/// A request's body as given on the command line, for one URL.
enum MessageBody: Sendable {
    case none
    case bytes([UInt8])
    case file(String)
    case once(OneTimeBody)

    func content(_ trailers: HTTPFields?) -> HTTPRequestBody {
        switch self {
        case .none: trailers.map { .bytes([], trailers: $0) } ?? .empty
        case .bytes(let bytes): .bytes(bytes, trailers: trailers)
        case .file(let path): .file(path, trailers: trailers)
        case .once(let body): .writer(trailers: trailers) { try await body.write(to: $0) }
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

    init(path: String, patience: Duration?) {
        self.path = path
        self.patience = patience
    }

    var wasAsked: Bool { wasRead.load(ordering: .relaxed) }

    /// - Throws: `Failure` (`readFailed`), also if the body was read before; `CancellationError`; what `writer` throws.
    func write(to writer: HTTPRequestBody.Writer) async throws {
        guard !wasRead.exchange(true, ordering: .relaxed) else {
            throw Failure(
                .readFailed, "\(name) can be read only once, and it has to be sent a second time; use a regular file")
        }
        let input = try await open()
        while true {
            let chunk = try await input.next(within: patience)
            if chunk.isEmpty { return }
            try await writer.write(chunk)
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

extension Fetch {
    /// Returns the request for one URL, and its body.
    func message(for target: RequestTarget, _ transfer: Transfer) async throws -> (HTTPRequest, MessageBody) {
        var path = target.path
        let body: MessageBody
        switch settings.body {
        case .none: body = .none
        case .bytes(let bytes): body = .bytes(bytes)
        case .file(let path): body = try await upload(path)
        case .uploads(let files):
            let file = files.count == 1 ? files[0] : files[transfer.index]
            if path.utf8.last == UInt8(ascii: "/"), file != "-" { path += uploadName(file) }
            body = try await upload(file)
        }
        var fields = settings.fields
        if fields[.authorization] == nil, let credentials = target.basicCredentials {
            fields[.authorization] = credentials
        }
        let request = HTTPRequest(
            method: settings.method, scheme: target.origin.scheme.rawValue,
            authority: settings.authority ?? target.origin.urlAuthority, path: path, headerFields: fields)
        return (request, body)
    }

    /// Files of up to this many bytes are read to the end before they are sent, because the system does not report the
    /// length of files in /proc and /sys.
    private static let smallFile = 64 << 10

    /// The body from `path`. Reading that may block happens off the event loop.
    private func upload(_ path: String) async throws -> MessageBody {
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
    let digits = Array("0123456789ABCDEF".utf8)
    var out: [UInt8] = []
    for byte in name {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            out.append(byte)
        default: out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: out, as: UTF8.self)
}
