import HTTPTypes

/// A form with files, sent as `multipart/form-data` (RFC 7578).
///
/// ```swift
/// var form = MultipartForm()
/// form.append("title", "Holiday")
/// form.append("photo", file: "beach.jpg")
/// let created = try await client.post("https://example.com/photos", body: .multipart(form))
/// ```
///
/// Parts are sent in order, and names may repeat. Files and streams are sent as they are read, with backpressure.
public struct MultipartForm: Sendable {
    /// One field of a form.
    public struct Part: Sendable {
        /// The name of the field.
        public var name: String
        /// The name of the file, without a folder; nil if the part is not a file.
        public var fileName: String?
        /// The media type of the part; nil for none, which means plain text (RFC 7578 section 4.4).
        public var contentType: String?
        /// The contents. Their trailer fields are not sent.
        public var body: HTTPRequestBody

        /// Creates a part.
        /// - Parameters:
        ///   - name: The name of the field.
        ///   - body: The contents: bytes, a string, a file, or a stream.
        ///   - fileName: The name of the file, without a folder; nil if the part is not a file.
        ///   - contentType: The media type. Default: the body's own, or else the type for the file name's extension;
        ///     `application/octet-stream` if there is a file name with another extension, and none otherwise.
        public init(_ name: String, _ body: HTTPRequestBody, fileName: String? = nil, contentType: String? = nil) {
            self.name = name
            self.body = body
            self.fileName = fileName
            self.contentType =
                contentType ?? body.contentType ?? fileName.map { MediaTypes.type(ofFileNamed: $0) }
        }
    }

    /// The parts, in the order they are sent.
    public var parts: [Part]
    /// Whether quotes and backslashes in names get a backslash rather than HTML's percent-encoding, for servers that expect
    /// what clients sent before. Line ends are percent-encoded all the same.
    package var usesBackslashes = false

    /// Creates a form.
    public init(_ parts: [Part] = []) { self.parts = parts }

    /// Adds a field with text, sent as UTF-8.
    public mutating func append(_ name: String, _ value: String) {
        parts.append(Part(name, .string(value)))
    }

    /// Adds a field with the contents of a regular file.
    /// - Parameters:
    ///   - name: The name of the field.
    ///   - path: The path of the file, which is opened when the form is sent.
    ///   - fileName: The name sent to the server. Default: the last component of the path.
    ///   - contentType: The media type. Default: the type for the name's extension, or else `application/octet-stream`.
    public mutating func append(
        _ name: String, file path: String, fileName: String? = nil, contentType: String? = nil
    ) {
        let last = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path[path.utf8.index(after: $0)...] } ?? path[...]
        parts.append(Part(name, .file(path), fileName: fileName ?? String(last), contentType: contentType))
    }

    /// Adds a part with any body.
    public mutating func append(_ part: Part) { parts.append(part) }
}

extension MultipartForm {
    /// A string of 60 characters that does not occur in any part in memory.
    func newBoundary() -> String {
        var random = SystemRandomNumberGenerator()
        return newBoundary(using: &random)
    }

    func newBoundary(using random: inout some RandomNumberGenerator) -> String {
        let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
        while true {
            // 43 digits have 256 bits, so nobody can guess the boundary and put it into a file or a stream.
            let text =
                "H2Client-Boundary"
                + String(decoding: (0..<43).map { _ in digits.randomElement(using: &random)! }, as: UTF8.self)
            let isFree = parts.allSatisfy { part in
                guard let bytes = part.body.bytesInMemory else { return true }
                return !Self.contains(bytes, Array(text.utf8))
            }
            if isFree { return text }
        }
    }

    private static func contains(_ bytes: [UInt8], _ text: [UInt8]) -> Bool {
        guard bytes.count >= text.count else { return false }
        return bytes.withUnsafeBufferPointer { bytes in
            for start in 0...(bytes.count - text.count)
            where bytes[start] == text[0] && bytes[start + 1] == text[1]
                && text.indices.allSatisfy({ bytes[start + $0] == text[$0] })
            {
                return true
            }
            return false
        }
    }

    /// The bytes before the contents of a part: the delimiter and the header fields.
    func head(of part: Part, boundary: String, isFirst: Bool) -> [UInt8] {
        var text = isFirst ? "" : "\r\n"
        text += "--\(boundary)\r\nContent-Disposition: form-data; name=\"\(escaped(part.name))\""
        if let fileName = part.fileName { text += "; filename=\"\(escaped(fileName))\"" }
        text += "\r\n"
        if let type = part.contentType {
            // HTTPField's value type does not allow line ends.
            text += "Content-Type: \(HTTPField(name: .contentType, value: type).value)\r\n"
        }
        text += "\r\n"
        return Array(text.utf8)
    }

    /// The bytes after the last part.
    static func end(boundary: String, isEmpty: Bool) -> [UInt8] {
        Array("\(isEmpty ? "" : "\r\n")--\(boundary)--\r\n".utf8)
    }

    /// A name as browsers write it:
    /// https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
    private func escaped(_ name: String) -> String {
        var bytes: [UInt8] = []
        for byte in name.utf8 {
            switch byte {
            case UInt8(ascii: "\n"): bytes += "%0A".utf8
            case UInt8(ascii: "\r"): bytes += "%0D".utf8
            case UInt8(ascii: "\"") where usesBackslashes: bytes += "\\\"".utf8
            case UInt8(ascii: "\\") where usesBackslashes: bytes += "\\\\".utf8
            case UInt8(ascii: "\""): bytes += "%22".utf8
            // Servers end the field at a NUL.
            case 0: bytes += "%00".utf8
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
