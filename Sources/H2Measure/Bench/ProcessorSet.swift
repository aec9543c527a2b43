import H2Platform

/// The processors that this process may use.
enum ProcessorSet {
    /// How many they are: with taskset, and in many containers, fewer than the machine has. At least 1.
    static var count: Int {
        // The system's own figure where it does not say which.
        allowed ?? max(Int(sysconf(CInt(_SC_NPROCESSORS_ONLN))), 1)
    }

    /// As Linux says it in /proc; sched_getaffinity itself is out of Swift's reach.
    private static var allowed: Int? {
        let descriptor = open("/proc/self/status", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 16_384)
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return nil }
        return allowed(in: String(decoding: bytes[..<count], as: UTF8.self))
    }

    /// The number of processors in the mask of a status file; nil where there is none.
    static func allowed(in status: String) -> Int? {
        let name = "Cpus_allowed:"
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else { return nil }
        let count = line.dropFirst(name.count).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
        return count > 0 ? count : nil
    }
}
