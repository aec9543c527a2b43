/// How long bodies waited for a window (RFC 9113 section 5.2), summed over streams, in nanoseconds.
package struct WindowStalls: Sendable, Equatable {
    /// Bodies of requests, for the peer to widen the stream's window, and the connection's.
    package var uploadStream: UInt64 = 0
    package var uploadConnection: UInt64 = 0
    /// Bodies of responses, for us to widen them, as far as the round trip time tells.
    package var downloadStream: UInt64 = 0
    package var downloadConnection: UInt64 = 0

    package init() {}
}

/// What one window of ours has allowed the peer to send, and what came of it.
///
/// Nobody says that a peer has used a window up. But what it may send is known: a WINDOW_UPDATE of ours can show in what
/// arrives one round trip later at the soonest. If by then all that it knew of had arrived, the peer was waiting, and the
/// time until more came was lost to the window.
struct WindowWatch {
    private var allowed: Int
    private var received = 0
    private var lastAt: UInt64 = 0
    /// The last grants that may not have had their effect yet, the oldest first.
    private var grants: [(at: UInt64, bytes: Int)] = []

    init(window: Int) { allowed = window }

    /// The window is widened by `bytes` from now on.
    mutating func granted(_ bytes: Int, now: UInt64) { grants.append((now, bytes)) }

    /// Bytes came. Returns for how long the peer had waited for the window, in nanoseconds.
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

/// What a session needs for measuring stalls.
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
