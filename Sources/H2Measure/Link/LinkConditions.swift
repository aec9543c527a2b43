package import H2Platform

/// The conditions of a path between two hosts: its length, and its rate of losses.
///
/// Its capacity is that of the loopback, so that only the cost of distance shows: round trips, the growth of TCP's window, and
/// the delays after a loss.
package struct LinkConditions: Sendable, Equatable {
    /// Round trip time in nanoseconds.
    package var roundTrip: UInt64 = 0
    /// The probability that a segment gets lost, 0 to 0.5.
    package var loss = 0.0
    /// Bytes of TCP payload per segment, for Ethernet's 1,500 bytes.
    package var segmentSize = 1460
    /// Segments that a new connection may have under way (RFC 6928).
    package var initialWindow = 10
    /// The window, in segments, above which it grows by one per round trip rather than per acknowledged segment. A new
    /// connection has no threshold until something is lost, as in Linux.
    package var slowStartThreshold = Int.max
    /// The most segments under way: a receive buffer of 4 MiB.
    package var maximumWindow = (4 << 20) / 1460

    package init(roundTrip: UInt64 = 0, loss: Double = 0) {
        self.roundTrip = roundTrip
        self.loss = loss
    }

    /// Whether a link with these conditions changes nothing.
    package var isDirect: Bool { roundTrip == 0 && loss == 0 }

    /// Nanoseconds from the client to the server, and back.
    var forth: UInt64 { roundTrip / 2 }
    var back: UInt64 { roundTrip - roundTrip / 2 }

    /// How long to wait for an acknowledgement before a segment is retransmitted: Linux's minimum, or two round trips.
    var retransmissionTimeout: UInt64 { max(200_000_000, 2 * roundTrip) }
}

/// The times at which the two ends of a connection over a link may begin to send (RFC 9293 section 3.5).
///
/// The client's SYN travels to the server and the SYN-ACK back, then the client may send. The server accepts the connection
/// once the client's acknowledgement has arrived. A lost SYN or SYN-ACK is retransmitted after 1 s, 2 s, 4 s and so on (RFC
/// 6298). The seventh is never lost, since nobody would wait for it.
package struct LinkOpening: Sendable, Equatable {
    /// When the SYN arrives: a server that does not listen refuses it at this time.
    package var reachesServer: UInt64
    package var clientMaySend: UInt64
    package var serverMaySend: UInt64
    /// The number of packets lost until then.
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
