import H2Client
import HTTPTypes

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A request's body as the command line has it, for one URL.
enum MessageBody: Sendable {
    case none
    case bytes([UInt8])
    case file(String)
    /// Read as it is sent, and so once only.
    case descriptor(CInt)

    func content(_ trailers: HTTPFields?) -> RequestBody {
        switch self {
        case .none: trailers.map { .bytes([], trailers: $0) } ?? .none
        case .bytes(let bytes): .bytes(bytes, trailers: trailers)
        case .file(let path): .file(path, trailers: trailers)
        case .descriptor(let descriptor):
            .writer(trailers: trailers) { writer in
                while true {
                    // A regular file on stdin is always ready; a pipe may be slower than the server.
                    try await waitUntilReady(descriptor, POLLIN)
                    let chunk = try readChunk(descriptor, name: descriptor == STDIN_FILENO ? "-" : "the body")
                    if chunk.isEmpty { return }
                    try await writer.write(chunk)
                }
            }
        }
    }
}

extension Fetch {
    /// The request for one URL, and its body.
    func message(for target: RequestTarget, _ transfer: Transfer) throws -> (HTTPRequest, MessageBody) {
        var path = target.path
        let body: MessageBody
        switch settings.body {
        case .none: body = .none
        case .bytes(let bytes): body = .bytes(bytes)
        case .file(let path): body = .file(path)
        case .descriptor(let descriptor): body = .descriptor(descriptor)
        case .uploads(let files):
            let file = files.count == 1 ? files[0] : files[transfer.index]
            if path.utf8.last == UInt8(ascii: "/"), file != "-" { path += uploadName(file) }
            switch try FetchSettings.streamed(path: file) {
            case .file(let path): body = .file(path)
            case .descriptor(let descriptor): body = .descriptor(descriptor)
            default: body = .none
            }
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
}

/// As curl does for a URL that ends in a slash: the file's own name, percent-encoded.
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
