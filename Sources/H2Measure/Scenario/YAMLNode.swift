import CYAML

/// A part of a YAML document, with its place.
///
/// Only what data needs: no anchors, aliases, tags or directives, and one document. All scalars are text; what is a number is
/// up to the reader of the value.
struct YAMLNode: Sendable {
    struct Member: Sendable {
        let key: String
        let keyPosition: TextPosition
        let value: YAMLNode
    }

    enum Content: Sendable {
        /// `isQuoted`: in quotes or a block, so that even an empty text is meant.
        case scalar(String, isQuoted: Bool)
        /// In the order of the file. Of members with the same key only the first is kept.
        case mapping([Member])
        case sequence([YAMLNode])
    }

    let position: TextPosition
    let content: Content

    /// Whether it is nothing: an empty place, `~` or `null`.
    var isNull: Bool {
        guard case .scalar(let text, isQuoted: false) = content else { return false }
        return text.isEmpty || text == "~" || text == "null"
    }

    /// What it is, for messages.
    var kind: String {
        switch content {
        case .scalar: isNull ? "nothing" : "text"
        case .mapping: "a mapping"
        case .sequence: "a list"
        }
    }
}

/// Reads a YAML document.
struct YAMLReader {
    static let mostBytes = 16 << 20
    static let deepest = 32
    /// A file of 16 MB could hold eight million values, which would take a hundred times its size.
    static let mostNodes = 500_000

    private let parser: YAMLParser
    private var nodes = 0
    private var problems: ScenarioProblems

    /// The document; nil if there is none, or a problem that reading cannot go on after.
    static func read(_ text: [UInt8], _ problems: inout ScenarioProblems) -> YAMLNode? {
        guard text.count <= mostBytes else {
            problems.add(
                .init(file: problems.file, message: "the file is larger than 16 MB; move long data to CSV files"))
            return nil
        }
        guard cyaml_is_available() else {
            problems.add(
                .init(
                    file: problems.file,
                    message: "scenarios need libyaml, which is not here; install the package libyaml-0-2 "
                        + "(on macOS libyaml)"))
            return nil
        }
        if let (position, message) = badCharacter(in: text) {
            problems.add(message, at: position)
            return nil
        }
        return text.withUnsafeBufferPointer { bytes in
            guard let parser = YAMLParser(bytes) else {
                problems.add(.init(file: problems.file, message: "there is not enough memory"))
                return nil
            }
            var reader = YAMLReader(parser: parser, problems: problems)
            defer { problems = reader.problems }
            do throws(YAMLFailure) {
                return try reader.document()
            } catch {
                reader.problems.add(error.message, at: error.position)
                return nil
            }
        }
    }

    private init(parser: YAMLParser, problems: ScenarioProblems) {
        self.parser = parser
        self.problems = problems
    }

    /// The first place that is not UTF-8, or has a control character that no text has.
    private static func badCharacter(in text: [UInt8]) -> (TextPosition, String)? {
        guard let at = firstBadByte(in: text) else { return nil }
        let before = text[..<at]
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let position = TextPosition(
            line: before.count { $0 == UInt8(ascii: "\n") } + 1,
            column: before[start...].count { $0 & 0xc0 != 0x80 } + 1)
        switch text[at] {
        case 0: return (position, "there is a NUL byte; a scenario is text in UTF-8")
        case let byte where byte < 0x80:
            return (position, "there is a control character (\\x\(hex(UInt32(byte), width: 2))); remove it")
        default: return (position, "this is not UTF-8; save the file in UTF-8")
        }
    }

    /// The first byte that is a control character other than a tab or a line end, or does not belong to UTF-8.
    static func firstBadByte(in text: [UInt8]) -> Int? {
        let control = text.firstIndex { $0 < 0x20 && $0 != 0x09 && $0 != 0x0a && $0 != 0x0d || $0 == 0x7f }
        let part = text[..<(control ?? text.count)]
        guard String(validating: part, as: UTF8.self) == nil else { return control }
        var parser = UTF8.ForwardParser()
        var rest = part.makeIterator()
        var at = 0
        while true {
            switch parser.parseScalar(from: &rest) {
            case .valid(let scalar): at += scalar.count
            case .error: return at
            case .emptyInput: return control
            }
        }
    }

