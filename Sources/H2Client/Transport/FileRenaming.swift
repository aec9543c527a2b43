import CNghttp2
import H2Platform

/// Renames a file where nothing has the new name yet, in one step.
/// - Returns: 0; EEXIST where something has it; ENOSYS, EPERM or EINVAL where the system or the file system cannot tell; or
///   another errno.
package func renameReplacingNothing(_ path: UnsafePointer<CChar>, _ newPath: UnsafePointer<CChar>) -> CInt {
    ch2_rename_new(path, newPath) == 0 ? 0 : errno
}
