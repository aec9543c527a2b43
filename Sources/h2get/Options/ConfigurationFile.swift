import H2Client
import H2Measure
import H2Platform

/// A file with options, with curl's syntax: one a line, `name = value`, `name: value`, `name value`, `--name value`,
/// `-x value` or `name` alone.
///
/// Lines that begin with # are comments. A value with spaces stands in double quotes, in which \" \\ \t \n \r and \v mean what
/// they do in C. Where curl warns, for example about text behind a value, this is an error.
struct ConfigurationFile {
    struct Line: Equatable {
        let number: Int
        /// With its dashes.
        let option: [UInt8]
        let value: [UInt8]?
    }

    /// In messages.
    let name: String
    let lines: [Line]

    /// - Parameter path: `-` is stdin.
    /// - Throws: `Failure` (`readFailed`, `usage`).
    init(path: String) throws {
        name = path == "-" ? "stdin" : printable(path)
        lines = try Self.lines(try readText(path), of: name)
    }

    /// The file that is read without -K: `h2get/config` in $XDG_CONFIG_HOME or in ~/.config. nil if it does not exist.
    static var standardPath: String? {
        func variable(_ name: String) -> String? {
            // A relative path has no meaning there (XDG Base Directory Specification).
            getenv(name).flatMap { String(validatingCString: $0) }.flatMap {
                $0.utf8.first == UInt8(ascii: "/") ? $0 : nil
            }
        }
        guard let folder = variable("XDG_CONFIG_HOME") ?? variable("HOME").map({ "\($0)/.config" }) else { return nil }
        let path = "\(folder)/h2get/config"
        // With another user's HOME it may be out of reach, which is no reason to fail.
        if case .missing = FileKind(path: path) { return nil }
        return path
    }

    static func lines(_ text: ArraySlice<UInt8>, of name: String) throws -> [Line] {
        var lines: [Line] = []
        let all = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in all.enumerated() {
            var line = line
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            do throws(BadLine) {
                if let (option, value) = try Self.parsed(line) {
                    lines.append(Line(number: index + 1, option: option, value: value))
                }
            } catch {
                throw Failure.usage("\(name):\(index + 1): \(error.text)")
            }
        }
        return lines
    }

    private struct BadLine: Error { let text: String }

    /// The option and the value of a line; nil for blank lines and comments.
    private static func parsed(_ line: ArraySlice<UInt8>) throws(BadLine) -> ([UInt8], [UInt8]?)? {
        var rest = line.drop(while: isBlank)
        guard let first = rest.first, first != UInt8(ascii: "#") else { return nil }
        guard !rest.contains(0) else { throw BadLine(text: "the line has a NUL byte") }
        let isDashed = first == UInt8(ascii: "-")
        func isSeparator(_ byte: UInt8) -> Bool {
            isBlank(byte) || (!isDashed && (byte == UInt8(ascii: "=") || byte == UInt8(ascii: ":")))
        }
        let name = rest.prefix { !isSeparator($0) }
        guard !name.isEmpty else { throw BadLine(text: "there is no option before the value") }
        rest = rest[name.endIndex...].drop(while: isSeparator)
        let option = isDashed ? Array(name) : Array("--".utf8) + name
        guard let start = rest.first else { return (option, nil) }
        if start == UInt8(ascii: "\"") { return (option, try quoted(rest.dropFirst())) }
        guard start != UInt8(ascii: "'") else {
            throw BadLine(text: "the value begins with a single quote; use double quotes, inside which it means itself")
        }
        let value = rest.prefix { !isBlank($0) }
        try checkEnd(rest[value.endIndex...], "put a value with spaces into double quotes")
        return (option, Array(value))
    }

    private static func quoted(_ text: ArraySlice<UInt8>) throws(BadLine) -> [UInt8] {
        var value: [UInt8] = []
        var index = text.startIndex
        while index < text.endIndex, text[index] != UInt8(ascii: "\"") {
            if text[index] == UInt8(ascii: "\\"), index + 1 < text.endIndex {
                index += 1
                switch text[index] {
                case UInt8(ascii: "t"): value.append(0x09)
                case UInt8(ascii: "n"): value.append(0x0a)
                case UInt8(ascii: "r"): value.append(0x0d)
                case UInt8(ascii: "v"): value.append(0x0b)
                case let byte: value.append(byte)
                }
            } else {
                value.append(text[index])
            }
            index += 1
        }
        guard index < text.endIndex else { throw BadLine(text: "the value's second quote is missing") }
        try checkEnd(text[(index + 1)...], "write \\\" for a quote inside the value")
        return value
    }

    /// Only a comment may follow a value.
    private static func checkEnd(_ rest: ArraySlice<UInt8>, _ remedy: String) throws(BadLine) {
        guard let first = rest.first else { return }
        let next = rest.drop(while: isBlank).first
        guard isBlank(first), next == nil || next == UInt8(ascii: "#") else {
            throw BadLine(text: "there is text behind the value; \(remedy)")
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}
