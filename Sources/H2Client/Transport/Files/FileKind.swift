package import H2Platform

/// The kind of file at a path, with links followed.
package enum FileKind: Equatable {
    case regular
    case folder
    /// A pipe, a device, a socket.
    case other
    case missing(Int32)

    package init(path: String) {
        var status = stat()
        self = stat(path, &status) == 0 ? FileKind(status) : .missing(errno)
    }

    package init(_ path: FilePath) {
        var status = stat()
        self = stat(path.c, &status) == 0 ? FileKind(status) : .missing(errno)
    }

    package init(descriptor: CInt) {
        var status = stat()
        self = fstat(descriptor, &status) == 0 ? FileKind(status) : .missing(errno)
    }

    package init(_ status: stat) {
        switch status.st_mode & S_IFMT {
        case S_IFREG: self = .regular
        case S_IFDIR: self = .folder
        default: self = .other
        }
    }
}
