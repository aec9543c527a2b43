// The TLS handshake, directly or over a tunnel.

extension Dialer {
    /// Starts with the TLS handshake instead: over a tunnel through `peer`, of which it takes ownership. It needs a context.
    func start(over tunnel: any CarrierWire, to peer: Peer) {
        loop.preconditionInLoop()
        guard let tls else { preconditionFailure("without TLS the tunnel is the connection") }
        secure(peer) { name, isAddress in
            // A plain socket: OpenSSL may read it directly.
            if let tunnel = tunnel as? TCPWire {
                return try TLSWire(
                    descriptor: tunnel.releaseDescriptor(), context: tls, serverName: name, isAddress: isAddress,
                    protocols: protocols, port: origin.port)
            }
            return try TLSWire(
                over: tunnel, context: tls, serverName: name, isAddress: isAddress, protocols: protocols,
                port: origin.port)
        }
    }

    func secure(_ peer: Peer, _ makeWire: (_ name: String, _ isAddress: Bool) throws -> TLSWire) {
        let name = Self.certificateName(configuration.tls.serverName ?? origin.host)
        do {
            let wire = try makeWire(name, Resolver.isAddress(name))
            if allowsEarlyData, wire.earlyDataLimit > 0 { return handOver(wire, peer) }
            startTimer(.tls, configuration.timeouts.tls)
            let handshaker = Handshaker(wire: wire, loop: loop) { [weak self] in self?.shookHands(wire, peer) }
            self.handshaker = handshaker
            handshaker.start()
        } catch {
            finish(.failure(error as? H2Error ?? H2Error(.tlsFailed, message: "\(error)")))
        }
    }

    private func handOver(_ wire: TLSWire, _ peer: Peer) {
        phaseStart = loop.preciseNow
        let (time, timeout) = limit(.tls, configuration.timeouts.tls)
        let terms = EarlyTerms(wire: wire, beginning: phaseStart, limit: time, timeout: timeout)
        finish(.success(connection(wire, peer, tls: nil, early: terms)))
    }

    /// A host as used in certificates and SNI (RFC 6066 section 3): without the final dot of an absolute name and the zone of a
    /// link-local address.
    static func certificateName(_ host: String) -> String {
        if Resolver.isAddress(host) { return String(host.prefix { $0 != "%" }) }
        return host.count > 1 && host.last == "." ? String(host.dropLast()) : host
    }

    private func shookHands(_ wire: TLSWire, _ peer: Peer) {
        handshaker = nil
        if let error = wire.failure {
            wire.close()
            return error.scope == .client ? fail(error) : finish(.failure(error))
        }
        guard let examination = wire.examination else { return shookHandsWell(wire, peer) }
        // The handshake's time limit keeps running.
        examinedWire = wire
        let box = LoopBound(self)
        let bound = LoopBound((wire, peer))
        let status = loop.runBlocking { [loop] in
            let fault = examination()
            loop.execute { box.value.examined(bound.value.0, bound.value.1, fault) }
        }
        if status != 0 { finish(.failure(LoopThread.exhausted("start a thread for the verifier", status))) }
    }

    private func examined(_ wire: TLSWire, _ peer: Peer, _ fault: H2Error.CertificateFault?) {
        guard completion != nil, examinedWire === wire else { return }
        examinedWire = nil
        wire.examined(fault)
        if let error = wire.failure {
            wire.close()
            return finish(.failure(error))
        }
        shookHandsWell(wire, peer)
    }

    private func shookHandsWell(_ wire: TLSWire, _ peer: Peer) {
        let time = endPhase()
        finish(.success(connection(wire, peer, tls: (wire, time))))
    }
}

extension ConnectionInfo {
    /// Adds the facts of a completed handshake.
    mutating func add(_ wire: TLSWire, took time: UInt64, _ notes: ConnectionConfiguration.Notes) {
        let certificate = wire.peerCertificate
        (tlsVersion, cipher) = (wire.version, wire.cipher)
        (certificateSubject, certificateIssuer) = (certificate?.subject, certificate?.issuer)
        certificateExpiry = certificate?.expiry
        (isPeerVerified, isTLSResumed) = (wire.isPeerVerified, wire.isResumed)
        tls = Duration(nanoseconds: time)
        alpn = wire.selectedProtocol
        if notes.certificates { certificates = wire.peerCertificates }
    }
}
