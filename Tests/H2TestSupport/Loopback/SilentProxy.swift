public import H2Client
import H2Platform

import CNghttp2

/// A TCP relay on 127.0.0.1 between a client under test and a server, which loses, holds, delays or ends what it relays
/// when the test says so: a firewall that forgot a connection, a peer that hangs, a long way.
///
/// One thread of its own does all the work. At most `Limits.connections` at a time, each with at most
/// `Limits.queuedBytes` in each direction. A control is in force when its call returns.
///
/// Invariant behind `@unchecked Sendable`: what changes is touched with `lock` held, and `thread` is set once, by `run`.
public final class SilentProxy: @unchecked Sendable {
    public enum Limits {
        /// A connection above it is reset at once.
        public static let connections = 1024
        /// A direction that holds so much is not read until some of it is on its way.
        public static let queuedBytes = 1 << 20
    }

    /// What becomes of the bytes, and of the ends, that come in on a connection.
    public enum Manner: Sendable {
        case forwards
        /// They are read and lost, both ways, and the sockets stay open, also where a peer closes its own: nobody learns
        /// of anything, as behind a firewall that drops packets. A connection whose bytes were lost is of no use later.
        case drops
        /// They are not even read, so that a peer's writes stop when the system's buffers are full. Nothing is lost.
        case holds
    }

    /// What went through, since the start.
    public struct Counts: Sendable, Equatable {
        public var accepted = 0
        /// Reset because there were too many already.
        public var refused = 0
        /// Those that are open now.
        public var open = 0
        public var bytesToServer = 0
        public var bytesToClient = 0
        public var bytesDropped = 0
    }

    /// Where it listens.
    public let port: Int
    private let serverPort: Int
    private let listener: CInt
    private let wake: (reading: CInt, writing: CInt)
    private let lock = PthreadLock()
    private var thread: JoinedThread?

    private var relays: [Relay] = []
    private var newManner = Manner.forwards
    private var delay = Duration.zero
    private var tally = Counts()
    private var isEnding = false

    /// Runs `body` with a proxy to the server at a port of 127.0.0.1, and ends it, with all its connections, on every exit.
    /// - Throws: `ProcessFailure` where it cannot be started, and what `body` throws.
    public static func run<R>(
        to serverPort: Int, _ body: nonisolated(nonsending) (SilentProxy) async throws -> R
    ) async throws -> R {
        let proxy = try SilentProxy(to: serverPort)
        defer { proxy.end() }
        return try await body(proxy)
    }

    private init(to serverPort: Int) throws {
        self.serverPort = serverPort
        (listener, port) = try LoopbackSocket.listen()
        LoopbackSocket.makeNonblocking(listener)
        do {
            wake = try LoopbackSocket.wakePipe()
        } catch {
            close(listener)
            throw error
        }
        // From here on there is an object, whose `deinit` closes these.
        thread = try JoinedThread { [unowned self] in work() }
    }

    deinit {
        close(listener)
        close(wake.reading)
        close(wake.writing)
    }

    private func end() {
        lock.withLock { isEnding = true }
        wakeUp()
        thread?.join()
        for relay in relays { relay.reset() }
        relays = []
    }

    // MARK: - What tests call

    /// The same origin, by way of the proxy.
    public func origin(insteadOf origin: Origin) throws -> Origin {
        try Origin(scheme: origin.scheme, host: origin.host, port: port)
    }

    /// What went through so far.
    public var counts: Counts {
        lock.withLock {
            tally.open = relays.count
            return tally
        }
    }

    /// Forwards, from now on, on the connections that are open and on new ones.
    public func forward() { set(.forwards, alsoNew: true) }

    /// Goes silent on the connections that are open, and on new ones too unless `alsoNew` is false. A new connection is
    /// accepted all the same, by the system: only its bytes go nowhere.
    /// - Parameter manner: `drops` or `holds`.
    public func goSilent(_ manner: Manner = .drops, alsoNew: Bool = true) { set(manner, alsoNew: alsoNew) }

    /// How much later what comes in from now on goes out, each way; a round trip takes twice that.
    public var latency: Duration {
        get { lock.withLock { delay } }
        set {
            lock.withLock { delay = newValue }
            wakeUp()
        }
    }

    /// Closes each open connection on both sides, in an orderly way (FIN); bytes under way are lost.
    public func closeAll() { finishAll { $0.close() } }

    /// Resets each open connection on both sides (RST).
    public func resetAll() { finishAll { $0.reset() } }

