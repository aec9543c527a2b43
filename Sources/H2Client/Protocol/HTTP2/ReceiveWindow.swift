/// Decides when received bytes are credited to the peer (RFC 9113 section 5.2), and how large the windows should be.
///
/// 1. A stream's window is credited when its reader takes the bytes.
/// 2. The connection's window is credited on arrival, so that slow readers never stall their siblings.
/// 3. If all streams together hold more than `unreadLimit` unread bytes, the streams' windows shrink to `least`, until readers
///    have taken half of that. The connection's credit is withheld only until the server has acknowledged the small windows. So
///    the memory of unread bodies is bounded by `unreadLimit`, one connection window, and `least` for each response.
/// 4. Every half window a PING measures the round trip. If more than half the window arrived within one round trip, the window
///    was the bottleneck: it is doubled, up to `maximum`.
struct ReceiveWindow {
    /// The smallest stream window under pressure: that of RFC 9113 section 6.9.2.
    static let least = 65_535

    /// Whether unread bytes keep the streams' windows small.
    enum Pressure {
        /// To announced.
        case none
        /// The server has not acknowledged the small windows yet. To inForce, none.
        case announced
        /// To none.
        case inForce
    }

    let unreadLimit: Int
    let maximum: Int
    private(set) var pressure = Pressure.none
    /// Bytes received since `pressure` last changed.
    private var arrivedSince = 0
    /// The size of a stream's window without pressure.
    private var wide: Int
    /// Current or announced window sizes of a stream and of the connection.
    var stream: Int { if case .none = pressure { wide } else { min(wide, Self.least) } }
    private(set) var connection: Int
    /// Unread bytes of all streams.
    private(set) var unread = 0
    /// Bytes received that were not credited to the connection.
    private(set) var debt = 0

    private var sinceProbe = 0
    private var probe: (sentAt: UInt64, bytes: Int)?
    private var fruitlessProbes = 0

    init(_ windows: ConnectionConfiguration.Windows) {
        unreadLimit = windows.unreadLimit
        wide = min(max(windows.stream, Self.least), Int(Int32.max))
        connection = min(max(windows.connection, Self.least), Int(Int32.max))
        maximum = min(max(windows.maximum, wide), Int(Int32.max))
    }

    /// Bytes arrived. Returns how many to credit to the connection now.
    mutating func arrived(_ count: Int, buffered: Bool) -> Int {
        sinceProbe += count
        arrivedSince += count
        if probe != nil { probe!.bytes += count }
        guard buffered else { return count }
        unread += count
        guard unread > unreadLimit, mayShrink else { return count }
        debt += count
        return 0
    }

    /// Whether windows that have not shrunk yet let the server send too much.
    private var mayShrink: Bool {
        if case .inForce = pressure { false } else { wide > Self.least }
    }

    /// Whether to announce small windows. Called once after each input.
    mutating func shouldShrink() -> Bool {
        guard unread > unreadLimit, case .none = pressure, wide > Self.least else { return false }
        (pressure, arrivedSince) = (.announced, 0)
        return true
    }

    /// The server acknowledged the small windows. Returns how many bytes to credit to the connection now.
    mutating func shrank() -> Int {
        guard case .announced = pressure else { return 0 }
        pressure = .inForce
        defer { debt = 0 }
        return debt
    }

    /// Whether to announce wide windows again, which is not done for just a few bytes.
    mutating func shouldWiden() -> Bool {
        if case .none = pressure { return false }
        guard unread <= unreadLimit / 2, arrivedSince >= connection / 2 else { return false }
        (pressure, arrivedSince) = (.none, 0)
        return true
    }

    /// Bytes were read or dropped. Returns how many to credit to the connection now.
    mutating func taken(_ count: Int) -> Int {
        unread -= count
        guard debt > 0, unread <= unreadLimit else { return 0 }
        defer { debt = 0 }
        return debt
    }

    /// Whether to send a PING that measures the bandwidth-delay product.
    mutating func shouldProbe(now: UInt64) -> Bool {
        // After three consecutive probes without a change the windows fit: probe less often.
        let interval = (stream / 2) << min(max(fruitlessProbes - 2, 0), 6)
        guard case .none = pressure, stream < maximum, probe == nil, sinceProbe >= interval else { return false }
        sinceProbe = 0
        probe = (now, 0)
        return true
    }

    /// The PING was acknowledged. Returns true if the windows have grown.
    mutating func probed(now: UInt64) -> Bool {
        guard let probe else { return false }
        self.probe = nil
        guard case .none = pressure else { return false }
        guard probe.bytes > stream / 2 else {
            fruitlessProbes += 1
            return false
        }
        fruitlessProbes = 0
        wide = min(max(stream * 2, probe.bytes * 2), maximum)
        connection = min(max(connection, stream * 2), Int(Int32.max))
        return true
    }
}
