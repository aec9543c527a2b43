import CNghttp2

/// Clocks and resource usage of the system.
package enum ProcessClocks {
    /// CPU time of the calling thread in nanoseconds.
    package static var threadNanoseconds: UInt64 { ch2_thread_nanoseconds() }
    /// Seconds since 1970.
    package static var wallSeconds: Double { ch2_wall_seconds() }

    /// CPU seconds of the process so far, and its peak resident size in bytes.
    package static var usage: (user: Double, system: Double, residentBytes: Int) {
        var (user, system) = (0.0, 0.0)
        let resident = ch2_process_usage(&user, &system)
        return (user, system, resident)
    }
}
