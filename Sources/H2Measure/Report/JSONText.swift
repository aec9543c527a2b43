/// A JSON value to be written. Objects keep the order of their names, for readability.
///
/// Written by hand, since Foundation's encoder slows the start of a program and sorts or shuffles names.
package enum JSONText: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    /// Written with the fewest digits that read back as the same Double; `null` if it is infinite or NaN.
    case number(Double)
    case string(String)
    case array([JSONText])
    case object([Member])

    /// A name with its value.
    package struct Member: Sendable, Equatable {
        package var name: String
        package var value: JSONText

        package init(_ name: String, _ value: JSONText) {
            self.name = name
            self.value = value
        }
    }

    /// `null` for nil.
    package init(_ value: Int?) { self = value.map { .integer($0) } ?? .null }
    package init(_ value: Double?) { self = value.map { .number($0) } ?? .null }
    package init(_ value: String?) { self = value.map { .string($0) } ?? .null }

    /// The text, over several lines, including a final line end. Short arrays and objects of plain values take one line.
    package var text: String {
        var out: [UInt8] = []
        write(into: &out, depth: 0)
        out.append(UInt8(ascii: "\n"))
        return String(decoding: out, as: UTF8.self)
    }

    /// The text on one line, including its end.
    package var line: [UInt8] {
        var out: [UInt8] = []
        writeLine(into: &out)
        out.append(UInt8(ascii: "\n"))
        return out
    }

    // MARK: Writing

    private func writeLine(into out: inout [UInt8]) {
        switch self {
        case .array(let values):
            out.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                value.writeLine(into: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .object(let members):
            out.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                Self.quote(member.name, into: &out)
                out.append(UInt8(ascii: ":"))
                member.value.writeLine(into: &out)
            }
            out.append(UInt8(ascii: "}"))
        default: write(into: &out, depth: 0)
        }
    }

    private static let widest = 100

    private func write(into out: inout [UInt8], depth: Int) {
        switch self {
        case .null: out += "null".utf8
        case .bool(let value): out += (value ? "true" : "false").utf8
        case .integer(let value): out += String(value).utf8
        case .number(let value): out += Self.shortest(value).utf8
        case .string(let value): Self.quote(value, into: &out)
        case .array(let values):
            Self.writeList(
                values.map { (nil, $0) }, between: (UInt8(ascii: "["), UInt8(ascii: "]")), into: &out, depth: depth)
        case .object(let members):
            Self.writeList(
                members.map { ($0.name, $0.value) }, between: (UInt8(ascii: "{"), UInt8(ascii: "}")), into: &out,
                depth: depth)
        }
    }

    private static func writeList(
        _ items: [(name: String?, value: JSONText)], between brackets: (UInt8, UInt8), into out: inout [UInt8],
        depth: Int
    ) {
        guard !items.isEmpty else {
            out += [brackets.0, brackets.1]
            return
        }
        if items.allSatisfy({ $0.value.isScalar }) {
            var line = [brackets.0]
            for (index, item) in items.enumerated() {
                if index > 0 { line += ", ".utf8 }
                writeItem(item, into: &line, depth: depth)
                if line.count + depth * 2 > widest { break }
            }
            line.append(brackets.1)
            if line.count + depth * 2 <= widest {
                out += line
                return
            }
        }
        out.append(brackets.0)
        for (index, item) in items.enumerated() {
            out += (index > 0 ? ",\n" : "\n").utf8
            out += repeatElement(UInt8(ascii: " "), count: (depth + 1) * 2)
            writeItem(item, into: &out, depth: depth + 1)
        }
        out.append(UInt8(ascii: "\n"))
        out += repeatElement(UInt8(ascii: " "), count: depth * 2)
        out.append(brackets.1)
    }

    private static func writeItem(_ item: (name: String?, value: JSONText), into out: inout [UInt8], depth: Int) {
        if let name = item.name {
            quote(name, into: &out)
            out += ": ".utf8
        }
        item.value.write(into: &out, depth: depth)
    }

    private var isScalar: Bool {
        switch self {
        case .array(let values): values.isEmpty
        case .object(let members): members.isEmpty
        default: true
        }
    }

    /// Swift writes the fewest digits that read back as the same Double, in a form that is valid JSON, but "1.0" for 1.
    private static func shortest(_ value: Double) -> String {
        guard value.isFinite else { return "null" }
        let text = value.description
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// RFC 8259 section 7: quotes, backslashes and control characters are escaped. So are DEL, the line separators U+2028 and
    /// U+2029, which old versions of JavaScript took for line ends, and the marks that change the text direction: the document
    /// may be shown in a terminal, and the text may come from a server.
    private static func quote(_ text: String, into out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22: out += "\\\"".utf8
            case 0x5c: out += "\\\\".utf8
            case 0x0a: out += "\\n".utf8
            case 0x0d: out += "\\r".utf8
            case 0x09: out += "\\t".utf8
            case 0x00..<0x20, 0x7f..<0xa0, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069:
                out += "\\u\(hex(scalar.value, width: 4))".utf8
            default: out += UTF8.encode(scalar)!
            }
        }
        out.append(UInt8(ascii: "\""))
    }
}

extension JSONText: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral, ExpressibleByStringLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral
{
    /// Names keep the order in which they are written.
    package init(dictionaryLiteral elements: (String, JSONText)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
    package init(arrayLiteral elements: JSONText...) { self = .array(elements) }
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
}
