import CNghttp2
import Foundation
import H2Platform

@testable import H2Client

/// The result of a dial.
struct Reached: Sendable {
    var info: ConnectionInfo
    var applicationProtocol: ProtocolChoice
}

/// Dials on its own loop, looks at the connection, and closes it.
///
/// `look` runs on the loop's thread, and says by calling its last argument that it is done.
func dial(
    _ url: String, _ configuration: ConnectionConfiguration = ConnectionConfiguration(), tls: TLSContext? = nil,
    protocols: [String] = ["h2"], resolver: (any NameResolver)? = nil,
    look: @escaping @Sendable (Dialer.Connected, H2EventLoop, @escaping () -> Void) -> Void = { $2() }
) async throws -> Reached {
    let loop = H2EventLoop()
    defer { loop.shutdown() }
    let origin = try Origin(url)
    let result: Result<Reached, H2Error> = await withCheckedContinuation { continuation in
        loop.execute {
            var dialer: Dialer?
            dialer = Dialer(
                origin: origin, id: ConnectionID(number: 1), configuration: configuration, tls: tls,
                protocols: protocols, loop: loop, resolver: resolver
            ) { result in
                _ = dialer
                dialer = nil
                switch result {
                case .failure(let error): continuation.resume(returning: .failure(error))
                case .success(let connected):
                    look(connected, loop) {
                        connected.wire.close()
                        continuation.resume(
                            returning: .success(
                                Reached(
                                    info: connected.info, applicationProtocol: connected.applicationProtocol)))
                    }
                }
            }
            dialer?.start()
        }
    }
    return try result.get()
}

/// Reads until some bytes have arrived, as its protocol would: TLS 1.3 tickets arrive with them.
private final class Reader: ReadinessHandler {
    private let wire: any Wire
    private var done: (() -> Void)?
    private var buffer = [UInt8](repeating: 0, count: 4_096)

    init(_ wire: any Wire, _ done: @escaping () -> Void) {
        self.wire = wire
        self.done = done
    }

    func ready(readable: Bool, writable: Bool) {
        guard let done, buffer.withUnsafeMutableBytes({ wire.read(into: $0) }) != .wouldBlock else { return }
        self.done = nil
        done()
    }
}

/// Dials, reads the server's first bytes, and closes.
func visit(
    _ url: String, _ configuration: ConnectionConfiguration, _ tls: TLSContext, protocols: [String] = ["h2"]
) async throws -> Reached {
    try await dial(url, configuration, tls: tls, protocols: protocols) { connected, loop, done in
        let reader = Reader(connected.wire, done)
        connected.wire.attach(to: loop, handler: reader)
        if connected.wire.hasBufferedInput { reader.ready(readable: true, writable: false) }
    }
}

/// A configuration that trusts one authority, and a context made from it.
func trusting(
    _ caPEM: String, _ change: (inout ConnectionConfiguration) -> Void = { _ in }
) throws -> (ConnectionConfiguration, TLSContext) {
    var configuration = ConnectionConfiguration()
    configuration.tls.roots = [.pem(caPEM)]
    change(&configuration)
    return (configuration, try TLSContext(client: configuration.tls))
}

/// A configuration that trusts anybody.
func trustingAnybody(
    _ change: (inout ConnectionConfiguration) -> Void = { _ in }
) throws -> (ConnectionConfiguration, TLSContext) {
    var configuration = ConnectionConfiguration()
    configuration.tls.verifiesPeer = false
    change(&configuration)
    return (configuration, try TLSContext(client: configuration.tls))
}

/// A port of loopback that never answers: the queue of a listener that accepts nothing takes a connection or two, and the
/// kernel drops what comes after.
final class SilentPort {
    private let listener = ch2_tcp_socket(AF_INET)
    private var fillers: [CInt] = []
    let number: Int

    init() throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        func withAddress(_ body: (UnsafePointer<sockaddr>) -> CInt) -> CInt {
            withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body) }
        }
        let bound = withAddress { [listener] in H2Platform.bind(listener, $0, length) }
        guard bound == 0, listen(listener, 0) == 0 else {
            throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
        }
        number = Int(ch2_socket_port(listener))
        address.sin_port = UInt16(number).bigEndian
        for _ in 0..<4 {
            let filler = ch2_tcp_socket(AF_INET)
            _ = withAddress { H2Platform.connect(filler, $0, length) }
            fillers.append(filler)
        }
    }

    deinit {
        for descriptor in fillers + [listener] { close(descriptor) }
    }
}
