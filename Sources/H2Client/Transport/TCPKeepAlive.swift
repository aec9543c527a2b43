import CNghttp2

extension ConnectionConfiguration.TCPKeepAlive {
    /// Sets the options of a socket. Returns false if the system rejected one.
    func apply(to descriptor: CInt) -> Bool {
        let (idle, interval) = (Self.seconds(idle), Self.seconds(interval))
        let count = min(max(count, 1), 127)
        let derived = (Int(idle) + count * Int(interval)) * 1_000
        let timeout = userTimeout.map { Int(clamping: ($0.clampedNanoseconds + 999_999) / 1_000_000) } ?? derived
        return ch2_keep_alive(descriptor, idle, interval, CInt(count), CInt(clamping: max(timeout, 1)))
    }

    /// Whole seconds within the range that the system accepts.
    private static func seconds(_ duration: Duration) -> CInt {
        CInt(min(max((duration.clampedNanoseconds + 999_999_999) / 1_000_000_000, 1), 32_767))
    }
}
