// Connections shared by several origins (RFC 9113 section 9.1.1): the same address, a certificate that is also valid for the
// other host, and no ORIGIN frame (RFC 8336) that excludes it.

extension ConnectionPool {
    /// Whether there is any connection that the dial's origin might share.
    func hasConnectionToShare(with dial: PoolDial) -> Bool {
        // If one server name is used for all hosts, a certificate proves nothing about the host.
        // A verifier has examined only the host for which the connection was made.
        guard configuration.pool.coalesces, configuration.connection.tls.serverName == nil,
            configuration.connection.tls.verifier == nil, originTLS[dial.entry.origin] == nil,
            dial.offer == .either || dial.offer == .http2
        else { return false }
        return lock.withLock {
            state.mayCoalesce(dial.entry.key) && members.contains { isShareable($0) != nil }
        }
    }

    /// Connections to one of these addresses (with ports).
    func connectionsToShare(leadingTo addresses: [String]) -> [Connection] {
        lock.withLock {
            members.compactMap { isShareable($0) }.filter { addresses.contains($0.info.remoteAddress) }
        }
    }

    private func isShareable(_ member: Member) -> Connection? {
        guard case .open(let connection) = member, connection.version == .http2, connection.knownInfo.isPeerVerified,
            connection.info.proxy == nil, !connection.isDraining, originTLS[connection.info.origin] == nil
        else { return nil }
        return connection
    }

    /// Makes the origin share the connection and cancels its dial. Returns false if that is no longer possible.
    func share(_ connection: Connection, with dial: PoolDial) -> Bool {
        let isShared = change { $0.coalesced(dial.entry.key, onto: connection.key) }
        if isShared { tell(.connectionShared, origin: dial.entry.origin, connection: connection.info.id) }
        return isShared
    }

    /// The server announced which origins it serves on this connection.
    func originsChanged(_ connection: Connection) {
        change { state in
            for entry in originsBySlot {
                guard let entry, state.sharedConnection(of: entry.key) == connection.key,
                    !connection.mayServe(entry.origin)
                else {
                    continue
                }
                state.cannotCoalesce(entry.key)
            }
        }
    }
}
