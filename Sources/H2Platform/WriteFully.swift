/// Writes all of `bytes`, and may block.
/// - Parameters:
///   - isWanted: asked several times a second while there is no room; without it the wait has no end.
///   - onProgress: called at the end with the number of bytes that were written.
/// - Returns: 0, or the errno that stopped it; ECANCELED where it is not wanted any more.
package func writeFully(
    _ descriptor: CInt, _ bytes: UnsafeRawBufferPointer, while isWanted: (() -> Bool)? = nil,
    onProgress: (Int) -> Void = { _ in }
) -> CInt {
    var done = 0
    defer { onProgress(done) }
    while done < bytes.count {
        var count = bytes.count - done
        if let isWanted {
            guard isWanted() else { return ECANCELED }
            guard hasRoom(descriptor) else { continue }
            // A descriptor that reports room takes this much at once, and does not block.
            count = min(count, Int(PIPE_BUF))
        }
        let written = write(descriptor, bytes.baseAddress! + done, count)
        if written >= 0 {
            done += written
        } else if errno == EAGAIN {
            // A pipe or terminal that somebody made non-blocking: wait for it rather than lose bytes.
            _ = hasRoom(descriptor)
        } else if errno != EINTR {
            return errno
        }
    }
    return 0
}

/// Waits for room to write, 200 ms at most. An error counts as room: the write says which it is.
private func hasRoom(_ descriptor: CInt) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    let result = poll(&entry, 1, 200)
    return result > 0 || (result < 0 && errno != EINTR)
}
