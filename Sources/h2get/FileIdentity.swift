#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a file is, by whatever name, link or mount it is reached.
enum FileIdentity: Hashable, Sendable {
    /// A file that exists.
    case file(device: UInt64, number: UInt64)
    /// A place in a folder, whether or not there is a file. Names are bytes: two that Swift takes for the same text, such as
    /// a composed and a decomposed letter, are two names.
    case place(device: UInt64, folder: UInt64, name: [UInt8])

    init(_ status: stat) {
        self = .file(
            device: UInt64(truncatingIfNeeded: status.st_dev), number: UInt64(truncatingIfNeeded: status.st_ino))
    }

    /// - Parameter path: without links behind its last part. Where its folder does not exist, the spelling decides.
    init(placeOf path: String) {
        let (folder, name) = splitPath(path)
        var status = stat()
        guard stat(folder, &status) == 0 else {
            self = .place(device: 0, folder: 0, name: Array(path.utf8))
            return
        }
        self = .place(
            device: UInt64(truncatingIfNeeded: status.st_dev), folder: UInt64(truncatingIfNeeded: status.st_ino),
            name: Array(name.utf8))
    }

    /// What `path` leads to, links followed; nil where there is nothing.
    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    /// The file that is open as `descriptor`; nil if none is.
    init?(descriptor: CInt) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }
}

/// A path's folder and its last part.
func splitPath(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (".", path) }
    let name = String(path[path.utf8.index(after: slash)...])
    return (slash == path.utf8.startIndex ? "/" : String(path[..<slash]), name)
}
