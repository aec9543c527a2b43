import CNghttp2
import H2Platform

/// Renames a file atomically if the new name does not exist yet.
/// - Returns: 0; EEXIST if it exists; ENOSYS, EPERM or EINVAL if the system or the file system does not support this; or
///   another errno.
package func renameReplacingNothing(_ path: UnsafePointer<CChar>, _ newPath: UnsafePointer<CChar>) -> CInt {
    ch2_rename_new(path, newPath) == 0 ? 0 : errno
}
