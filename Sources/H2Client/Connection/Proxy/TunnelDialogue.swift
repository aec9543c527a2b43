/// The exchange with a proxy until a tunnel is open, sans I/O.
///
/// Not safe for concurrent use.
protocol TunnelDialogue: AnyObject {
    /// Bytes waiting to be sent.
    var outputBytes: UnsafeRawBufferPointer { get }
    /// Removes `count` sent bytes from the front.
    func outputTaken(_ count: Int, now: UInt64)
    /// Whether the tunnel is open once the output has been sent.
    var isOpen: Bool { get }
    /// Processes received bytes. Returns how many belong to the dialogue: all, unless the tunnel is now open.
    /// - Throws: `H2Error` (`proxyFailed`, `limitExceeded`) if the tunnel cannot be opened.
    func receive(_ bytes: UnsafeRawBufferPointer, now: UInt64) throws(H2Error) -> Int
}

/// Runs a dialogue over a wire, which is then ready for the tunnel's contents: none of their bytes are consumed.
final class TunnelOpening: ReadinessHandler {
    private let dialogue: any TunnelDialogue
    private let wire: any CarrierWire
    /// The proxy, for messages.
    private let proxy: HTTPClient.Proxy
    private let loop: H2EventLoop
    private var completion: ((H2Error?) -> Void)?

    /// The maximum number of bytes examined in one step.
    private static let pieceLimit = 16 << 10

    /// - Parameter completion: called once, unless the opening is abandoned. The wire is then open and has no handler
    ///   attached.
    init(
        _ dialogue: any TunnelDialogue, over wire: any CarrierWire, with proxy: HTTPClient.Proxy, loop: H2EventLoop,
        completion: @escaping (H2Error?) -> Void
    ) {
        self.dialogue = dialogue
        self.wire = wire
        self.proxy = proxy
        self.loop = loop
        self.completion = completion
    }

    func start() {
        wire.attach(to: loop, handler: self)
        step()
    }

    func ready(readable: Bool, writable: Bool) { step() }
    func unwatched(_ error: H2Error) { finish(error) }

    private func step() {
        guard completion != nil else { return }
        do throws(H2Error) {
            while true {
                guard try write() else { return wire.watch(readable: false, writable: true) }
                if dialogue.isOpen { return finish(nil) }
                guard try read() else { return wire.watch(readable: true, writable: false) }
            }
        } catch {
            finish(error)
        }
    }

    /// Returns false if the wire is full.
    private func write() throws(H2Error) -> Bool {
        while case let bytes = dialogue.outputBytes, !bytes.isEmpty {
            switch wire.write(bytes) {
            case .bytes(let count): dialogue.outputTaken(count, now: loop.now)
            case .wouldBlock: return false
            case .end, .failed: throw cutOff(wire.failure)
            }
        }
        return true
    }

    /// Returns false if no input is available.
    private func read() throws(H2Error) -> Bool {
        let buffer = UnsafeMutableRawBufferPointer(rebasing: loop.readBuffer.prefix(Self.pieceLimit))
        switch wire.peek(into: buffer) {
        case .wouldBlock: return false
        case .end: throw cutOff(nil)
        case .failed: throw cutOff(wire.failure)
        case .bytes(let count):
            var taken = try dialogue.receive(UnsafeRawBufferPointer(rebasing: buffer[..<count]), now: loop.now)
            while taken > 0 {
                guard
                    case .bytes(let removed) = wire.read(
                        into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<taken]))
                else { throw cutOff(wire.failure) }
                taken -= removed
            }
            return true
        }
    }

    private func cutOff(_ failure: H2Error?) -> H2Error {
        H2Error(
            .proxyFailed, scope: .connection, initiator: .remote, cause: failure?.cause ?? .unknown,
            message: "the proxy \(proxy) left before it had opened a tunnel: "
                + (failure?.message ?? "it closed the connection"),
            remedy: "does it speak \(proxy.scheme.rawValue) on this port? its log may say why", isRetryable: true)
    }

    private func finish(_ error: H2Error?) {
        guard let completion else { return }
        self.completion = nil
        wire.detach()
        completion(error)
    }

    /// Closes the wire without calling `completion`.
    func abandon() {
        guard completion != nil else { return }
        completion = nil
        wire.close()
    }
}

/// Where a tunnel leads.
struct TunnelTarget {
    /// A name, or an address without brackets and zone.
    let host: String
    let port: Int

    init(host: String, port: Int) {
        self.host = Dialer.certificateName(host)
        self.port = port
    }

    /// As in CONNECT (RFC 9110 section 9.3.6): always with the port.
    var authority: String { HTTPClient.Proxy.authority(host, port) }
}
