/// When received bytes are credited back to the peer (RFC 9113 section 5.2), and how large the windows should be.
///
/// 1. A stream's window is credited when its reader takes the bytes.
/// 2. The connection's window is credited on arrival, so that one slow reader never stalls its siblings,
/// 3. but only while all streams together hold at most `unreadLimit` unread; past that the connection's credit is owed
///    until readers have caught up.
/// 4. Every half window a PING measures the round trip. If more than half the window arrived within one round trip,
///    the window was what limited the peer: it is doubled, up to `maximum`.
struct ReceiveWindow {
    let unreadLimit: Int
    let maximum: Int
    /// Sizes now in force for a stream and for the connection.
    private(set) var stream: Int
    private(set) var connection: Int
    /// Unread bytes of all streams.
    private(set) var unread = 0
    /// Bytes that arrived and were not credited to the connection.
    private(set) var debt = 0

    private var sinceProbe = 0
    private var probe: (sentAt: UInt64, bytes: Int)?
    private var fruitlessProbes = 0

    init(_ windows: Configuration.Windows) {
        unreadLimit = windows.unreadLimit
        stream = min(max(windows.stream, 65_535), Int(Int32.max))
        connection = min(max(windows.connection, 65_535), Int(Int32.max))
        maximum = min(max(windows.maximum, stream), Int(Int32.max))
    }

    /// Bytes arrived; how many to credit to the connection now.
    mutating func arrived(_ count: Int, buffered: Bool) -> Int {
        sinceProbe += count
        if probe != nil { probe!.bytes += count }
        guard buffered else { return count }
        unread += count
        guard unread > unreadLimit else { return count }
        debt += count
        return 0
    }

    /// Bytes were read or dropped; how many to credit to the connection now.
    mutating func taken(_ count: Int) -> Int {
        unread -= count
        guard debt > 0, unread <= unreadLimit else { return 0 }
        defer { debt = 0 }
        return debt
    }

    /// Whether to send a PING that measures the bandwidth-delay product.
    mutating func shouldProbe(now: UInt64) -> Bool {
        // After three probes in a row that changed nothing the windows fit: look again only now and then.
        let interval = (stream / 2) << min(max(fruitlessProbes - 2, 0), 6)
        guard stream < maximum, probe == nil, sinceProbe >= interval else { return false }
        sinceProbe = 0
        probe = (now, 0)
        return true
    }

    /// The PING came back. True where the windows have grown.
    mutating func probed(now: UInt64) -> Bool {
        guard let probe else { return false }
        self.probe = nil
        guard probe.bytes > stream / 2 else {
            fruitlessProbes += 1
            return false
        }
        fruitlessProbes = 0
        stream = min(max(stream * 2, probe.bytes * 2), maximum)
        connection = min(max(connection, stream * 2), Int(Int32.max))
        return true
    }
}
