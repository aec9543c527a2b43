/// The format of -w, taken apart once.
///
/// The grammar is curl's: `%{variable}`, `%header{name}`, `%time{format}`, `%output{file}`, `%%`, and `\n`, `\r`, `\t`. Anything
/// else is text.
struct WriteOut: Sendable, Equatable {
    enum Piece: Sendable, Equatable {
        case text([UInt8])
        case variable(WriteOutVariable)
        /// The first value of a field or, with a separator, all of them.
        case header(name: String, separator: [UInt8]?)
        case json
        case headerJSON
        /// The time in UTC, by a format of strftime(3) and %f.
        case time([UInt8])
        /// The rest is for failures only.
        case onError
        case target(Target)
    }

    /// Where the pieces that follow go.
    enum Target: Sendable, Equatable {
        case standardOutput
        case standardError
        case file(String, appends: Bool)
    }

    private(set) var pieces: [Piece] = []
    /// Variables that do not exist. They write nothing.
    private(set) var unknown: [String] = []

    /// Whether anything may go to stdout.
    var writesToStandardOutput: Bool {
        var target = Target.standardOutput
        for piece in pieces {
            switch piece {
            case .target(let next): target = next
            case .onError: break
            // If a file cannot be written, its text goes to the target before it.
            default: if target != .standardError { return true }
            }
        }
        return false
    }

    /// Whether a variable is among the pieces, or all are.
    func uses(_ variables: WriteOutVariable...) -> Bool {
        pieces.contains { piece in
            switch piece {
            case .variable(let variable): variables.contains(variable)
            case .json: true
            default: false
            }
        }
    }

    init(_ format: [UInt8]) {
        var parser = Parser(rest: format[...])
        while parser.takePiece() {}
        parser.flush()
        (pieces, unknown) = (parser.pieces, parser.unknown)
    }

    private struct Parser {
        var rest: ArraySlice<UInt8>
        var pieces: [Piece] = []
        var unknown: [String] = []
        private var text: [UInt8] = []

        init(rest: ArraySlice<UInt8>) { self.rest = rest }

        mutating func flush() {
            if !text.isEmpty { pieces.append(.text(text)) }
            text = []
        }

        mutating func takePiece() -> Bool {
            guard let byte = rest.popFirst() else { return false }
            switch (byte, rest.first) {
            case (UInt8(ascii: "%"), let next?): takePercent(next)
            case (UInt8(ascii: "\\"), let next?):
                rest = rest.dropFirst()
                text += WriteOut.escape(next)
            default: text.append(byte)
            }
            return true
        }

        private mutating func takePercent(_ next: UInt8) {
            if next == UInt8(ascii: "%") {
                rest = rest.dropFirst()
                text.append(next)
            } else if take("{") {
                guard let name = takeName() else { return text += Array("%{".utf8) }
                add(variable: name)
            } else if take("header{") {
                guard let value = takeHeader() else { return text += Array("%header{".utf8) }
                add(value)
            } else if take("time{") {
                guard let name = takeName() else { return text += Array("%time{".utf8) }
                add(.time(Array(name)))
            } else if take("output{") {
                guard let name = takeName() else { return text += Array("%output{".utf8) }
                let appends = name.starts(with: ">>".utf8)
                add(.target(.file(String(decoding: name.dropFirst(appends ? 2 : 0), as: UTF8.self), appends: appends)))
            } else {
                rest = rest.dropFirst()
                text += [UInt8(ascii: "%"), next]
            }
        }

        private mutating func add(_ piece: Piece) {
            flush()
            pieces.append(piece)
        }

        private mutating func add(variable name: ArraySlice<UInt8>) {
            let name = String(decoding: name, as: UTF8.self)
            switch name {
            case "json": add(.json)
            case "header_json": add(.headerJSON)
            case "onerror": add(.onError)
            case "stdout": add(.target(.standardOutput))
            case "stderr": add(.target(.standardError))
            default:
                guard let variable = WriteOutVariable(rawValue: name) else { return unknown.append(name) }
                add(.variable(variable))
            }
        }

        private mutating func take(_ word: String) -> Bool {
            guard rest.starts(with: word.utf8) else { return false }
            rest = rest.dropFirst(word.utf8.count)
            return true
        }

        /// Everything up to `}`.
        private mutating func takeName() -> ArraySlice<UInt8>? {
            guard let end = rest.firstIndex(of: UInt8(ascii: "}")) else { return nil }
            defer { rest = rest[(end + 1)...] }
            return rest[..<end]
        }

        /// `name}` or `name:all:separator}`, in whose separator a brace is `\}`.
        private mutating func takeHeader() -> Piece? {
            var end = rest.firstIndex(of: UInt8(ascii: "}"))
            while let brace = end, brace > rest.startIndex, rest[brace - 1] == UInt8(ascii: "\\") {
                end = rest[(brace + 1)...].firstIndex(of: UInt8(ascii: "}"))
            }
            guard let end else { return nil }
            let content = rest[..<end]
            rest = rest[(end + 1)...]
            let colon = content.firstIndex(of: UInt8(ascii: ":"))
            guard let colon, content[(colon + 1)...].starts(with: "all:".utf8) else {
                return .header(name: String(decoding: content, as: UTF8.self), separator: nil)
            }
            let separator = WriteOut.unescaped(content[(colon + 5)...])
            return .header(name: String(decoding: content[..<colon], as: UTF8.self), separator: separator)
        }
    }

    private static func escape(_ byte: UInt8) -> [UInt8] {
        switch byte {
        case UInt8(ascii: "n"): [0x0a]
        case UInt8(ascii: "r"): [0x0d]
        case UInt8(ascii: "t"): [0x09]
        default: [UInt8(ascii: "\\"), byte]
        }
    }

    private static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var (rest, out): (ArraySlice<UInt8>, [UInt8]) = (text, [])
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let next = rest.popFirst() else {
                out.append(byte)
                continue
            }
            out += next == UInt8(ascii: "}") ? [next] : escape(next)
        }
        return out
    }
}
