import CNghttp2
import H2Platform
import Synchronization

@testable import H2Client

/// A TLS server that shakes hands with whoever comes, says `greeting`, and speaks no HTTP.
///
/// Invariant behind `@unchecked Sendable`: all of it belongs to its loop's thread, but for what `init` has set.
final class TLSPeer: ReadinessHandler, @unchecked Sendable {
    let port: Int
    let context: TLSContext
    /// The authority of its certificate.
    let caPEM: String
    private let greeting: [UInt8]
    private let listener: CInt
    private let loop = H2EventLoop()
    private let established = Atomic<Int>(0)
    private var wires: [TLSWire] = []
    private var handshakers: [Handshaker] = []

    /// - Parameter protocols: what it chooses from by ALPN; none: it does not know ALPN.
    init(
        protocols: [String], names: [String] = ["localhost", "127.0.0.1"], greeting: String = "",
        _ change: (TLSContext) -> Void = { _ in }
    ) throws {
        context = try TLSContext(serverProtocols: protocols)
        caPEM = try context.makeSelfSigned(names: names, days: 1).caPEM
        change(context)
        self.greeting = Array(greeting.utf8)
        listener = ch2_listen("127.0.0.1", 0, 64)
        precondition(listener >= 0, "ch2_listen: errno \(errno)")
        port = Int(ch2_socket_port(listener))
        loop.execute { [self] in loop.register(listener, handler: self) }
    }

    var url: String { "https://127.0.0.1:\(port)" }

    func stop() {
        loop.execute { [self] in
            loop.deregister(listener)
            close(listener)
            for wire in wires { wire.close() }
            wires = []
            handshakers = []
            loop.shutdown()
        }
    }

    /// Whether nobody has shaken hands so far.
    var isEmpty: Bool { established.load(ordering: .acquiring) == 0 }

    /// Closes what is connected.
    func closeAll() {
        loop.execute { [self] in
            for wire in wires { wire.close() }
        }
    }

    func ready(readable: Bool, writable: Bool) {
        while case let descriptor = ch2_accept(listener), descriptor >= 0 {
            guard let wire = try? TLSWire(descriptor: descriptor, context: context, serverName: nil) else { continue }
            wires.append(wire)
            let handshaker = Handshaker(wire: wire, loop: loop) { [self] in
                if wire.failure == nil { established.add(1, ordering: .releasing) } else { wire.close() }
                guard wire.failure == nil, !greeting.isEmpty else { return }
                _ = greeting.withUnsafeBytes { wire.write($0) }
            }
            handshakers.append(handshaker)
            handshaker.start()
        }
    }
}

/// Chooses by ALPN what nobody offered.
func chooseUnoffered(_ context: TLSContext) {
    SSL_CTX_set_alpn_select_cb(
        context.context,
        { _, out, length, _, _, _ in
            out?.pointee = unofferedProtocol
            length?.pointee = 6
            return SSL_TLSEXT_ERR_OK
        }, nil)
}

// Never changed after it was made, and never freed.
private nonisolated(unsafe) let unofferedProtocol: UnsafePointer<UInt8> = {
    let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 6)
    for (index, byte) in "spdy/1".utf8.enumerated() { bytes[index] = byte }
    return UnsafePointer(bytes)
}()

/// A certificate signed by itself, with its key, as PEM.
struct TestIdentity {
    let certificate: String
    let key: String

    init(name: String = "a client") throws {
        func pem(_ write: (OpaquePointer) -> CInt) throws -> String {
            guard let bio = BIO_new(BIO_s_mem()) else { throw H2Error(.tlsConfiguration, message: "no memory") }
            defer { BIO_free(bio) }
            guard write(bio) == 1 else { throw H2Error(.tlsConfiguration, message: "PEM") }
            var bytes = [UInt8](repeating: 0, count: 8_192)
            let count = BIO_read(bio, &bytes, CInt(bytes.count))
            return String(decoding: bytes.prefix(Int(max(count, 0))), as: UTF8.self)
        }
        let context = try TLSContext(serverProtocols: [])
        _ = try context.makeSelfSigned(names: [name], days: 1)
        certificate = try pem { PEM_write_bio_X509($0, SSL_CTX_get0_certificate(context.context)) }
        key = try pem { PEM_write_bio_PrivateKey($0, SSL_CTX_get0_privatekey(context.context), nil, nil, 0, nil, nil) }
    }
}

/// Has a server want a certificate of its clients, signed by nobody in particular.
func wantClientCertificate(_ context: TLSContext) {
    SSL_CTX_set_verify(context.context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
}
