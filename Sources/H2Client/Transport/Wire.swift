import CNghttp2
import H2Platform

/// The result of a read or write on a wire.
package enum WireResult: Equatable {
    case bytes(Int)
    /// Nothing now; the wire's loop reports when to try again.
    case wouldBlock
    /// The peer closed its side, in TLS with close_notify.
    case end
    /// See the wire's `failure`.
    case failed
}

/// A connected, non-blocking byte stream: TCP, TLS over it, or a simulated one.
///
/// Not safe for concurrent use: it belongs to one loop's thread.
package protocol Wire: AnyObject {
    func read(into buffer: UnsafeMutableRawBufferPointer) -> WireResult
    func write(_ bytes: UnsafeRawBufferPointer) -> WireResult
    /// True if bytes are waiting above the descriptor, which readiness does not report.
    var hasBufferedInput: Bool { get }
    /// Why the last call failed.
    var failure: H2Error? { get }
    /// Whether the peer presented a certificate, verified by us, that is valid for this host name or address: such a connection
    /// may carry its requests (RFC 9113 section 9.1.1). False in cleartext.
    func isCertificateValid(for host: String) -> Bool
    /// Bytes that the descriptor received and sent, including TLS and its handshake; 0 if there is none.
    var traffic: (received: Int, sent: Int) { get }
    /// Starts notifying `handler` of readiness.
    func attach(to loop: H2EventLoop, handler: any ReadinessHandler)
    /// Whether to notify the handler of room to write, and of input (false: stop reading).
    func watch(readable: Bool, writable: Bool)
    /// Sends close_notify if TLS requires it, detaches and closes. Can be called twice.
    func close()
    /// Frees what is left after `close`, except `failure` and `traffic`. Must not be called from within any of its calls.
    func release()
}

extension Wire {
    package func isCertificateValid(for host: String) -> Bool { false }
    package var traffic: (received: Int, sent: Int) { (0, 0) }
    package func release() {}
}

/// A wire that can carry another one, such as TLS with the origin at the far end of a proxy's tunnel.
package protocol CarrierWire: Wire {
    /// Like `read`, but the bytes stay where they are.
    func peek(into buffer: UnsafeMutableRawBufferPointer) -> WireResult
    /// Stops notifying the handler; the wire stays open, for another handler.
    func detach()
    /// Closes only our side, with close_notify in TLS.
    func finishWriting()
}

/// The part shared by TCP and TLS wires: the layer below them, usually a descriptor.
package class SocketWire {
    /// -1 if there is a carrier.
    package let descriptor: CInt
    /// The wire below, if there is no descriptor of our own.
    final let carrier: (any CarrierWire)?
    private var loop: H2EventLoop?
    private var watched = (readable: true, writable: false)
    package internal(set) var failure: H2Error?
    private(set) var isClosed = false

    /// Takes ownership of the descriptor.
    package init(descriptor: CInt) {
        self.descriptor = descriptor
        carrier = nil
    }

    /// Takes ownership of the carrier, which must have no handler attached.
    init(carrier: any CarrierWire) {
        descriptor = -1
        self.carrier = carrier
    }

    deinit {
        if !isClosed { _ = closeDescriptor() }
    }

    package final func attach(to loop: H2EventLoop, handler: any ReadinessHandler) {
        self.loop = loop
        if let carrier {
            carrier.attach(to: loop, handler: handler)
        } else {
            loop.register(descriptor, handler: handler)
        }
    }

    package final func watch(readable: Bool, writable: Bool) {
        guard let loop, !isClosed, watched != (readable, writable) else { return }
        watched = (readable, writable)
        if let carrier { return carrier.watch(readable: readable, writable: writable) }
        loop.update(descriptor, readable: readable, writable: writable)
    }

    /// Stops notifying the handler; the descriptor stays open, for another handler.
    package final func detach() {
        guard !isClosed else { return }
        if let carrier { carrier.detach() } else { loop?.deregister(descriptor) }
        loop = nil
        watched = (true, false)
    }

    /// Closes only our side, in TLS with close_notify: the peer reads to the end, and its data can still be read.
    package func finishWriting() {
        guard !isClosed else { return }
        if let carrier { return carrier.finishWriting() }
        shutdown(descriptor, CInt(SHUT_WR))
    }

    final func closeDescriptor() -> Bool {
        guard !isClosed else { return false }
        isClosed = true
        defer { loop = nil }
        if let carrier {
            carrier.close()
            return true
        }
        loop?.deregister(descriptor)
        _ = H2Platform.close(descriptor)
        return true
    }

    /// Gives the open descriptor away; this wire then counts as closed. No handler is attached.
    final func releaseDescriptor() -> CInt {
        precondition(!isClosed && carrier == nil && loop == nil, "an open descriptor of its own, that nobody watches")
        isClosed = true
        return descriptor
    }

    final func fail(_ operation: String, errno code: CInt) -> WireResult {
        failure = H2Error(
            .connectionClosed, scope: .connection, initiator: .remote, cause: .errno(code),
            message: "\(operation) failed: \(describeErrno(code))",
            remedy: "the connection is gone; connect anew")
        return .failed
    }
}

/// Cleartext TCP.
package final class TCPWire: SocketWire, CarrierWire {
    package var hasBufferedInput: Bool { false }
    // Unchecked exclusivity: used on the loop's thread only, and never passed inout.
    @exclusivity(unchecked) package private(set) var traffic = (received: 0, sent: 0)

    package func read(into buffer: UnsafeMutableRawBufferPointer) -> WireResult {
        while true {
            let count = recv(descriptor, buffer.baseAddress!, buffer.count, 0)
            if count > 0 {
                traffic.received += count
                return .bytes(count)
            }
            if count == 0 { return .end }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            default: return fail("reading", errno: errno)
            }
        }
    }

    package func peek(into buffer: UnsafeMutableRawBufferPointer) -> WireResult {
        while true {
            let count = recv(descriptor, buffer.baseAddress!, buffer.count, CInt(MSG_PEEK))
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            default: return fail("reading", errno: errno)
            }
        }
    }

    package func write(_ bytes: UnsafeRawBufferPointer) -> WireResult {
        let count = ch2_send(descriptor, bytes.baseAddress!, bytes.count)
        if count >= 0 {
            traffic.sent += count
            return .bytes(count)
        }
        return errno == EAGAIN ? .wouldBlock : fail("writing", errno: errno)
    }

    package func close() { _ = closeDescriptor() }
}
