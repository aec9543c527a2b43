import HTTPTypes

// Entries of origins, which requests name in several ways.

extension ConnectionPool {
    /// The origin of a request. Under the lock.
    func entry(for request: HTTPRequest) throws(H2Error) -> OriginEntry {
        guard let scheme = request.scheme, let authority = request.authority else {
            throw H2Error(
                .invalidRequest, initiator: .user, message: "the request does not say where to send it",
                remedy: "give it a scheme and an authority, or make it with RequestTarget.request()")
        }
        // Most requests go to the same origin as the one before, and comparing is much cheaper than hashing.
        if let lastOrigin, lastOrigin.authority == authority, lastOrigin.scheme == scheme { return lastOrigin }
        let name = "\(scheme)://\(authority)"
        if let known = spellings[name] ?? originsByName[name], originsBySlot[known.key.slot]?.key == known.key {
            // An origin behind a proxy may also have its own entry, for connections that are lent.
            let entry = known.forwarder == nil ? forwardedEntry(for: known.origin) ?? known : known
            lastOrigin = entry
            return entry
        }
        let origin = try Origin(name)
        // The same for every spelling: `HTTPS://Example.com:443` is `https://example.com`.
        let canonical = forwardedEntry(for: origin) ?? entry(for: origin)
        guard canonical.scheme != scheme || canonical.authority != authority else {
            lastOrigin = canonical
            return canonical
        }
        let entry = OriginEntry(
            origin: origin, key: canonical.key, scheme: scheme, authority: authority, forwarder: canonical.forwarder)
        remember(entry, as: name)
        lastOrigin = entry
        return entry
    }

    /// Called under the lock.
    func remember(_ entry: OriginEntry, as name: String) {
        if spellings.count >= Self.rememberedSpellings { spellings.removeAll(keepingCapacity: true) }
        spellings[name] = entry
    }

    /// Called under the lock.
    func entry(for origin: Origin) -> OriginEntry {
        let name = origin.description
        if let known = originsByName[name], originsBySlot[known.key.slot]?.key == known.key { return known }
        let key = state.addOrigin(isSecure: origin.scheme == .https)
        let entry = OriginEntry(
            origin: origin, key: key, scheme: origin.scheme.rawValue, authority: origin.authority)
        originsByName[name] = entry
        add(entry)
        return entry
    }

    /// Called under the lock.
    func add(_ entry: OriginEntry) {
        while originsBySlot.count <= entry.key.slot { originsBySlot.append(nil) }
        originsBySlot[entry.key.slot] = entry
        if let oldest = state.forgettableOrigin { forget(oldest) }
    }

    /// Called under the lock.
    private func forget(_ key: OriginKey) {
        if let entry = originsBySlot[key.slot] {
            if let forwarder = entry.forwarder {
                forwarders[forwarder] = nil
            } else {
                originsByName[entry.origin.description] = nil
            }
        }
        originsBySlot[key.slot] = nil
        state.removeOrigin(key)
        if lastOrigin?.key == key { lastOrigin = nil }
    }
}
