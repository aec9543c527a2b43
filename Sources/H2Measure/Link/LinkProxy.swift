import H2Client
import H2Platform

/// A TCP relay that makes a server on this machine look far away: traffic through it has the delays, the round trips and the
/// losses of `LinkConditions`.
///
/// It listens on a port of 127.0.0.1, on an event loop of its own. On a loopback the client's system connects at once, so the
/// relay delays the first byte by the round trip of TCP's handshake. That delay shows in what comes first (the TLS handshake,
/// or the first response) rather than in the time to connect.
package final class LinkProxy: Sendable {
    /// Traffic since the start.
    package struct Counts: Sendable, Equatable {
        /// Bytes of TCP payload that the other side has received.
        package var bytesToServer = 0
        package var bytesToClient = 0
        package var accepted = 0
        /// Connections that the server did not accept.
        package var refused = 0
        package var open = 0
        package var peakOpen = 0
        /// Segments that were lost and retransmitted.
        package var lost = 0
    }

    /// The port on 127.0.0.1 that it listens on.
    package let port: Int
    package let conditions: LinkConditions
    private let loop: H2EventLoop
    private let accepting: LoopBound<Accepting>
    private let tally: Tally

    /// Runs `body` with a link to a server, and ends the link, with all its connections, on every exit.
    /// - Throws: `H2Error` if the server's name has no address or no socket can be created, and errors of `body`.
    package static func run<R>(
        to host: String, port: Int, conditions: LinkConditions, seed: UInt64 = 1,
        _ body: nonisolated(nonsending) (LinkProxy) async throws -> R
    ) async throws -> R {
        let loop = H2EventLoop()
        let proxy: LinkProxy
        do {
            let addresses = try await resolve(host, port: port, on: loop)
            proxy = try LinkProxy(to: addresses, conditions: conditions, seed: seed, loop: loop)
        } catch {
            loop.shutdown()
            throw error
        }
        do {
            let result = try await body(proxy)
            await proxy.end()
            return result
        } catch {
            await proxy.end()
            throw error
        }
    }

    private init(to addresses: [SocketAddress], conditions: LinkConditions, seed: UInt64, loop: H2EventLoop) throws {
        let (descriptor, port) = try LinkSocket.listen()
        self.port = port
        self.conditions = conditions
        self.loop = loop
        tally = Tally()
        accepting = LoopBound(
            Accepting(
                descriptor, addresses: addresses, conditions: conditions, seed: seed, tally: tally, loop: loop))
        loop.execute { [accepting] in accepting.value.start() }
    }

    private static func resolve(_ host: String, port: Int, on loop: H2EventLoop) async throws -> [SocketAddress] {
        try await withCheckedThrowingContinuation { continuation in
            Resolver.shared.resolve(host: host, port: port, on: loop) { continuation.resume(with: $0) }
        }
    }

    private func end() async {
        await withCheckedContinuation { continuation in
            loop.execute { [accepting] in
                accepting.value.end()
                continuation.resume()
            }
        }
        loop.shutdown()
    }

    /// Traffic so far.
    package var counts: Counts { tally.counts }

    /// CPU seconds of the link's own thread, to subtract from those of the process.
    package func cpuSeconds() async -> Double {
        await withCheckedContinuation { continuation in
            loop.execute {
                continuation.resume(returning: Double(ProcessClocks.threadNanoseconds) * 1e-9)
            }
        }
    }

    /// Invariant behind `@unchecked Sendable`: `current` is touched with `lock` held.
    fileprivate final class Tally: @unchecked Sendable {
        private let lock = PthreadLock()
        private var current = Counts()

        var counts: Counts { lock.withLock { current } }
        func change(_ body: (inout Counts) -> Void) { lock.withLock { body(&current) } }
    }

    // MARK: - On the loop's thread

    /// The listening socket, and the connections accepted from it.
    final class Accepting: ReadinessHandler {
        let loop: H2EventLoop
        let conditions: LinkConditions
        let addresses: [SocketAddress]
        /// The index of the address that answered last.
        var preferredAddress = 0

        private let descriptor: CInt
        private let tally: Tally
        private var random: SplitMix64
        private var relays: [ObjectIdentifier: LinkRelay] = [:]
        private var isOpen = true

        /// Takes ownership of the descriptor.
        fileprivate init(
            _ descriptor: CInt, addresses: [SocketAddress], conditions: LinkConditions, seed: UInt64, tally: Tally,
            loop: H2EventLoop
        ) {
            self.descriptor = descriptor
            self.addresses = addresses
            self.conditions = conditions
            self.tally = tally
            self.loop = loop
            random = SplitMix64(seed: seed)
        }

        func start() { loop.register(descriptor, handler: self) }

        func ready(readable: Bool, writable: Bool) {
            // A fair share: the loop reports the rest again in the next turn.
            for _ in 0..<64 {
                guard let accepted = LinkSocket.accept(descriptor) else {
                    if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) { pause() }
                    return
                }
                let relay = LinkRelay(accepted, proxy: self, random: SplitMix64(seed: random.next()))
                relays[ObjectIdentifier(relay)] = relay
                let open = relays.count
                change {
                    $0.accepted += 1
                    $0.open = open
                    $0.peakOpen = max($0.peakOpen, open)
                }
                relay.start()
            }
        }

        func unwatched(_ error: H2Error) { end() }

        /// Pauses when out of descriptors or memory: the socket would be reported ready forever, so look again a little later.
        private func pause() {
            loop.update(descriptor, readable: false, writable: false)
            _ = loop.schedule(after: 20_000_000) { [weak self] in
                guard let self, isOpen else { return }
                loop.update(descriptor, readable: true, writable: false)
            }
        }

        func change(_ body: (inout Counts) -> Void) { tally.change(body) }

        /// Called by a relay when it ends.
        func ended(_ relay: LinkRelay) {
            relays[ObjectIdentifier(relay)] = nil
            let open = relays.count
            change { $0.open = open }
        }

        func end() {
            guard isOpen else { return }
            isOpen = false
            loop.deregister(descriptor)
            close(descriptor)
            for relay in relays.values { relay.end(resetting: true) }
        }
    }
}
