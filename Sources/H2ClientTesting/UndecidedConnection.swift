import H2Client

/// A cleartext connection whose first bytes determine its HTTP version.
///
/// HTTP/2 by prior knowledge begins with a preface (RFC 9113 section 3.4), which no HTTP/1.1 request can begin with. A
/// connection of that version then replaces this one.
final class UndecidedConnection: ServerConnection {
    private static let preface: [UInt8] = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    // Always shorter than the preface, which would have decided.
    private var first: [UInt8] = []

    init(wire: any SocketWire & Wire, descriptor: CInt, listener: Listener) {
        super.init(wire: wire, descriptor: descriptor, listener: listener, outputCapacity: 16)
    }

    override func receive(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        let preface = Self.preface
        var index = 0
        while first.count + index < preface.count {
            guard index < bytes.count else {
                first.append(contentsOf: bytes)
                return true
            }
            guard bytes[index] == preface[first.count + index] else {
                decide(HTTP1ServerConnection(wire: wire, descriptor: descriptor, listener: listener), bytes)
                return true
            }
            index += 1
        }
        decide(HTTP2ServerConnection(wire: wire, descriptor: descriptor, listener: listener), bytes)
        return true
    }

    private func decide(_ connection: ServerConnection, _ bytes: UnsafeMutableRawBufferPointer) {
        handOver()
        if first.isEmpty { return listener.replace(self, connection, input: bytes) }
        var all = first + bytes
        all.withUnsafeMutableBytes { listener.replace(self, connection, input: $0) }
    }

    override func checkProgress(now: UInt64) {
        guard now &- startedAt > listener.configuration.limits.requestHead.clampedNanoseconds else { return }
        counters.connectionsTimedOut.add(1)
        close()
    }

    override func fillOutput() -> Bool { true }
    override var isFinished: Bool { false }
    override var isDraining: Bool { false }
    override func drain() { close() }
    override func dropStreams() {}
}
