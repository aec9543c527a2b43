import HTTPTypes

/// A CONNECT request over HTTP/2 (RFC 9113 section 8.5), whose stream is a tunnel once the proxy has answered.
final class TunnelStream: StreamState {
    let shared: ProxyConnection
    /// Called once with the response's head or an error, unless the stream is given up first.
    private var completion: ((TunnelStream, H2Error?) -> Void)?
    /// The wire over the stream, once it is a tunnel. The two retain each other until the wire is closed.
    fileprivate var wire: TunnelWire?
    private var isCounted = false
    /// Whether the proxy has opened the tunnel.
    private var isOpened = false
    /// Whether the stream ends after the waiting bytes.
    private var finishes = false
    private var lingerTimer: LoopTimer?

    /// How long the proxy may take to end its side of a tunnel that we have ended, before we reset it: 1 s.
    private static let linger: UInt64 = 1_000_000_000

    init(on shared: ProxyConnection, completion: @escaping (TunnelStream, H2Error?) -> Void) {
        self.shared = shared
        self.completion = completion
        super.init()
        outgoing = .awaitingChunk
    }

    func open(_ request: HTTPRequest) {
        do throws(H2Error) {
            try shared.connection.open(self, request)
            shared.tunnelBegan()
            isCounted = true
            shared.connection.markDirty()
        } catch {
            shared.connection.refused(error)
            answered(error)
        }
    }

    /// Resets the stream, unless it is over, and drops the data that has arrived.
    func giveUp() {
        completion = nil
        guard isCounted else { return }
        shared.connection.reset(self)
        shared.connection.markDirty()
    }

    /// Ends our side once the waiting bytes are sent, and resets the stream if the proxy does not end its side soon.
    fileprivate func finish() {
        finishes = true
        if case .awaitingChunk = outgoing { outgoing = .finished }
        shared.connection.resumeTunnel(self)
        guard lingerTimer == nil else { return }
        lingerTimer = shared.connection.loop.schedule(after: Self.linger) { [self] in
            lingerTimer = nil
            giveUp()
        }
    }

    override func progressed() {
        if !informational.isEmpty { informational = [] }
        if case .failed(let error) = phase {
            answered(error as? H2Error ?? H2Error(.streamReset, message: "\(error)"))
        } else if status != 0 {
            answered(nil)
        }
        wire?.progressed()
        guard slot < 0, isCounted else { return }
        isCounted = false
        if let lingerTimer { shared.connection.loop.cancel(lingerTimer) }
        lingerTimer = nil
        shared.tunnelEnded(wasOpen: isOpened)
    }

    /// Notes that the proxy has opened the tunnel, to this origin.
    func opened(to origin: Origin) {
        isOpened = true
        shared.tunnelOpened(to: origin)
    }

    private func answered(_ error: H2Error?) {
        guard let completion else { return }
        self.completion = nil
        completion(self, error)
    }

    // Called inside nghttp2, so nothing is sent from here.
    override func wantsBody() {
        if finishes, case .awaitingChunk = outgoing { outgoing = .finished }
        wire?.wantsBytes()
    }
}

/// A tunnel through an HTTP/2 proxy. Its bytes are DATA frames; the stream's windows provide backpressure in both
/// directions.
///
/// Belongs to its connection's loop.
final class TunnelWire: CarrierWire {
    private let stream: TunnelStream
    private let proxy: HTTPClient.Proxy
    private let loop: H2EventLoop
    private var handler: (any ReadinessHandler)?
    private var watched = (readable: true, writable: false)
    private(set) var failure: H2Error?
    private(set) var traffic = (received: 0, sent: 0)
    private var isClosed = false
    /// How much of `stream.body` has been read.
    private var offset = 0
    private var isToldLater = false
    /// The bytes written last, which `stream` may still be sending. Once it has dropped them, their memory is reused.
    private var output: [UInt8] = []

    /// The maximum number of bytes waiting to become frames. Above it, no more are accepted.
    private static let outputLimit = 64 << 10
    /// The amount of memory that an idle tunnel may keep for writing.
    private static let keptOutput = 4 << 10

    init(_ stream: TunnelStream, through proxy: HTTPClient.Proxy) {
        self.stream = stream
        self.proxy = proxy
        loop = stream.shared.connection.loop
        stream.wire = self
    }

    // MARK: - Reading

    var hasBufferedInput: Bool { !isClosed && offset < stream.body.count }