    private func set(_ manner: Manner, alsoNew: Bool) {
        lock.withLock {
            if alsoNew { newManner = manner }
            for relay in relays {
                relay.manner = manner
                if case .drops = manner { tally.bytesDropped += relay.lose() }
            }
        }
        wakeUp()
    }

    private func finishAll(_ finish: (Relay) -> Void) {
        lock.withLock {
            relays.forEach(finish)
            relays = []
        }
        wakeUp()
    }

    // MARK: - The thread

    private func wakeUp() {
        var byte: UInt8 = 0
        _ = write(wake.writing, &byte, 1)
    }

    private func work() {
        var scratch = [UInt8](repeating: 0, count: 64 << 10)
        var entries: [pollfd] = []
        while true {
            // The relays that are polled; a control may take some off the list meanwhile, and close them.
            var polled: [Relay] = []
            var timeout: CInt = -1
            let goesOn = lock.withLock {
                polled = relays
                let now = Clock.now
                entries = [
                    pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
                    pollfd(fd: wake.reading, events: Int16(POLLIN), revents: 0),
                ]
                for relay in relays { relay.addEntries(to: &entries, now: now) }
                if let next = relays.compactMap(\.nextDue).filter({ $0 > now }).min() {
                    timeout = CInt(clamping: (next - now + 999_999) / 1_000_000)
                }
                return !isEnding
            }
            guard goesOn else { return }
            _ = poll(&entries, nfds_t(entries.count), timeout)
            lock.withLock {
                while read(wake.reading, &scratch, scratch.count) > 0 {}
                let delay = UInt64(max(0, self.delay / .nanoseconds(1)))
                for (index, relay) in polled.enumerated() where !relay.isFinished {
                    relay.serve(
                        client: entries[2 + 2 * index].revents, server: entries[3 + 2 * index].revents, delay: delay,
                        scratch: &scratch, tally: &tally)
                }
                relays.removeAll(where: \.isFinished)
                if entries[0].revents != 0 { acceptAll() }
            }
        }
    }

    private func acceptAll() {
        while let client = LoopbackSocket.accept(listener) {
            guard relays.count < Limits.connections, let server = try? LoopbackSocket.connectLater(to: serverPort)
            else {
                tally.refused += 1
                LoopbackSocket.reset(client)
                continue
            }
            LoopbackSocket.makeNonblocking(client)
            tally.accepted += 1
            relays.append(Relay(client: client, server: server, manner: newManner))
        }
    }
}

/// Nanoseconds of the monotonic clock.
private enum Clock {
    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// One connection through the proxy: a socket to each side, and what is on its way. Touched with the proxy's lock held.
private final class Relay {
    var manner: SilentProxy.Manner
    private(set) var isFinished = false
    private let client: CInt
    private let server: CInt
    private var isConnected = false
    private var toServer = Way()
    private var toClient = Way()

    /// What travels in one direction.
    private struct Way {
        struct Piece {
            var due: UInt64
            /// Empty for the end.
            var bytes: ArraySlice<UInt8>
        }

        var pieces: [Piece] = []
        /// Those before it are gone.
        var first = 0
        var queuedBytes = 0
        /// Its source will say no more.
        var isRead = false
        /// Its destination has been told so.
        var isEnded = false

        var next: Piece? { first < pieces.count ? pieces[first] : nil }

        mutating func removeFirst() {
            pieces[first].bytes = []
            first += 1
        }

        mutating func append(_ bytes: ArraySlice<UInt8>, due: UInt64) {
            // What was taken off the front goes once it is half of all, so that each piece is moved once at most.
            if first * 2 > pieces.count {
                pieces.removeFirst(first)
                first = 0
            }
            pieces.append(Piece(due: due, bytes: bytes))
            queuedBytes += bytes.count
        }

        mutating func lose() -> Int {
            defer {
                pieces = []
                first = 0
                queuedBytes = 0
            }
            return queuedBytes
        }
    }

    init(client: CInt, server: CInt, manner: SilentProxy.Manner) {
        self.client = client
        self.server = server
        self.manner = manner
    }

    // MARK: - Ends

    /// FIN to both sides. A socket that is closed with input unread says RST, so that is read first.
    func close() {
        var scratch = [UInt8](repeating: 0, count: 64 << 10)
        for descriptor in [client, server] {
            shutdown(descriptor, CInt(SHUT_WR))
            while recv(descriptor, &scratch, scratch.count, CInt(MSG_DONTWAIT)) > 0 {}
            H2Platform.close(descriptor)
        }
        isFinished = true
    }

