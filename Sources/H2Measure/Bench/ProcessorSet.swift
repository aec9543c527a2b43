import H2Platform

/// The processors that this process may use.
enum ProcessorSet {
    /// Their number: with taskset, and in many containers, less than the machine has. At least 1.
    static var count: Int {
        // Fall back to the system's own figure.
        allowed ?? max(Int(sysconf(CInt(_SC_NPROCESSORS_ONLN))), 1)
    }

    /// From /proc on Linux; Swift cannot call sched_getaffinity itself.
    private static var allowed: Int? {
        let descriptor = open("/proc/self/status", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 16_384)
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return nil }
        return allowed(in: String(decoding: bytes[..<count], as: UTF8.self))
    }

    /// The number of processors in the mask of a status file; nil if there is no mask.
    static func allowed(in status: String) -> Int? {
        let name = "Cpus_allowed:"
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else { return nil }
        let count = line.dropFirst(name.count).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
        return count > 0 ? count : nil
    }
}
