/// One challenge of a `www-authenticate` or `proxy-authenticate` field (RFC 9110 section 11.3).
struct AuthenticationChallenge: Sendable, Hashable {
    /// The limits on one response. Anything beyond them is ignored: no honest server comes close.
    enum Limits {
        /// The total length of all fields, in bytes.
        static let length = 64 << 10
        /// The number of challenges.
        static let challenges = 32
        /// The number of parameters of one challenge.
        static let parameters = 64
    }

    struct Parameter: Sendable, Hashable {
        /// In lower case.
        let name: String
        /// Without quotes and escapes.
        let value: [UInt8]
    }

    /// The scheme in lower case, such as `basic`.
    let scheme: String
    /// The data of a scheme that has no parameters, such as Negotiate.
    var token68: [UInt8]?
    private(set) var parameters: [Parameter] = []

    init(scheme: String) { self.scheme = scheme }

    /// The first value of a parameter. RFC 9110 section 11.2 forbids a second one.
    func value(_ name: String) -> [UInt8]? { parameters.first { $0.name == name }?.value }

    /// A parameter's value in lower case, for values that are tokens.
    func token(_ name: String) -> String? { value(name).map { String(decoding: $0, as: UTF8.self).lowercased() } }

    /// Parses the challenges of all fields of a response, in order. Never fails: malformed parts are left out.
    static func parse(_ fieldValues: [[UInt8]]) -> [AuthenticationChallenge] {
        var challenges: [AuthenticationChallenge] = []
        var length = 0
        for value in fieldValues {
            length += value.count
            guard length <= Limits.length else { break }
            var parser = Parser(value)
            parser.parse(into: &challenges)
        }
        return challenges
    }

    /// The parameters of an `authentication-info` field (RFC 9110 section 11.6.3), which has no scheme.
    static func parameters(of fieldValue: [UInt8]) -> AuthenticationChallenge {
        var list = [AuthenticationChallenge(scheme: "")]
        guard fieldValue.count <= Limits.length else { return list[0] }
        var parser = Parser(fieldValue, hasScheme: true)
        parser.parse(into: &list)
        return list[0]
    }
}

extension AuthenticationChallenge {
    /// Parses one field value.
    ///
    /// The grammar is a list of challenges, each with its own list of parameters, and both lists use commas. A name
    /// followed by `=` is a parameter of the challenge before it; any other name starts a new challenge.
    private struct Parser {
        private let bytes: [UInt8]
        private var at = 0
        /// Whether parameters belong to the last challenge; if not, they belong to nothing.
        private var hasScheme: Bool

        init(_ bytes: [UInt8], hasScheme: Bool = false) {
            self.bytes = bytes
            self.hasScheme = hasScheme
        }

        mutating func parse(into challenges: inout [AuthenticationChallenge]) {
            while true {
                skip { $0 == UInt8(ascii: ",") || Self.isSpace($0) }
                guard at < bytes.count else { return }
                let name = take(while: TokenBytes.contains)
                guard !name.isEmpty else {
                    skipUnknown()
                    continue
                }
                let afterName = at
                skip(Self.isSpace)
                let text = String(decoding: name, as: UTF8.self).lowercased()
                if at < bytes.count, bytes[at] == UInt8(ascii: "=") {
                    at += 1
                    skip(Self.isSpace)
                    guard let value = parameterValue(), hasScheme, var last = challenges.popLast() else { continue }
                    if last.parameters.count < Limits.parameters {
                        last.parameters.append(Parameter(name: text, value: value))
                    }
                    challenges.append(last)
                } else {
                    guard challenges.count < Limits.challenges else { return }
                    var challenge = AuthenticationChallenge(scheme: text)
                    if at > afterName { challenge.token68 = token68() }
                    challenges.append(challenge)
                    hasScheme = true
                }
            }
        }

        /// Data in place of parameters, up to a comma or the end. It may have `=` only at its end.
        private mutating func token68() -> [UInt8]? {
            let start = at
            skip { byte in
                (TokenBytes.contains(byte) || byte == UInt8(ascii: "/")) && !"!#$%&'*^`|".utf8.contains(byte)
            }
            let isEmpty = at == start
            skip { $0 == UInt8(ascii: "=") }
            let data = bytes[start..<at]
            skip(Self.isSpace)
            guard !isEmpty, at == bytes.count || bytes[at] == UInt8(ascii: ",") else {
                at = start
                return nil
            }
            return Array(data)
        }

        /// A quoted string, or anything up to a comma or space, since servers leave out quotes where they must not. Nil
        /// if a quote does not end.
        private mutating func parameterValue() -> [UInt8]? {
            guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else {
                return Array(take { $0 != UInt8(ascii: ",") && !Self.isSpace($0) })
            }
            at += 1
            var value: [UInt8] = []
            while at < bytes.count {
                var byte = bytes[at]
                at += 1
                if byte == UInt8(ascii: "\"") { return value }
                if byte == UInt8(ascii: "\\"), at < bytes.count {
                    byte = bytes[at]
                    at += 1
                }
                value.append(byte)
            }
            return nil
        }

        /// Skips anything that is not a challenge or a parameter, up to the next comma outside quotes.
        private mutating func skipUnknown() {
            while at < bytes.count, bytes[at] != UInt8(ascii: ",") {
                if bytes[at] == UInt8(ascii: "\"") { _ = parameterValue() } else { at += 1 }
            }
        }

        private mutating func skip(_ isSkipped: (UInt8) -> Bool) {
            while at < bytes.count, isSkipped(bytes[at]) { at += 1 }
        }

        private mutating func take(while isTaken: (UInt8) -> Bool) -> ArraySlice<UInt8> {
            let start = at
            skip(isTaken)
            return bytes[start..<at]
        }

        private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    }
}
