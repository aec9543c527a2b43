/// One part of the form of -F, as the command line gives it.
struct FormPart: Sendable, Equatable {
    enum Content: Sendable, Equatable {
        case bytes([UInt8])
        /// A regular file, read anew for each request.
        case file(String)
    }

    let name: String
    let content: Content
    let fileName: String?
    /// nil for the one of the file name's extension.
    let contentType: String?
}

/// The value of -F, with curl's syntax:
///
/// 1. `NAME=CONTENT`, `NAME=@FILE[,FILE...]` for files, `NAME=<FILE` for a text from a file; `-` is stdin.
/// 2. `;type=MEDIA/TYPE` (with its parameters) and `;filename=NAME` follow a content or file.
/// 3. Contents and names in quotes may have `;` and `,`, and `\"` and `\\` for a quote and a backslash.
///
/// Errors do not repeat the value, which may be a secret.
struct FormArgument {
    private enum Kind {
        case text, files, textFromFile
    }

    /// A content or path, and what follows it.
    private struct Item {
        var word: [UInt8]
        var type: String?
        var fileName: String?
    }

    private let name: String
    private let source: String
    private var kind = Kind.text
    private var items: [Item] = []
    private let bytes: [UInt8]
    private var position: Int

    /// - Parameter source: its position, for errors.
    /// - Throws: `Failure` (`usage`).
    init(_ value: [UInt8], source: String) throws {
        self.source = source
        bytes = value
        (name, position) = try Self.name(value, source)
        switch position < bytes.count ? bytes[position] : 0 {
        case UInt8(ascii: "@"): kind = .files
        case UInt8(ascii: "<"): kind = .textFromFile
        case UInt8(ascii: "("):
            throw Failure.usage(
                "\(source): '=(' begins a form inside the form, which RFC 7578 does not have; for a text that begins "
                    + "with ( use --form-string")
        default: break
        }
        if kind != .text { position += 1 }
        let separator = kind == .files ? UInt8(ascii: ",") : nil
        while true {
            items.append(try item(before: separator))
            guard position < bytes.count else { break }
            position += 1
        }
    }

    /// The value of --form-string, whose text means nothing but itself.
    static func text(_ value: [UInt8], source: String) throws -> FormPart {
        let (name, start) = try Self.name(value, source)
        return FormPart(name: name, content: .bytes(Array(value[start...])), fileName: nil, contentType: nil)
    }

    private static func name(_ value: [UInt8], _ source: String) throws -> (String, Int) {
        guard let equals = value.firstIndex(of: UInt8(ascii: "=")), equals > 0 else {
            throw Failure.usage("\(source): there is no '=' behind a name; write NAME=CONTENT")
        }
        return (try text(Array(value[..<equals]), "the name", source), equals + 1)
    }

    /// The paths that it reads.
    var files: [String] {
        get throws { kind == .text ? [] : try items.map { try path($0) } }
    }

    /// The parts: one for each file, otherwise one. Input that can be read only once is read here.
    /// - Throws: `Failure` (`readFailed`) if a file cannot be read.
    func parts() throws -> [FormPart] {
        try items.map { item in
            let content: FormPart.Content
            var fileName = item.fileName
            switch kind {
            case .text: content = .bytes(item.word)
            case .files, .textFromFile:
                let path = try path(item)
                if kind == .files, fileName == nil { fileName = splitPath(path).name }
                switch try FetchSettings.wholeFile(path) {
                case .file(let path): content = .file(path)
                case .bytes(let bytes): content = .bytes(bytes)
                case .none, .form, .uploads: content = .bytes([])
                }
            }
            return FormPart(name: name, content: content, fileName: fileName, contentType: item.type)
        }
    }

    private func path(_ item: Item) throws -> String {
        let path = try Self.text(item.word, "the file name", source)
        guard !path.isEmpty else {
            throw Failure.usage("\(source): no file name after '\(kind == .files ? "@" : "<")'")
        }
        return path
    }

    // MARK: - Reading

