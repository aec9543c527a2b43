/// The value of a `content-disposition` field (RFC 6266), with the file name that a server suggests.
///
/// ```swift
/// let response = try await client.send(.get, "https://example.com/report")
/// let name = response.contentDisposition?.safeFileName ?? "report"
/// print("saving as \(name)")
/// ```
public struct ContentDisposition: Sendable, Hashable {
    /// The type in lower case, such as `attachment` or `inline`.
    public let type: String
    /// The file name as the server wrote it; nil if there is none. `filename*` (RFC 8187) takes precedence over
    /// `filename`.
    ///
    /// It may be anything, such as `../../.bashrc`: use ``safeFileName`` to name a file.
    public let fileName: String?

    /// Parses a value. Everything after a malformed parameter is ignored.
    /// - Returns: nil if there is no type.
    public init?(_ value: String) { self.init(Array(value.utf8)) }

    /// - Parameter bytes: the value; a quoted name that is not UTF-8 is taken as ISO-8859-1.
    init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        Self.skipBlanks(&rest)
        guard let type = Self.token(&rest) else { return nil }
        self.type = type
        var (plain, extended): (String?, String?)
        while true {
            Self.skipBlanks(&rest)
            guard rest.popFirst() == UInt8(ascii: ";") else { break }
            Self.skipBlanks(&rest)
            // An empty parameter, as at the end.
            if rest.isEmpty || rest.first == UInt8(ascii: ";") { continue }
            guard let name = Self.token(&rest) else { break }
            Self.skipBlanks(&rest)
            guard rest.popFirst() == UInt8(ascii: "=") else { break }
            Self.skipBlanks(&rest)
            guard let value = Self.value(&rest) else { break }
            // The first of two with the same name counts.
            switch name {
            case "filename": if plain == nil { plain = Self.text(value) }
            case "filename*": if extended == nil { extended = Self.extendedValue(value) }
            default: break
            }
        }
        fileName = extended ?? plain
    }

    // MARK: - Parsing

    private static func skipBlanks(_ rest: inout ArraySlice<UInt8>) {
        rest = rest.drop { $0 == 0x20 || $0 == 0x09 }
    }

    /// A token in lower case.
    private static func token(_ rest: inout ArraySlice<UInt8>) -> String? {
        let bytes = rest.prefix { TokenBytes.lowerCase[Int($0)] != 0 }
        guard !bytes.isEmpty else { return nil }
        rest = rest.dropFirst(bytes.count)
        return String(decoding: bytes.map { TokenBytes.lowerCase[Int($0)] }, as: UTF8.self)
    }

    /// A quoted string without its quotes, or everything up to the next semicolon: many servers forget the quotes.
    private static func value(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        guard rest.first == UInt8(ascii: "\"") else {
            var bytes = rest.prefix { $0 != UInt8(ascii: ";") }
            rest = rest.dropFirst(bytes.count)
            while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
            return Array(bytes)
        }
        rest = rest.dropFirst()
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return bytes
            case UInt8(ascii: "\\"):
                guard let escaped = rest.popFirst() else { return nil }
                bytes.append(escaped)
            default: bytes.append(byte)
            }
        }
        return nil
    }

    private static func text(_ bytes: [UInt8]) -> String {
        String(validating: bytes, as: UTF8.self) ?? String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
    }

    /// `UTF-8''na%C3%AFve` (RFC 8187 section 3.2); nil if it is malformed or in another character set.
    private static func extendedValue(_ value: [UInt8]) -> String? {
        let parts = value.split(separator: UInt8(ascii: "'"), omittingEmptySubsequences: false)
        guard parts.count == 3, let bytes = TokenBytes.percentDecoded(parts[2]) else { return nil }
        switch String(decoding: parts[0], as: UTF8.self).lowercased() {
        case "utf-8": return String(validating: bytes, as: UTF8.self)
        case "iso-8859-1": return String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
        default: return nil
        }
    }
}

extension ContentDisposition {
    /// ``fileName`` made safe for creating a file in a folder of your choice; nil if nothing is left of it.
    ///
    /// Only the part after the last `/` or `\` is kept (RFC 6266 section 4.3). Control characters, characters that
    /// change the writing direction, and dots and spaces at both ends are removed. Characters that some file systems
    /// refuse (`: * ? " < > |`) and a leading `-` become `_`, and a `_` is put before a name that Windows reserves
    /// (`CON`, `NUL`, …). The result has at most 255 bytes of UTF-8; a longer name loses the end of its stem. A file
    /// with that name may exist already, and the name may have any extension.
    public var safeFileName: String? { fileName.flatMap { Self.safe($0) } }

    static func safe(_ name: String) -> String? {
        let last =
            name.unicodeScalars.split(omittingEmptySubsequences: false) { $0 == "/" || $0 == "\\" }.last ?? [][...]
        var scalars: [Unicode.Scalar] = []
        for scalar in last where !isRemoved(scalar) {
            scalars.append(":*?\"<>|".unicodeScalars.contains(scalar) ? "_" : scalar)
        }
        let ends: (Unicode.Scalar) -> Bool = { $0 == "." || $0.properties.isWhitespace }
        scalars = Array(scalars.drop(while: ends))
        while let last = scalars.last, ends(last) { scalars.removeLast() }
        guard !scalars.isEmpty else { return nil }
        if scalars[0] == "-" { scalars[0] = "_" }
        guard let name = cut(scalars), isReserved(name) else { return cut(scalars) }
        return cut(["_"] + name.unicodeScalars)
    }

    private static func isRemoved(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        // Controls; marks and embeddings of direction, which can make `txt.exe` look like `exe.txt`; line separators;
        // byte-order marks.
        case 0..<0x20, 0x7f..<0xa0, 0x061c, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069, 0xfeff: true
        default: false
        }
    }

    /// Windows looks at the part before the first dot, without trailing blanks.
    private static func isReserved(_ name: String) -> Bool {
        var scalars = Array(name.unicodeScalars.prefix { $0 != "." })
        while let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() }
        let stem = String(String.UnicodeScalarView(scalars)).lowercased()
        if ["con", "prn", "aux", "nul", "conin$", "conout$"].contains(stem) { return true }
        guard stem.hasPrefix("com") || stem.hasPrefix("lpt") else { return false }
        return ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³"].contains(stem.dropFirst(3))
    }

    /// The longest name in bytes that file systems accept.
    private static let longest = 255
    /// The longest extension in bytes that is kept when a name is cut.
    private static let longestExtension = 20

    private static func cut(_ scalars: [Unicode.Scalar]) -> String? {
        let name = String(String.UnicodeScalarView(scalars))
        guard name.utf8.count > longest else { return name }
        var ending = ""
        if let dot = name.lastIndex(of: "."), name[dot...].utf8.count <= longestExtension {
            ending = String(name[dot...])
        }
        var stem = ""
        var room = longest - ending.utf8.count
        for character in name {
            room -= character.utf8.count
            guard room >= 0 else { break }
            stem.append(character)
        }
        while let last = stem.unicodeScalars.last, last == "." || last.properties.isWhitespace {
            stem.unicodeScalars.removeLast()
        }
        // A single character may be longer than the limit for a name.
        return stem.isEmpty ? nil : stem + ending
    }
}
