// Tunnels on a connection to an HTTP/2 proxy. They may outlive it: what has arrived can still be read.

extension Connection {
    /// The tunnel has bytes to send, or is to be ended.
    func resumeTunnel(_ stream: TunnelStream) {
        http2?.resumeBody(stream)
        markDirty()
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
        // After its end a session cannot be asked.
        if case .closed = state { return }
        if session.hasOutput { markDirty() }
    }
}
