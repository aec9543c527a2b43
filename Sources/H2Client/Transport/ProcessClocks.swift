import CNghttp2

/// What the system knows of the time that passed and the time that was used.
package enum ProcessClocks {
    /// CPU time of the calling thread, nanoseconds.
    package static var threadNanoseconds: UInt64 { ch2_thread_nanoseconds() }
    /// Seconds since 1970.
    package static var wallSeconds: Double { ch2_wall_seconds() }

    /// CPU seconds of the process so far, and the largest resident size that it had, in bytes.
    package static var usage: (user: Double, system: Double, residentBytes: Int) {
        var (user, system) = (0.0, 0.0)
        let resident = ch2_process_usage(&user, &system)
        return (user, system, resident)
    }
}
