/// The fields of a form, in order, sent as `application/x-www-form-urlencoded`. Names may repeat.
///
/// ```swift
/// var fields: FormFields = ["name": "Ada Lovelace", "tag": "maths", "tag": "engines"]
/// fields.append("note", "x & y")
/// let created = try await client.post("https://example.com/people", body: .form(fields))
/// print(fields.encoded)  // name=Ada+Lovelace&tag=maths&tag=engines&note=x+%26+y
/// ```
public struct FormFields: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// The fields as they are sent: serialised as in the URL standard
    /// (https://url.spec.whatwg.org/#urlencoded-serializing), in UTF-8.
    public private(set) var encoded = ""

    /// Creates a form without fields.
    public init() {}

    /// Creates a form with the names and values of a literal, in its order.
    public init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { append(name, value) }
    }

    /// Whether there are no fields.
    public var isEmpty: Bool { encoded.isEmpty }

    /// Adds a field at the end, even if a field with that name exists.
    public mutating func append(_ name: String, _ value: String) {
        if !encoded.isEmpty { encoded += "&" }
        encoded += Self.encoded(name)
        encoded += "="
        encoded += Self.encoded(value)
    }

    private static func encoded(_ text: String) -> String {
        var out: [UInt8] = []
        out.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: " "): out.append(UInt8(ascii: "+"))
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "*"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"):
                out.append(byte)
            default: out += TokenBytes.percentEncoded(byte)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
