import H2Client
import H2Measure
import H2Platform

/// The variables of --variable, and how --expand-OPTION uses them, as in curl.
struct Variables: Sendable {
    private static let longestName = 128
    private var values: [String: [UInt8]] = [:]

    // MARK: - Setting

    /// Takes a value of --variable: `NAME=TEXT`, `NAME@FILE`, `%NAME`, or `%NAME=TEXT` with a default.
    /// - Throws: `Failure` (`usage`, `readFailed`).
    mutating func set(_ argument: [UInt8], by spelling: String) throws {
        let isImported = argument.first == UInt8(ascii: "%")
        let text = argument.dropFirst(isImported ? 1 : 0)
        let name = text.prefix(while: Self.isNameByte)
        let rest = text[name.endIndex...]
        guard !name.isEmpty, name.count <= Self.longestName, rest.isEmpty || "=@".utf8.contains(rest[rest.startIndex])
        else {
            throw Failure.usage(
                "\(spelling) needs a name of letters, digits and _: write NAME=TEXT, NAME@FILE, or %NAME for a variable of the "
                    + "environment")
        }
        let key = String(decoding: name, as: UTF8.self)
        if isImported, let value = getenv(key) {
            values[key] = Array(UnsafeRawBufferPointer(start: value, count: strlen(value)))
            return
        }
        guard let kind = rest.first else {
            let remedy = "%\(key)=TEXT has a default"
            throw Failure.usage(
                isImported
                    ? "\(spelling): the environment has no \(key); \(remedy)"
                    : "\(spelling) \(key) has no value: write \(key)=TEXT or \(key)@FILE")
        }
        guard kind == UInt8(ascii: "@") else {
            values[key] = Array(rest.dropFirst())
            return
        }
        guard let path = String(validating: rest.dropFirst(), as: UTF8.self), !path.isEmpty else {
            throw Failure.usage("\(spelling) \(key)@ needs a file's name, in UTF-8; - is stdin")
        }
        values[key] = try readWhole(path, remedy: "name a smaller file")
    }

    /// Whether a value of --variable reads stdin.
    static func readsInput(_ argument: [UInt8]) -> Bool {
        let text = argument.dropFirst(argument.first == UInt8(ascii: "%") ? 1 : 0)
        let rest = text.drop(while: isNameByte)
        return rest.first == UInt8(ascii: "@")
            && StandardDescriptors.isInput(String(decoding: rest.dropFirst(), as: UTF8.self))
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"): true
        default: false
        }
    }

    // MARK: - Using

    /// The text with values in place of `{{NAME}}` and `{{NAME:FUNCTION:…}}`. `\{{` is `{{`, an unknown name nothing, and braces
    /// that hold no name stay, as in curl.
    /// - Throws: `Failure` (`usage`).
    func expand(_ text: [UInt8], of spelling: String) throws -> [UInt8] {
        var out: [UInt8] = []
        var rest = text[...]
        while let open = Self.first("{{", in: rest) {
            guard rest.startIndex == open || rest[open - 1] != UInt8(ascii: "\\") else {
                out += rest[..<(open - 1)]
                out += "{{".utf8
                rest = rest[(open + 2)...]
                continue
            }
            guard let close = Self.first("}}", in: rest[(open + 2)...]) else {
                throw Failure.usage(
                    "\(spelling): a }} is missing behind {{; write \\{{ for braces that mean themselves")
            }
            out += rest[..<open]
            let inside = rest[(open + 2)..<close]
            let parts = inside.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            if let name = parts.first, !name.isEmpty, name.allSatisfy(Self.isNameByte) {
                let value = values[String(decoding: name, as: UTF8.self)] ?? []
                out += try Self.applied(parts.dropFirst(), to: value, spelling)
            } else {
                out += rest[open..<(close + 2)]
            }
            rest = rest[(close + 2)...]
        }
        return out + rest
    }

    private static func applied(
        _ functions: ArraySlice<ArraySlice<UInt8>>, to value: [UInt8], _ spelling: String
    ) throws -> [UInt8] {
        var value = value
        for function in functions {
            switch String(decoding: function, as: UTF8.self) {
            case "trim":
                let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0d).contains(byte) }
                let start = value.firstIndex { !isSpace($0) } ?? value.endIndex
                let end = value.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? start
                value = Array(value[start..<end])
            case "url": value = PercentEncoding.encoded(value[...])
            case "json": value = Self.json(value)
            case "b64": value = base64(value)
            case let other:
                throw Failure.usage("\(spelling): '\(shown(other))' is no function; use trim, url, json or b64")
            }
        }
        guard !value.contains(0) else {
            throw Failure.usage("\(spelling): the variable has a NUL byte, which only url, json and b64 can write")
        }
        return value
    }

    /// The inside of a JSON string.
    private static func json(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
            case 0x08: out += "\\b".utf8
            case 0x09: out += "\\t".utf8
            case 0x0a: out += "\\n".utf8
            case 0x0c: out += "\\f".utf8
            case 0x0d: out += "\\r".utf8
            case ..<0x20: out += "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8
            default: out.append(byte)
            }
        }
        return out
    }

    private static func base64(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var out: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = 0
            for offset in 0..<3 { bits = bits << 8 | (offset < group.count ? Int(group[start + offset]) : 0) }
            for position in 0..<4 {
                out.append(position <= group.count ? digits[bits >> (18 - 6 * position) & 63] : UInt8(ascii: "="))
            }
        }
        return out
    }

    private static func first(_ pair: StaticString, in bytes: ArraySlice<UInt8>) -> Int? {
        let byte = pair.utf8Start.pointee
        return bytes.indices.dropLast().first { bytes[$0] == byte && bytes[$0 + 1] == byte }
    }
}
