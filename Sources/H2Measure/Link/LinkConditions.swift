/// What a way between two hosts is like: how long it is, and how often it loses something.
///
/// Its capacity is that of the loopback, so that what is seen is the cost of distance alone: round trips, the growth of
/// TCP's window, and what a loss holds up.
package struct LinkConditions: Sendable, Equatable {
    /// Nanoseconds there and back.
    package var roundTrip: UInt64 = 0
    /// The probability that a segment gets lost, 0 to 0.5.
    package var loss = 0.0
    /// Bytes of a segment: what Ethernet's 1,500 leave to TCP.
    package var segmentSize = 1460
    /// Segments that a new connection may have under way (RFC 6928).
    package var initialWindow = 10
    /// The window, in segments, from which it grows by one a round trip rather than by what is acknowledged. A new
    /// connection has none until something is lost, as in Linux.
    package var slowStartThreshold = Int.max
    /// The most segments under way: a receiver's buffer of 4 MiB.
    package var maximumWindow = (4 << 20) / 1460

    package init(roundTrip: UInt64 = 0, loss: Double = 0) {
        self.roundTrip = roundTrip
        self.loss = loss
    }

    /// True where a link with these changes nothing.
    package var isDirect: Bool { roundTrip == 0 && loss == 0 }

    /// Nanoseconds from the client to the server, and back.
    var forth: UInt64 { roundTrip / 2 }
    var back: UInt64 { roundTrip - roundTrip / 2 }

    /// When a segment is sent again that nothing was heard of: Linux's least retransmission timeout, or two round trips.
    var retransmissionTimeout: UInt64 { max(200_000_000, 2 * roundTrip) }
}

/// When the two ends of a connection over a link may begin to send (RFC 9293 section 3.5).
///
/// The client's SYN goes there, the SYN-ACK comes back, then the client may send; its acknowledgement has to arrive before
/// the server takes the connection. A SYN or SYN-ACK that is lost is sent again after 1 s, 2 s, 4 s and so on (RFC 6298);
/// the seventh is not lost, since nobody would wait for it.
package struct LinkOpening: Sendable, Equatable {
    /// When the SYN is there: a server that does not listen refuses it now.
    package var reachesServer: UInt64
    package var clientMaySend: UInt64
    package var serverMaySend: UInt64
    /// Packets that were lost meanwhile.
    package var lost = 0

    package init(_ conditions: LinkConditions, at start: UInt64, using random: inout SplitMix64) {
        var sent = start
        var pause: UInt64 = 1_000_000_000
        var reached: UInt64?
        for attempt in 0..<7 {
            let isLast = attempt == 6
            if !random.happens(conditions.loss) || isLast {
                reached = reached ?? sent + conditions.forth
                if !random.happens(conditions.loss) || isLast { break }
            }
            lost += 1
            sent += pause
            pause *= 2
        }
        reachesServer = reached ?? sent + conditions.forth
        clientMaySend = sent + conditions.roundTrip
        serverMaySend = clientMaySend + conditions.forth
    }
}
