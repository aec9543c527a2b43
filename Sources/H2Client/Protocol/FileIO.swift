import CNghttp2

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

func closeDescriptor(_ descriptor: CInt) { _ = close(descriptor) }

/// Opens a request body's file: its descriptor and length.
/// - Throws: `H2Error` (`localIO`) for what cannot be opened or is no regular file.
func openBodyFile(_ path: String) throws -> (descriptor: CInt, length: Int) {
    func failure(_ what: String, _ remedy: String) -> H2Error {
        H2Error(.localIO, initiator: .user, cause: .errno(errno), message: what, remedy: remedy)
    }
    // To open a pipe blocks until somebody writes to it; for a regular file O_NONBLOCK changes nothing.
    let descriptor = ch2_open(path, O_RDONLY | O_NONBLOCK, 0)
    guard descriptor >= 0 else {
        throw failure("cannot read '\(path)': \(String(cString: strerror(errno)))", "check the path and its rights")
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
        close(descriptor)
        throw failure("'\(path)' is not a regular file", "stream it instead")
    }
    return (descriptor, Int(status.st_size))
}

/// Fills `buffer` from a file; false where the file is shorter than it was, or cannot be read.
func readExactly(_ descriptor: CInt, offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
    var done = 0
    while done < buffer.count {
        let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return false }
        done += count
    }
    return true
}

/// Writes all of `bytes`; 0, or the errno that stopped it.
package func writeFully(_ descriptor: CInt, _ bytes: UnsafeRawBufferPointer) -> CInt {
    var done = 0
    while done < bytes.count {
        let count = write(descriptor, bytes.baseAddress! + done, bytes.count - done)
        if count >= 0 {
            done += count
        } else if errno == EAGAIN {
            // A pipe or terminal that somebody made non-blocking: wait for it rather than lose bytes.
            var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            _ = waitUntilWritable(&poll)
        } else if errno != EINTR {
            return errno
        }
    }
    return 0
}

private func waitUntilWritable(_ descriptor: inout pollfd) -> CInt { poll(&descriptor, 1, -1) }
