import H2Client
import H2Measure
import H2Platform

extension WriteOut {
    /// Bytes for one destination.
    struct Part: Sendable, Equatable {
        let target: Target
        var bytes: [UInt8] = []
    }

    /// The text for one transfer.
    /// - Parameter isForTerminal: whether stdout and stderr are terminals, which a server's words must not control.
    func parts(_ report: TransferReport, isForTerminal: Bool) -> [Part] {
        var parts = [Part(target: .standardOutput)]
        func add(_ bytes: [UInt8]) { parts[parts.count - 1].bytes += bytes }
        func addServers(_ bytes: [UInt8]) {
            if case .file = parts[parts.count - 1].target { return add(bytes) }
            add(isForTerminal ? Array(printable(String(decoding: bytes, as: UTF8.self)).utf8) : bytes)
        }
        for piece in pieces {
            switch piece {
            case .text(let bytes): add(bytes)
            case .variable(let variable): addServers(Self.text(report.value(of: variable)))
            case .header(let name, let separator):
                addServers(Self.joined(Self.values(of: name, report.response), separator))
            case .json: add(Self.json(report))
            case .headerJSON: add(Self.headerJSON(report.response))
            case .time(let format): add(Self.time(format))
            case .onError: if report.failure == nil { return parts }
            case .target(let target): parts.append(Part(target: target))
            }
        }
        return parts
    }

    // MARK: - Values

    private static func text(_ value: WriteOutVariable.Value) -> [UInt8] {
        switch value {
        case .text(let text): Array((text ?? "").utf8)
        case .number(let number): Array("\(number)".utf8)
        case .status(let status): Array((status < 10 ? "00\(status)" : status < 100 ? "0\(status)" : "\(status)").utf8)
        case .time(let time): Array(seconds(time).utf8)
        }
    }

    private static func seconds(_ time: Duration) -> String {
        let microseconds = max(0, time / .microseconds(1))
        let whole = Int(min(microseconds, 1e15))
        let fraction = "\(whole % 1_000_000)"
        return "\(whole / 1_000_000)." + String(repeating: "0", count: 6 - fraction.utf8.count) + fraction
    }

    private static func values(of name: String, _ response: StreamedResponse?) -> [[UInt8]] {
        let name = Array(name.lowercased().utf8)
        return (response?.rawHeaderFields ?? []).filter { lowerCase($0.name) == name }.map(\.value)
    }

    private static func joined(_ values: [[UInt8]], _ separator: [UInt8]?) -> [UInt8] {
        guard let separator else { return values.first ?? [] }
        return Array(values.joined(separator: separator))
    }

    private static func lowerCase(_ name: [UInt8]) -> [UInt8] {
        name.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }
    }

    /// The current time in UTC.
    static func time(_ format: [UInt8], at now: timespec? = nil) -> [UInt8] {
        var clock = timespec()
        if let now { clock = now } else { clock_gettime(CLOCK_REALTIME, &clock) }
        // strftime(3) has no %f, and takes %s, %z and %Z from the local time zone.
        var text: [UInt8] = []
        var rest = format[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%"), let next = rest.first else {
                text.append(byte)
                continue
            }
            rest = rest.dropFirst()
            switch next {
            case UInt8(ascii: "f"):
                let fraction = "\(Int(clock.tv_nsec) / 1_000)"
                text += Array((String(repeating: "0", count: 6 - fraction.utf8.count) + fraction).utf8)
            case UInt8(ascii: "s"): text += Array("\(Int(clock.tv_sec))".utf8)
            case UInt8(ascii: "z"): text += Array("+0000".utf8)
            case UInt8(ascii: "Z"): text += Array("UTC".utf8)
            default: text += [byte, next]
            }
        }
        guard !text.isEmpty, !text.contains(0) else { return [] }
        var (seconds, parts) = (clock.tv_sec, tm())
        gmtime_r(&seconds, &parts)
        let pattern = text.map { CChar(bitPattern: $0) } + [0]
        let room = text.count + 1_024
        return [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            count = buffer.withMemoryRebound(to: CChar.self) { strftime($0.baseAddress!, room, pattern, &parts) }
        }
    }

    // MARK: - JSON

    private static func json(_ report: TransferReport) -> [UInt8] {
        var out = Array("{".utf8)
        for variable in WriteOutVariable.allCases {
            out += Array("\"\(variable.rawValue)\":".utf8)
            switch report.value(of: variable) {
            case .text(let text): out += text.map { quoted(Array($0.utf8)) } ?? Array("null".utf8)
            case .status(let number), .number(let number): out += Array("\(number)".utf8)
            case .time(let time): out += Array(seconds(time).utf8)
            }
            out.append(UInt8(ascii: ","))
        }
        return out + Array("\"h2get_version\":\"\(version)\"}".utf8)
    }

    private static func headerJSON(_ response: StreamedResponse?) -> [UInt8] {
        var names: [[UInt8]] = []
        var values: [[UInt8]: [[UInt8]]] = [:]
        for field in response?.rawHeaderFields ?? [] {
            let name = lowerCase(field.name)
            if values[name] == nil { names.append(name) }
            values[name, default: []].append(field.value)
        }
        var out = Array("{".utf8)
        for (index, name) in names.enumerated() {
            if index > 0 { out += Array(",\n".utf8) }
            out += quoted(name) + Array(":[".utf8)
            out += Array((values[name] ?? []).map(quoted).joined(separator: [UInt8(ascii: ",")]))
            out.append(UInt8(ascii: "]"))
        }
        return out + Array("\n}".utf8)
    }

    /// A JSON string (RFC 8259 section 7). Bytes that are not UTF-8 become U+FFFD.
    private static func quoted(_ bytes: [UInt8]) -> [UInt8] {
        var out = [UInt8(ascii: "\"")]
        for byte in String(decoding: bytes, as: UTF8.self).utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
            case 0x08: out += Array("\\b".utf8)
            case 0x09: out += Array("\\t".utf8)
            case 0x0a: out += Array("\\n".utf8)
            case 0x0c: out += Array("\\f".utf8)
            case 0x0d: out += Array("\\r".utf8)
            case 0..<0x20, 0x7f:
                let digits = Array("0123456789abcdef".utf8)
                out += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: out.append(byte)
            }
        }
        return out + [UInt8(ascii: "\"")]
    }
}
