/// A user name with its password.
///
/// Neither is ever printed: a user might type the password in place of the user name.
struct Login: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    var user: String
    var password: String

    var description: String { "***" }
    var customMirror: Mirror { Mirror(self, children: []) }

    /// The value of an `authorization` field with Basic credentials (RFC 7617), in UTF-8.
    var basicCredentials: String { "Basic \(Base64.encode(Array("\(user):\(password)".utf8)))" }

    /// - Throws: `H2Error` (`invalidConfiguration`) if the scheme cannot carry it.
    func validate(for scheme: HTTPAuthentication.PasswordScheme) throws(H2Error) {
        // RFC 7617 section 2.
        if scheme != .digest, user.utf8.contains(UInt8(ascii: ":")) {
            throw H2Error(
                .invalidConfiguration, initiator: .user, message: "the user name of Basic credentials has a ':'",
                remedy: "check that user name and password are separate; only Digest allows a ':'")
        }
        guard !(user + password).utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
            throw H2Error(
                .invalidConfiguration, initiator: .user,
                message: "the user name or password has a control character",
                remedy: "was it read with the line break at its end?")
        }
    }

    /// The user name of Basic credentials with an empty password, as produced by a URL with only a user name; nil
    /// otherwise.
    static func userWithoutPassword(in fieldValue: String) -> String? {
        let bytes = Array(fieldValue.utf8)
        guard bytes.count > 6, String(decoding: bytes[..<6], as: UTF8.self).lowercased() == "basic ",
            let decoded = Base64.decode(bytes[6...]), decoded.firstIndex(of: UInt8(ascii: ":")) == decoded.count - 1
        else { return nil }
        return String(decoding: decoded.dropLast(), as: UTF8.self)
    }
}