    // MARK: Events

    private mutating func document() throws(YAMLFailure) -> YAMLNode? {
        let event = try parser.next()
        guard event.kind != .end else { return nil }
        let root = try node(event, depth: 0)
        _ = try parser.next()
        return root
    }

    /// The node that `event` begins. It calls itself at most `deepest` times.
    private mutating func node(_ event: cyaml_event, depth: Int) throws(YAMLFailure) -> YAMLNode {
        let position = event.position
        nodes += 1
        guard nodes <= Self.mostNodes else {
            throw YAMLFailure(position: position, message: "there are more than \(grouped(Self.mostNodes)) values")
        }
        guard event.kind == .scalar || depth < Self.deepest else {
            throw YAMLFailure(
                position: position, message: "mappings and lists are nested more than \(Self.deepest) deep")
        }
        switch event.kind {
        case .mapping_start:
            return YAMLNode(position: position, content: .mapping(try members(depth: depth)))
        case .sequence_start:
            var values: [YAMLNode] = []
            while true {
                let next = try parser.next()
                if next.kind == .sequence_end { break }
                values.append(try node(next, depth: depth + 1))
            }
            return YAMLNode(position: position, content: .sequence(values))
        case .scalar:
            return YAMLNode(
                position: position, content: .scalar(try text(of: event), isQuoted: event.is_quoted))
        case .end, .failure, .mapping_end, .sequence_end:
            throw YAMLFailure(position: position, message: "a value is missing")
        }
    }

    private mutating func members(depth: Int) throws(YAMLFailure) -> [YAMLNode.Member] {
        var members: [YAMLNode.Member] = []
        var lines: [String: Int] = [:]
        while true {
            let event = try parser.next()
            if event.kind == .mapping_end { return members }
            let position = event.position
            guard event.kind == .scalar else {
                throw YAMLFailure(
                    position: position, message: "a key must be text; put text that begins with { or [ into quotes")
            }
            let key = try text(of: event)
            let value = try node(try parser.next(), depth: depth + 1)
            if let line = lines.updateValue(position.line, forKey: key) {
                problems.add("the key \(quoted(key)) is already in line \(line); keep one of them", at: position)
                continue
            }
            members.append(YAMLNode.Member(key: key, keyPosition: position, value: value))
        }
    }

    private func text(of event: cyaml_event) throws(YAMLFailure) -> String {
        let bytes = UnsafeBufferPointer(start: event.bytes, count: event.count)
        // An escape in double quotes may stand for it.
        guard !bytes.contains(0) else {
            throw YAMLFailure(position: event.position, message: "the text holds a NUL (\\0), which is not supported")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

private struct YAMLFailure: Error {
    let position: TextPosition
    let message: String
}

extension cyaml_event {
    fileprivate var position: TextPosition { TextPosition(line: Int(line), column: Int(column)) }
}

/// The owner of libyaml's parser.
private final class YAMLParser {
    private let parser: OpaquePointer

    /// - Parameter text: must stay valid as long as the parser exists.
    init?(_ text: UnsafeBufferPointer<UInt8>) {
        guard let parser = cyaml_open(text.baseAddress, text.count) else { return nil }
        self.parser = parser
    }

    deinit { cyaml_close(parser) }

    /// The next event. Its bytes are valid until the next call.
    func next() throws(YAMLFailure) -> cyaml_event {
        var event = cyaml_event()
        cyaml_next(parser, &event)
        guard event.kind == .failure else { return event }
        let problem = event.problem.map { String(cString: $0) } ?? "the document cannot be read"
        let context = event.context.map { " \(String(cString: $0))" } ?? ""
        throw YAMLFailure(position: event.position, message: problem + context)
    }
}