    private mutating func item(before separator: UInt8?) throws -> Item {
        skipBlanks()
        var item = Item(word: try word(before: separator))
        while position < bytes.count, bytes[position] == UInt8(ascii: ";") {
            position += 1
            skipBlanks()
            if take("type=") {
                item.type = try mediaType(before: separator)
            } else if take("filename=") {
                skipBlanks()
                item.fileName = try Self.text(try word(before: separator), "the file name", source)
            } else if begins("headers=") {
                throw Failure.usage(
                    "\(source): a part of a form has no further fields (RFC 7578 section 4.8); leave ;headers= out")
            } else if begins("encoder=") {
                throw Failure.usage(
                    "\(source): parts of a form are sent as they are (RFC 7578 section 4.7); leave ;encoder= out")
            } else {
                throw Failure.usage(
                    "\(source): a ';' is followed by neither type= nor filename=; put a content with ';' into quotes, "
                        + "or use --form-string")
            }
        }
        return item
    }

    private func begins(_ text: String) -> Bool {
        let start = bytes[position...].prefix(text.utf8.count)
        return String(decoding: start, as: UTF8.self).lowercased() == text
    }

    private mutating func take(_ text: String) -> Bool {
        guard begins(text) else { return false }
        position += text.utf8.count
        return true
    }

    private mutating func skipBlanks() {
        while position < bytes.count, Self.isBlank(bytes[position]) { position += 1 }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// Ends at a `;`, at `separator`, or at the end. Without quotes, blanks at the end are dropped.
    private mutating func word(before separator: UInt8?) throws -> [UInt8] {
        if let word = try quoted(before: separator) { return word }
        var word = bytes[position...].prefix { $0 != UInt8(ascii: ";") && $0 != separator }
        position = word.endIndex
        while let last = word.last, Self.isBlank(last) { word.removeLast() }
        return Array(word)
    }

    /// The word in quotes that begins here, or nil: without its second quote, a quote stands for itself.
    private mutating func quoted(before separator: UInt8?) throws -> [UInt8]? {
        guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { return nil }
        var word: [UInt8] = []
        var index = position + 1
        while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
            if bytes[index] == UInt8(ascii: "\\"), index + 1 < bytes.count,
                bytes[index + 1] == UInt8(ascii: "\\") || bytes[index + 1] == UInt8(ascii: "\"")
            {
                index += 1
            }
            word.append(bytes[index])
            index += 1
        }
        guard index < bytes.count else { return nil }
        position = index + 1
        skipBlanks()
        guard position == bytes.count || bytes[position] == UInt8(ascii: ";") || bytes[position] == separator else {
            throw Failure.usage("\(source): text after the closing quote; write \\\" for a quote inside")
        }
        return word
    }

    /// A media type, with parameters as far as what follows is nothing else.
    private mutating func mediaType(before separator: UInt8?) throws -> String {
        skipBlanks()
        let start = position
        var end = start
        while true {
            end = bytes[position...].firstIndex { $0 == UInt8(ascii: ";") || $0 == separator } ?? bytes.count
            position = end
            guard position < bytes.count, bytes[position] == UInt8(ascii: ";") else { break }
            position += 1
            skipBlanks()
            if ["type=", "filename=", "headers=", "encoder="].contains(where: begins) { break }
        }
        position = end
        var type = bytes[start..<end]
        while let last = type.last, Self.isBlank(last) { type.removeLast() }
        let slash = type.firstIndex(of: UInt8(ascii: "/"))
        guard let slash, slash > type.startIndex, slash + 1 < type.endIndex,
            type.allSatisfy({ $0 >= 0x20 && $0 < 0x7f })
        else { throw Failure.usage("\(source): ;type= is followed by no media type; write one such as text/plain") }
        return String(decoding: type, as: UTF8.self)
    }

    private static func text(_ bytes: [UInt8], _ what: String, _ source: String) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure.usage("\(source): \(what) is not UTF-8")
        }
        return text
    }
}
