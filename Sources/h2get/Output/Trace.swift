import H2Client
import H2Measure
import H2Platform
import HTTPTypes

/// --trace and --trace-ascii: what is sent and received, in curl's format.
///
/// Header fields are shown as HTTP/1.1 would write them, whatever the version. Credentials are left out, bodies are not.
final class Trace: Sendable {
    /// The options of a trace.
    struct Settings: Sendable, Equatable {
        /// `-` is stdout, `%` is stderr.
        let path: String
        /// Whether bytes are shown as text alone.
        let isText: Bool
        let stamp: Stamp

        /// The path, if it is one of a file.
        var file: String? { path == "-" || path == "%" ? nil : path }
    }

    /// The beginning of each line.
    struct Stamp: Sendable, Equatable {
        var showsTime = false
        var showsIDs = false

        var time: String { showsTime ? Trace.time(at: nil) : "" }

        /// Such as `[0-1] `: the numbers of the transfer and of the connection, from 0.
        func ids(_ transfer: Int?, _ connection: Int?) -> String {
            guard showsIDs else { return "" }
            return "[\(transfer.map(String.init) ?? "x")-\(connection.map(String.init) ?? "x")] "
        }
    }

    enum Direction: Sendable {
        case sent
        case received
    }

    private let output: ErrorOutput
    private let isText: Bool
    private let stamp: Stamp
    /// As much of a trace as may wait for a slow reader, in bytes.
    private static let queueLimit = 64 << 20

    /// Opens the file, which is then empty.
    /// - Throws: `Failure` (`writeFailed`).
    init(_ settings: Settings) throws {
        isText = settings.isText
        stamp = settings.stamp
        guard let path = settings.file else {
            output =
                settings.path == "%" ? .standard : ErrorOutput(STDOUT_FILENO, queueLimit: Self.queueLimit)
            return
        }
        let number = StandardDescriptors.number(named: path)
        var descriptor =
            number.map(StandardDescriptors.duplicateForWriting)
            ?? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0o666)
        if descriptor == -1, number == nil { descriptor = -errno }
        guard descriptor >= 0 else {
            throw Failure(.writeFailed, "cannot write to \(path) (--trace): \(errnoText(-descriptor))")
        }
        // It stays open until the process ends.
        output = ErrorOutput(descriptor, queueLimit: Self.queueLimit)
    }

    /// Waits until everything is written, for at most a second.
    func flush() { output.flush(milliseconds: 1_000) }

    // MARK: - Lines

    /// - Parameters:
    ///   - transfer: the transfer's position among all, if it is about one.
    ///   - connection: the connection's number.
    func info(_ text: String, transfer: Int? = nil, connection: ConnectionID? = nil) {
        let ids = stamp.ids(transfer, connection.map { $0.number - 1 })
        output.put("\(stamp.time)\(ids)== Info: \(printable(text))\n")
    }

    /// The head of a request, before it is sent.
    func sending(_ request: HTTPRequest, _ transfer: Int, version: String) {
        var head =
            "\(request.method.rawValue) \(request.path ?? "/") \(version)\r\nHost: \(request.authority ?? "")\r\n"
        for field in request.headerFields {
            let isSecret = [.authorization, .proxyAuthorization, .cookie].contains(field.name)
            head += "\(field.name.rawName): \(isSecret ? "(not shown)" : field.value)\r\n"
        }
        put("=> Send header", Array("\(head)\r\n".utf8)[...], transfer, nil)
    }

    /// The lines of a head, each for itself as in curl.
    func head(_ bytes: [UInt8], _ transfer: Int, _ connection: ConnectionID?) {
        var rest = bytes[...]
        while let end = rest.firstIndex(of: 0x0a) {
            put("<= Recv header", rest[...end], transfer, connection)
            rest = rest[(end + 1)...]
        }
    }

    func data(_ bytes: ArraySlice<UInt8>, _ direction: Direction, transfer: Int) {
        put(direction == .sent ? "=> Send data" : "<= Recv data", bytes, transfer, nil)
    }

    private func put(_ label: String, _ bytes: ArraySlice<UInt8>, _ transfer: Int, _ connection: ConnectionID?) {
        let ids = stamp.ids(transfer, connection.map { $0.number - 1 })
        let size = "\(bytes.count) bytes (0x\(String(bytes.count, radix: 16)))"
        let line = "\(stamp.time)\(ids)\(label), \(size)\n"
        output.put(Array(line.utf8) + Self.dump(Array(bytes), isText: isText))
    }

    // MARK: - Format

    private static let digits = Array("0123456789abcdef".utf8)

    /// Lines of 16 bytes in hexadecimal and as text, or of up to 64 as text alone, which then end where the bytes have CRLF.
    static func dump(_ bytes: [UInt8], isText: Bool) -> [UInt8] {
        let width = isText ? 64 : 16
        func isEnd(_ index: Int) -> Bool {
            isText && index + 1 < bytes.count && bytes[index] == 0x0d && bytes[index + 1] == 0x0a
        }
        var out: [UInt8] = []
        var start = 0
        while start < bytes.count {
            let offset = String(start, radix: 16)
            out += String(repeating: "0", count: max(0, 4 - offset.utf8.count)).utf8
            out += "\(offset): ".utf8
            var next = start + width
            if !isText {
                for index in start..<next {
                    out +=
                        index < bytes.count
                        ? [digits[Int(bytes[index] >> 4)], digits[Int(bytes[index] & 15)], 0x20] : [0x20, 0x20, 0x20]
                }
            }
            for index in start..<min(start + width, bytes.count) {
                if isEnd(index) {
                    next = index + 2
                    break
                }
                out.append((0x20..<0x7f).contains(bytes[index]) ? bytes[index] : UInt8(ascii: "."))
                // No line for the CRLF of a full one.
                if isEnd(index + 1) {
                    next = index + 3
                    break
                }
            }
            out.append(0x0a)
            start = next
        }
        return out
    }

    /// The local time, such as `12:34:56.123456 `.
    static func time(at moment: timespec?) -> String {
        var clock = timespec()
        if let moment { clock = moment } else { clock_gettime(CLOCK_REALTIME, &clock) }
        var (seconds, parts) = (clock.tv_sec, tm())
        localtime_r(&seconds, &parts)
        func padded(_ number: Int, _ width: Int) -> String {
            let text = "\(number)"
            return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
        }
        let time = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { padded(Int($0), 2) }.joined(separator: ":")
        return "\(time).\(padded(Int(clock.tv_nsec) / 1_000, 6)) "
    }
}

extension FetchSettings {
    /// Takes --trace and its kin.
    mutating func setTrace(_ arguments: Arguments) throws {
        let stamp = Trace.Stamp(showsTime: arguments.isOn(.traceTime), showsIDs: arguments.isOn(.traceIDs))
        timesVerbose = stamp.showsTime
        guard let option = arguments.all(.trace, .traceASCII).last else {
            guard !stamp.showsTime || verbosity > 0 else {
                throw Failure.usage("--trace-time is about the lines of --trace FILE or -v: give one of them, too")
            }
            guard !stamp.showsIDs else {
                throw Failure.usage(
                    "--trace-ids is about the lines of --trace FILE; -v numbers several transfers by itself")
            }
            return
        }
        let path = try option.text
        guard !path.isEmpty else {
            throw Failure.usage("\(option.spelling) '' names no file; - is stdout, % is stderr")
        }
        trace = Trace.Settings(path: path, isText: option.key == .traceASCII, stamp: stamp)
    }
}
