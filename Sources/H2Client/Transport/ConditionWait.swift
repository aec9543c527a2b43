import CNghttp2

/// Waits on a pthread condition, with its mutex held. False where nobody signalled it for that long.
///
/// Whole-module builds cannot say which module `timespec` belongs to, so the time is put together in C.
func waitForSignal(
    _ condition: UnsafeMutableRawPointer, _ mutex: UnsafeMutableRawPointer, seconds: CInt
) -> Bool { ch2_cond_wait(condition, mutex, seconds) }
