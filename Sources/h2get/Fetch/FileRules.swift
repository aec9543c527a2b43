import H2Client
import H2Platform

/// How files are made, and what becomes of those that exist.
struct FileRules: Sendable, Equatable {
    enum Existing: Sendable, Equatable {
        case replaced
        /// --no-clobber: the new file gets another name.
        case kept
        /// --skip-existing: there is no request.
        case skipped
    }

    /// --no-clobber tries this many further names.
    static let names = 100

    var existing = Existing.replaced
    /// --create-file-mode.
    var mode: UInt32?
    /// --remove-on-error.
    var removesOnError = false
    /// -R.
    var keepsTime = false
    /// --xattr.
    var hasAttributes = false
    /// -J.
    var usesHeaderName = false

    /// An octal mode of --create-file-mode.
    @Sendable static func mode(_ text: String) throws -> UInt32 {
        guard (1...4).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x37).contains($0) }),
            let mode = UInt32(text, radix: 8), mode <= 0o777
        else { throw BadValue("write an octal number from 0 to 777, such as 600 or 0644") }
        return mode
    }

    /// Whether something has this name, if only a link that leads nowhere.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }
}
