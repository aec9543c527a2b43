import CNghttp2
import H2Client
import H2Platform

/// The folder of files that an origin serves.
///
/// Files are opened and read on the loop: reading from the page cache costs less than a thread.
final class Site {
    /// The folder with all symbolic links resolved, without a trailing slash; nil serves no files.
    private let root: String?
    private let rootDescriptor: CInt
    private let servesDotFiles: Bool

    /// - Throws: `localIO` if the folder does not exist or is not a folder.
    init(documentRoot: String?, servesDotFiles: Bool = false) throws {
        self.servesDotFiles = servesDotFiles
        guard let documentRoot else {
            (root, rootDescriptor) = (nil, -1)
            return
        }
        var status = stat()
        guard let resolved = Site.resolved(documentRoot), stat(resolved, &status) == 0,
            status.st_mode & S_IFMT == S_IFDIR
        else {
            let code = errno == 0 ? ENOTDIR : errno
            throw H2Error(
                .localIO, cause: .errno(code), message: "cannot serve the folder '\(documentRoot)'",
                remedy: "it must be a folder that exists")
        }
        root = resolved == "/" ? "" : resolved
        rootDescriptor = ch2_open(resolved, O_RDONLY | O_DIRECTORY, 0)
    }

    deinit {
        if rootDescriptor >= 0 { close(rootDescriptor) }
    }

    struct File {
        /// Owned by the caller, who must close it.
        var descriptor: CInt
        var size: Int
        /// Seconds since 1970.
        var modified: Int
        var entityTag: String
        var contentType: StaticString
    }

    enum Finding {
        case file(File)
        /// A folder, requested without its trailing slash.
        case folder
        case forbidden
        case missing
        /// No more files can be opened now.
        case busy
    }

    // MARK: - Look-up

    /// Looks up a request's path (percent-encoded, without its query). A path that leads outside the folder, by `..`, an
    /// encoded slash or a symbolic link, is not found.
    func find(_ path: Substring) -> Finding {
        guard root != nil else { return .missing }
        var local = ""
        for part in path.utf8.split(separator: UInt8(ascii: "/")) {
            guard let name = Target.decoded(Substring(part)), name != "..", name != ".",
                !name.utf8.contains(UInt8(ascii: "/"))
            else { return .missing }
            if !servesDotFiles, name.utf8.first == UInt8(ascii: "."), !(local.isEmpty && name == ".well-known") {
                return .missing
            }
            if !local.isEmpty { local += "/" }
            local += name
        }
        let asksForFolder = path.utf8.last == UInt8(ascii: "/")
        switch open(local.isEmpty ? "." : local) {
        case .folder where asksForFolder:
            let index = open(local.isEmpty ? "index.html" : local + "/index.html")
            if case .folder = index { return .missing }
            return index
        case .file(let file) where asksForFolder:
            close(file.descriptor)
            return .missing
        case let finding: return finding
        }
    }

    private func open(_ path: String) -> Finding {
        // Non-blocking: a FIFO must not block the loop before it is recognized as not a file.
        let flags = O_RDONLY | O_NONBLOCK
        var descriptor = ch2_open_beneath(rootDescriptor, path, flags)
        if descriptor < 0 && ![ENOENT, ENOTDIR, EMFILE, ENFILE].contains(errno) {
            // The kernel lacks this call, a system call filter refuses it with an arbitrary error, or the path has an
            // absolute link, which may lead back inside. Check and open are two steps here: only someone who may change the
            // folder can interfere, and it is their folder.
            guard let root, let resolved = resolvedInside(root + "/" + path, root: root) else { return .missing }
            descriptor = ch2_open(resolved, flags | O_NOFOLLOW, 0)
        }
        guard descriptor >= 0 else {
            return switch errno {
            case EACCES: .forbidden
            case EMFILE, ENFILE, ENOMEM: .busy
            default: .missing
            }
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            let isFolder = status.st_mode & S_IFMT == S_IFDIR
            close(descriptor)
            return isFolder ? .folder : .missing
        }
        let modified = status.modificationTime
        let size = Int(status.st_size)
        let tag =
            "\"" + String(modified.seconds, radix: 16) + "." + String(modified.nanoseconds, radix: 16) + "-"
            + String(size, radix: 16) + "\""
        return .file(
            File(
                descriptor: descriptor, size: size, modified: modified.seconds, entityTag: tag,
                contentType: Site.contentType(of: path)))
    }

    private func resolvedInside(_ path: String, root: String) -> String? {
        guard let resolved = Site.resolved(path),
            resolved.utf8.elementsEqual(root.utf8) || resolved.utf8.starts(with: (root + "/").utf8)
        else { return nil }
        return resolved
    }

    private static func resolved(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    // MARK: - Facts about files

    private static func contentType(of path: String) -> StaticString {
        guard let dot = path.utf8.lastIndex(of: UInt8(ascii: ".")) else { return "application/octet-stream" }
        switch path[path.utf8.index(after: dot)...].lowercased() {
        case "html", "htm": return "text/html; charset=utf-8"
        case "txt", "md", "log": return "text/plain; charset=utf-8"
        case "css": return "text/css; charset=utf-8"
        case "js", "mjs": return "text/javascript; charset=utf-8"
        case "json": return "application/json"
        case "xml": return "application/xml"
        case "csv": return "text/csv; charset=utf-8"
        case "svg": return "image/svg+xml"
        case "png": return "image/png"
        case "jpg", "jpeg": return "image/jpeg"
        case "gif": return "image/gif"
        case "webp": return "image/webp"
        case "ico": return "image/x-icon"
        case "pdf": return "application/pdf"
        case "wasm": return "application/wasm"
        case "woff2": return "font/woff2"
        case "mp4": return "video/mp4"
        case "gz": return "application/gzip"
        case "zip": return "application/zip"
        default: return "application/octet-stream"
        }
    }

    /// A date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7), independent of the locale.
    static func httpDate(_ seconds: Int) -> String {
        var moment = time_t(seconds)
        var parts = tm()
        gmtime_r(&moment, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: CInt) -> String { (number < 10 ? "0" : "") + String(number) }
        return
            "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(1900 + Int(parts.tm_year)) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }

    /// The bytes that a Range field with one range requests (RFC 9110 section 14).
    ///
    /// nil if the field must be ignored, an empty range if none of the bytes exist. A number too large for any file is not an
    /// error.
    static func range(_ field: String, size: Int) -> Range<Int>? {
        let unit = field.prefix(6)
        guard unit.lowercased() == "bytes=" else { return nil }
        let parts = field.utf8.dropFirst(unit.utf8.count)
            .split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        if parts[0].isEmpty {
            guard let suffix = wholeNumber(parts[1]) else { return nil }
            return size - min(suffix, size)..<size
        }
        guard let first = wholeNumber(parts[0]) else { return nil }
        var last = Int.max
        if !parts[1].isEmpty {
            guard let number = wholeNumber(parts[1]), number >= first else { return nil }
            last = number
        }
        // Half-open, so that the largest number does not overflow.
        return first < size ? first..<(last < size ? last + 1 : size) : 0..<0
    }
}
