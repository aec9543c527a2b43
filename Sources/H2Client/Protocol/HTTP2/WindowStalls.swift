/// How long bodies waited for a window (RFC 9113 section 5.2), summed over streams, in nanoseconds.
package struct WindowStalls: Sendable, Equatable {
    /// Request bodies: waiting for the peer to widen the stream's and the connection's window.
    package var uploadStream: UInt64 = 0
    package var uploadConnection: UInt64 = 0
    /// Response bodies: waiting for us to widen them, estimated from the round trip time.
    package var downloadStream: UInt64 = 0
    package var downloadConnection: UInt64 = 0

    package init() {}
}

/// How much one of our windows allowed the peer to send, and how much arrived.
///
/// A peer does not report that it has used up a window, but what it may send is known: a WINDOW_UPDATE of ours affects what
/// arrives at the earliest one round trip later. If everything that it knew it could send had arrived by then, the peer was
/// waiting, and the time until more arrived was lost to the window.
struct WindowWatch {
    private var allowed: Int
    private var received = 0
    private var lastAt: UInt64 = 0
    /// Recent grants that may not have taken effect yet, the oldest first.
    private var grants: [(at: UInt64, bytes: Int)] = []

    init(window: Int) { allowed = window }

    /// The window is widened by `bytes` from now on.
    mutating func granted(_ bytes: Int, now: UInt64) { grants.append((now, bytes)) }

    /// Bytes arrived. Returns how long the peer had waited for the window, in nanoseconds.
    mutating func arrived(_ count: Int, now: UInt64, roundTrip: UInt64) -> UInt64 {
        var lost: UInt64 = 0
        if lastAt != 0, now > lastAt {
            while let first = grants.first, first.at &+ roundTrip <= lastAt {
                allowed += first.bytes
                grants.removeFirst()
            }
            if received >= allowed { lost = now - lastAt }
        }
        received += count
        lastAt = now
        return lost
    }
}

/// State for measuring a session's stalls.
struct StallWatch {
    var connection: WindowWatch
    let roundTrip: UInt64
    /// Whether any request had a body.
    var sendsBodies = false

    init(window: Int, roundTrip: UInt64) {
        connection = WindowWatch(window: window)
        self.roundTrip = roundTrip
    }
}
