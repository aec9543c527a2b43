import CNghttp2
import H2Platform

/// Sets an extended attribute of an open file, for which the descriptor need not be writable.
/// - Parameter name: with its namespace, such as `user.mime_type`.
/// - Returns: 0, or an errno: ENOTSUP if the file system has none.
package func setExtendedAttribute(_ name: String, _ value: String, of descriptor: CInt) -> CInt {
    var value = value
    let code = value.withUTF8 { ch2_set_attribute(descriptor, name, $0.baseAddress, $0.count) }
    return code == 0 ? 0 : errno
}
