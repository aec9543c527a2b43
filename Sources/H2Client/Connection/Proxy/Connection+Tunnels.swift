// Tunnels on a connection to an HTTP/2 proxy. They may outlive it: data that has arrived can still be read.

extension Connection {
    /// The tunnel has bytes to send, or must be ended.
    func resumeTunnel(_ stream: TunnelStream) {
        http2?.resumeBody(stream)
        // The connections inside tunnels are usually being flushed, so flush in the same turn.
        guard !isMarkedDirty else { return }
        isMarkedDirty = true
        loop.markCarrierDirty(self)
    }

    /// The tunnel's bytes were read.
    func tunnelConsumed(_ stream: TunnelStream) {
        session.consumed(stream)
        sendCredit()
    }

    /// Nobody reads the tunnel any more.
    func dropTunnelInput(_ stream: TunnelStream) {
        session.dropUnread(stream)
        stream.sink = .nowhere
        sendCredit()
    }

    private func sendCredit() {
        // A session must not be used after its end.
        if case .closed = state { return }
        if session.hasOutput { markDirty() }
    }
}
