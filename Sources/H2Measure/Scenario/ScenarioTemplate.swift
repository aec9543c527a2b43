/// What a `${…}` stands for.
enum ScenarioVariable: Sendable, Equatable {
    /// The author's own text.
    case constant([UInt8])
    case column(table: Int, column: Int)
    /// An extracted value, by its place among those of the user class.
    case extracted(Int, name: String)
    case user
    case iteration
    case random

    static let builtIn: [String: ScenarioVariable] = ["user": .user, "iteration": .iteration, "random": .random]
}

/// How a value is written into a text.
enum ValueEncoding: Sendable {
    case raw
    /// As the inside of a JSON string.
    case json
    /// Percent-encoded, but for the unreserved characters of RFC 3986 section 2.3.
    case url
    /// Percent-encoded where it could not stand in a path with a query.
    case path

    func append(_ value: some Sequence<UInt8>, to out: inout [UInt8]) {
        switch self {
        case .raw: out += value
        case .json:
            for byte in value {
                switch byte {
                case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
                case UInt8(ascii: "\n"): out += "\\n".utf8
                case UInt8(ascii: "\r"): out += "\\r".utf8
                case UInt8(ascii: "\t"): out += "\\t".utf8
                case 0..<0x20: out += "\\u\(hex(UInt32(byte), width: 4))".utf8
                default: out.append(byte)
                }
            }
        case .url: percentEncode(value, into: &out) { Self.isUnreserved($0) }
        case .path: percentEncode(value, into: &out) { Self.isOfPath($0) }
        }
    }

    private func percentEncode(
        _ value: some Sequence<UInt8>, into out: inout [UInt8], except isKept: (UInt8) -> Bool
    ) {
        for byte in value {
            guard !isKept(byte) else {
                out.append(byte)
                continue
            }
            out += [UInt8(ascii: "%"), Self.hexDigit(byte >> 4), Self.hexDigit(byte & 15)]
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x41 + value - 10 }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
        default: false
        }
    }

    /// RFC 3986 sections 3.3 and 3.4, and the percent sign of what is encoded already.
    private static func isOfPath(_ byte: UInt8) -> Bool {
        isUnreserved(byte) || "!$&'()*+,;=:@/?%".utf8.contains(byte)
    }
}

/// Text with variables.
struct ScenarioTemplate: Sendable {
    enum Part: Sendable {
        case text([UInt8])
        case variable(ScenarioVariable, ValueEncoding)
    }

    /// Where a text stands, which decides how values are written into it.
    enum Place: Sendable {
        case path
        case header
        /// A body, or text that is compared with one.
        case body
    }

    /// As written.
    let source: String
    /// Texts and variables; constants are part of the texts.
    let parts: [Part]

    static let empty = ScenarioTemplate(text: [])

    init(text: [UInt8]) {
        source = String(decoding: text, as: UTF8.self)
        parts = text.isEmpty ? [] : [.text(text)]
    }

    /// - Parameters:
    ///   - budget: the bytes that constants may still add to all texts together.
    ///   - resolve: the variable of a name; throws the reason why there is none.
    init(
        _ source: String, in place: Place, budget: inout Int,
        resolve: (String) throws(TextProblem) -> ScenarioVariable
    ) throws(TextProblem) {
        self.source = source
        let bytes = Array(source.utf8)
        var parts: [Part] = []
        var text: [UInt8] = []
        var at = 0
        while at < bytes.count {
            let next = bytes[at...].firstIndex(of: UInt8(ascii: "$")) ?? bytes.count
            text += bytes[at..<next]
            at = next
            let rest = bytes[at...]
            if rest.starts(with: "$${".utf8) {
                text += "${".utf8
                at += 3
                continue
            }
            guard rest.starts(with: "${".utf8) else {
                text += rest.prefix(1)
                at += 1
                continue
            }
            guard let end = rest.firstIndex(of: UInt8(ascii: "}")) else {
                throw TextProblem("a ${ has no }; write ${name} for a variable, and $${ for the characters ${")
            }
            let (name, encoding) = try Self.reference(
                String(decoding: bytes[at + 2..<end], as: UTF8.self), in: place, isFirst: parts.isEmpty && text.isEmpty)
            at = end + 1
            let variable = try resolve(name)
            guard case .constant(let value) = variable else {
                if !text.isEmpty { parts.append(.text(text)) }
                text = []
                parts.append(.variable(variable, encoding ?? (place == .path ? .url : .raw)))
                continue
            }
            let before = text.count
            // The author's own text is written as it is.
            (encoding == .path ? .raw : encoding ?? .raw).append(value, to: &text)
            budget -= text.count - before
            guard budget >= 0 else {
                throw TextProblem("variables make the texts of the scenario larger than 64 MB; use shorter ones")
            }
        }
        if !text.isEmpty { parts.append(.text(text)) }
        self.parts = place == .path ? try parts.map(Self.asPath) : parts
        if place == .path { try checkStart() }
    }

    /// The bytes, if there is no variable whose value changes.
    var constant: [UInt8]? {
        switch parts.first {
        case nil: []
        case .text(let text) where parts.count == 1: text
        default: nil
        }
    }

    // MARK: Parsing

    private static func reference(
        _ inner: String, in place: Place, isFirst: Bool
    ) throws(TextProblem) -> (String, ValueEncoding?) {
        let trimmed = inner.split(separator: " ").joined(separator: " ")
        guard !trimmed.isEmpty else { throw TextProblem("${} names no variable; write ${name}") }
        guard let colon = trimmed.firstIndex(of: ":") else {
            // The value brings the path's slashes with it.
            return (trimmed, place == .path && isFirst ? .path : nil)
        }
        let name = trimmed[trimmed.index(after: colon)...].drop { $0 == " " }
        switch trimmed[..<colon] {
        case "json" where place == .path:
            throw TextProblem("json: in ${\(excerpt(trimmed))} is for bodies and headers; leave it out in a path")
        case "json": return (String(name), .json)
        case "url": return (String(name), .url)
        case "path": return (String(name), .path)
        case let prefix:
            throw TextProblem(
                "\(quoted(String(prefix))) in ${\(excerpt(trimmed))} is not a way to write a value; "
                    + "there are json:, url: and path:")
        }
    }

    private static func asPath(_ part: Part) throws(TextProblem) -> Part {
        guard case .text(let text) = part else { return part }
        for byte in text {
            switch byte {
            case 0x20: throw TextProblem("a path has no spaces; write %20")
            case 0x23: throw TextProblem("the part of a URL from # on is not sent; leave it out, or write %23")
            case 0..<0x20, 0x7f: throw TextProblem("the path holds a control character; leave it out")
            default: break
            }
        }
        guard text.contains(where: { $0 >= 0x80 }) else { return part }
        var encoded: [UInt8] = []
        for byte in text {
            if byte < 0x80 { encoded.append(byte) } else { ValueEncoding.url.append([byte], to: &encoded) }
        }
        return .text(encoded)
    }

    private func checkStart() throws(TextProblem) {
        switch parts.first {
        case .variable: return
        case .text(let text) where text.first == UInt8(ascii: "/"): return
        case .text, nil:
            throw TextProblem(
                "the path \(quoted(source)) does not begin with /; write it as it follows the host, such as /items?page=1"
            )
        }
    }
}
