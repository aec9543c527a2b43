import H2Client
import H2Measure
import H2Platform

/// Hides a URL's secrets for messages and logs: everything before its `@`, and the values of parameters named like keys,
/// tokens and passwords.
func withoutSecrets(_ url: String) -> String { withoutParameters(withoutUserInfo(url)) }

/// Names of parameters whose values are secrets; `secretParts` holds parts of such names.
private let secretNames: Set<String> = ["key", "pwd", "auth", "sig", "sid", "session", "sessionid", "jwt"]
private let secretParts = [
    "token", "secret", "passw", "apikey", "api_key", "api-key", "accesskey", "access_key", "credential", "signature",
]

private func withoutParameters(_ url: String) -> String {
    // Some services' redirects put parameters after the '#' too.
    let isMark: (UInt8) -> Bool = { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }
    guard let mark = url.utf8.firstIndex(where: isMark) else { return url }
    var out = String(url[...mark])
    var name: [UInt8] = []
    var isValue = false
    var text: [UInt8] = []
    for byte in url.utf8[url.utf8.index(after: mark)...] {
        switch byte {
        case UInt8(ascii: "&"), UInt8(ascii: ";"), UInt8(ascii: "#"):
            (name, isValue) = ([], false)
            text.append(byte)
        case UInt8(ascii: "=") where !isValue:
            isValue = true
            text.append(byte)
            let lower = String(decoding: name, as: UTF8.self).lowercased()
            if secretNames.contains(lower) || secretParts.contains(where: { lower.firstRange(ofASCII: $0) != nil }) {
                text += "***".utf8
                // Skip everything up to the next parameter.
                name = hidden
            }
        default:
            if !isValue { name.append(byte) }
            if name != hidden { text.append(byte) }
        }
    }
    out += String(decoding: text, as: UTF8.self)
    return out
}

/// Marks a hidden value. Not a possible parameter name, because it contains a NUL.
private let hidden: [UInt8] = [0]

/// An argument in the form that errors may quote: printable, short, and without possible secrets.
///
/// An argument with spaces is hidden as a whole: it may be a header field, or a token after its scheme.
func shown(_ argument: String) -> String {
    let text = withoutSecrets(argument)
    guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f }) else { return "***" }
    return shortened(printable(text), to: 100)
}

/// Hides the credentials of URLs in a message.
func withoutCredentials(_ message: String) -> String {
    let slashes = Array("://".utf8)
    let bytes = Array(message.utf8)
    guard bytes.contains(UInt8(ascii: "@")) else { return message }
    // A URL begins with the letters before `://`, and ends at a space or a quote.
    let words = bytes.split(omittingEmptySubsequences: false) { $0 == 0x20 || $0 == 0x0a || $0 == UInt8(ascii: "'") }
    var out: [UInt8] = []
    for word in words {
        if !out.isEmpty || word.startIndex > 0 { out.append(bytes[word.startIndex - 1]) }
        let isURL = word.indices.contains { word[$0...].starts(with: slashes) }
        if isURL, word.contains(UInt8(ascii: "@")) {
            out += withoutUserInfo(String(decoding: word, as: UTF8.self)).utf8
        } else {
            out += word
        }
    }
    return String(decoding: out, as: UTF8.self)
}

/// Hides everything before a URL's `@`.
func withoutUserInfo(_ url: String) -> String {
    // In a URL that cannot be parsed, credentials may be anywhere before an `@`.
    guard (try? RequestTarget(url)) != nil else { return Redaction.url(url) }
    let bytes = Array(url.utf8)
    let slashes = Array("://".utf8)
    guard bytes.count > 3, let start = (0..<bytes.count - 3).first(where: { bytes[$0..<$0 + 3].elementsEqual(slashes) })
    else { return url }
    let ends = Array("/?#".utf8)
    let authority = bytes[(start + 3)...].prefix { !ends.contains($0) }
    guard let at = authority.lastIndex(of: UInt8(ascii: "@")) else { return url }
    return String(decoding: bytes[..<(start + 3)], as: UTF8.self) + "***"
        + String(decoding: bytes[at...], as: UTF8.self)
}

/// `text`, or its first `limit` characters and an ellipsis if it is longer.
func shortened(_ text: String, to limit: Int) -> String {
    guard let end = text.index(text.startIndex, offsetBy: limit, limitedBy: text.endIndex), end < text.endIndex else {
        return text
    }
    return text[..<end] + "…"
}

extension Duration {
    /// The duration in a short form, such as `0.31 ms` or `2.50 s`.
    var brief: String {
        inSeconds < 1 ? "\(fixed(inSeconds * 1000, 2)) ms" : "\(fixed(inSeconds, 2)) s"
    }
}