    /// RST to both sides.
    func reset() {
        LoopbackSocket.reset(client)
        LoopbackSocket.reset(server)
        isFinished = true
    }

    /// Forgets what is on its way; returns how many bytes that is.
    func lose() -> Int { toServer.lose() + toClient.lose() }

    // MARK: - Polling

    /// When the next piece of either way goes out; nil where there is none, or it waits for nothing but its destination.
    var nextDue: UInt64? {
        if case .holds = manner { return nil }
        return [toServer.next?.due, toClient.next?.due].compactMap { $0 }.min()
    }

    func addEntries(to entries: inout [pollfd], now: UInt64) {
        func entry(_ descriptor: CInt, reads: Way, writes: Way) -> pollfd {
            var events = 0
            if case .holds = manner {
            } else {
                if !reads.isRead && reads.queuedBytes < SilentProxy.Limits.queuedBytes { events |= Int(POLLIN) }
                if let next = writes.next, next.due <= now { events |= Int(POLLOUT) }
            }
            if descriptor == server && !isConnected { events = Int(POLLOUT) }
            // A peer that hung up is told of whatever is asked, so nothing at all must be asked where nothing is wanted.
            return pollfd(fd: events == 0 ? -1 : descriptor, events: Int16(events), revents: 0)
        }
        entries.append(entry(client, reads: toServer, writes: toClient))
        entries.append(entry(server, reads: toClient, writes: toServer))
    }

    func serve(
        client clientEvents: Int16, server serverEvents: Int16, delay: UInt64, scratch: inout [UInt8],
        tally: inout SilentProxy.Counts
    ) {
        if !isConnected && serverEvents != 0 {
            var error: CInt = 0
            var length = socklen_t(MemoryLayout<CInt>.size)
            getsockopt(server, SOL_SOCKET, SO_ERROR, &error, &length)
            guard error == 0 else { return reset() }
            isConnected = true
        }
        if case .holds = manner { return }
        let due = Clock.now + delay
        if clientEvents != 0 {
            guard receive(client, &toServer, due: due, scratch: &scratch, tally: &tally) else { return reset() }
        }
        if isConnected && serverEvents != 0 {
            guard receive(server, &toClient, due: due, scratch: &scratch, tally: &tally) else { return reset() }
        }
        if case .drops = manner {
            // Both are gone, so nobody is left to be kept in the dark.
            if toServer.isRead && toClient.isRead { reset() }
            return
        }
        guard send(&toClient, to: client, count: &tally.bytesToClient),
            !isConnected || send(&toServer, to: server, count: &tally.bytesToServer)
        else { return reset() }
        if toServer.isEnded && toClient.isEnded { close() }
    }

    /// Reads once; false where the source reset the connection, which the other side has to be told likewise.
    private func receive(
        _ descriptor: CInt, _ way: inout Way, due: UInt64, scratch: inout [UInt8], tally: inout SilentProxy.Counts
    ) -> Bool {
        guard !way.isRead, way.queuedBytes < SilentProxy.Limits.queuedBytes else { return true }
        let count = recv(descriptor, &scratch, scratch.count, CInt(MSG_DONTWAIT))
        if count < 0 && (errno == EAGAIN || errno == EINTR) { return true }
        if case .drops = manner {
            if count <= 0 { way.isRead = true }
            tally.bytesDropped += max(0, count)
            return true
        }
        guard count >= 0 else { return false }
        if count == 0 { way.isRead = true }
        way.append(ArraySlice(scratch[..<count]), due: due)
        return true
    }

    /// Sends what is due; false where the destination is gone.
    private func send(_ way: inout Way, to descriptor: CInt, count: inout Int) -> Bool {
        let now = Clock.now
        while let next = way.next, next.due <= now {
            if next.bytes.isEmpty {
                shutdown(descriptor, CInt(SHUT_WR))
                way.isEnded = true
                way.removeFirst()
                continue
            }
            let sent = next.bytes.withUnsafeBytes {
                H2Platform.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
            if sent < 0 { return errno == EAGAIN || errno == EINTR }
            count += sent
            way.queuedBytes -= sent
            if sent == next.bytes.count {
                way.removeFirst()
            } else {
                way.pieces[way.first].bytes.removeFirst(sent)
            }
        }
        return true
    }
}