    func peek(into buffer: UnsafeMutableRawBufferPointer) -> WireResult {
        let count = min(stream.body.count - offset, buffer.count)
        guard count > 0 else { return end }
        stream.body.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count]))
        }
        return .bytes(count)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> WireResult {
        let result = peek(into: buffer)
        guard case .bytes(let count) = result else { return result }
        traffic.received += count
        offset += count
        if offset == stream.body.count {
            // Do not keep memory for a whole window for the life of a tunnel.
            stream.body.removeAll(keepingCapacity: stream.body.count <= Self.outputLimit)
            offset = 0
            // Both windows get the credit only now, so a slow reader slows the proxy down.
            stream.shared.connection.tunnelConsumed(stream)
        }
        return result
    }

    /// The state when there are no bytes.
    private var end: WireResult {
        if isClosed { return .end }
        switch stream.phase {
        case .awaitingHead, .body: return .wouldBlock
        case .ended: return .end
        case .failed(let error):
            failure = H2Error(
                .connectionClosed, scope: .connection, initiator: .remote,
                cause: (error as? H2Error)?.cause ?? .unknown,
                message: "the tunnel through the proxy \(proxy) ended: \((error as? H2Error)?.message ?? "\(error)")",
                remedy: "the connection is gone; connect anew")
            return .failed
        }
    }

    // MARK: - Writing

    func write(_ bytes: UnsafeRawBufferPointer) -> WireResult {
        if isClosed { return .end }
        if case .failed = stream.phase { return end }
        switch stream.outgoing {
        case .awaitingChunk:
            if output.capacity > Self.keptOutput { output = [] }
            output.removeAll(keepingCapacity: true)
            output.append(contentsOf: bytes)
            stream.outgoing = .chunk(output, offset: 0)
        case .chunk(var waiting, let offset):
            guard waiting.count - offset < Self.outputLimit else { return .wouldBlock }
            // Not copied: nobody else holds the array in the meantime.
            stream.outgoing = .awaitingChunk
            output = []
            if offset > 0 { waiting.removeFirst(offset) }
            waiting.append(contentsOf: bytes)
            stream.outgoing = .chunk(waiting, offset: 0)
        case .done, .bytes, .file, .finished:
            failure = H2Error(
                .connectionClosed, scope: .connection, initiator: .remote,
                message: "the proxy \(proxy) closed the tunnel", remedy: "the connection is gone; connect anew")
            return .failed
        }
        traffic.sent += bytes.count
        stream.shared.connection.resumeTunnel(stream)
        return .bytes(bytes.count)
    }

    func finishWriting() {
        guard !isClosed, case .awaitingChunk = stream.outgoing else { return }
        stream.outgoing = .finished
        stream.shared.connection.resumeTunnel(stream)
    }

    // MARK: - Readiness

    func attach(to loop: H2EventLoop, handler: any ReadinessHandler) {
        precondition(loop === self.loop, "a tunnel belongs to the loop of its connection")
        self.handler = handler
        watched = (true, false)
        if isReadable { tellLater() }
    }

    func detach() {
        handler = nil
        watched = (true, false)
    }

    func watch(readable: Bool, writable: Bool) {
        watched = (readable, writable)
        if readable && isReadable || writable && isWritable { tellLater() }
    }

    private var isReadable: Bool { hasBufferedInput || stream.isOver }

    private var isWritable: Bool {
        guard case .chunk(let waiting, let offset) = stream.outgoing else { return true }
        return waiting.count - offset < Self.outputLimit
    }

    /// Bytes have arrived, or the stream has ended.
    fileprivate func progressed() {
        guard watched.readable || stream.isOver, isReadable else { return }
        tell()
    }

    /// The waiting bytes have become frames. Called inside nghttp2.
    fileprivate func wantsBytes() {
        if watched.writable { tellLater() }
    }

    private func tellLater() {
        guard !isToldLater else { return }
        isToldLater = true
        let box = LoopBound(self)
        loop.execute {
            box.value.isToldLater = false
            box.value.tell()
        }
    }

    private func tell() {
        guard !isClosed, let handler else { return }
        let readable = watched.readable && isReadable
        let writable = watched.writable && isWritable
        if readable || writable { handler.ready(readable: readable, writable: writable) }
    }

    // MARK: - Closing

    func close() {
        guard !isClosed else { return }
        isClosed = true
        output = []
        handler = nil
        stream.wire = nil
        stream.shared.connection.dropTunnelInput(stream)
        // Data that was just written, such as close_notify, is still sent.
        if stream.slot >= 0 { stream.finish() }
    }
}
