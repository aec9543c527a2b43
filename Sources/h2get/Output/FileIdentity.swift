import H2Platform

/// A file's identity, independent of the name, link or mount by which it is reached.
enum FileIdentity: Hashable, Sendable {
    /// A file that exists.
    case file(device: UInt64, number: UInt64)
    /// A name in a folder, whether or not the file exists. Names are bytes: a composed and a decomposed letter, which are
    /// equal as Swift strings, are different names.
    case entry(device: UInt64, folder: UInt64, name: [UInt8])

    init(_ status: stat) {
        self = .file(
            device: UInt64(truncatingIfNeeded: status.st_dev), number: UInt64(truncatingIfNeeded: status.st_ino))
    }

    /// - Parameter path: a path whose last component is not a link. If its folder does not exist, the spelling decides.
    init(entry path: FilePath) {
        let (folder, name) = path.parts
        var status = stat()
        guard stat(folder.c, &status) == 0 else {
            self = .entry(device: 0, folder: 0, name: path.bytes)
            return
        }
        self = .entry(
            device: UInt64(truncatingIfNeeded: status.st_dev), folder: UInt64(truncatingIfNeeded: status.st_ino),
            name: Array(name))
    }

    /// The file at `path`, with links followed; nil if there is none.
    init?(path: String) { self.init(FilePath(path)) }

    init?(_ path: FilePath) {
        var status = stat()
        guard stat(path.c, &status) == 0 else { return nil }
        self.init(status)
    }

    /// The file that is open as `descriptor`; nil if none is.
    init?(descriptor: CInt) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }
}

/// A path as bytes, which need not be UTF-8.
struct FilePath: Sendable, Equatable {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    init(_ text: String) { bytes = Array(text.utf8) }

    /// The path for system calls.
    var c: [CChar] { bytes.map { CChar(bitPattern: $0) } + [0] }

    /// The path for messages.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The folder (`.` if the path names none) and the last component.
    var parts: (folder: FilePath, name: ArraySlice<UInt8>) {
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return (FilePath("."), bytes[...]) }
        return (slash == 0 ? FilePath("/") : FilePath(Array(bytes[..<slash])), bytes[(slash + 1)...])
    }
}

/// The bytes of the symbolic link at `path`; nil if it is not a link.
func linkTarget(_ path: FilePath) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes {
        readlink(path.c, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    return count > 0 ? Array(buffer.prefix(count)) : nil
}

/// A path's folder and its last component.
func splitPath(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (".", path) }
    let name = String(path[path.utf8.index(after: slash)...])
    return (slash == path.utf8.startIndex ? "/" : String(path[..<slash]), name)
}
