/// Drives a TLS handshake by readiness and calls `completion` at its end, whether it succeeded (`wire.failure` is nil) or not.
package final class Handshaker: ReadinessHandler {
    private let wire: TLSWire
    private let loop: H2EventLoop
    private var completion: (() -> Void)?

    package init(wire: TLSWire, loop: H2EventLoop, completion: @escaping () -> Void) {
        self.wire = wire
        self.loop = loop
        self.completion = completion
    }

    package func start() {
        wire.attach(to: loop, handler: self)
        step()
    }

    package func ready(readable: Bool, writable: Bool) { step() }

    package func unwatched(_ error: H2Error) {
        guard let completion else { return }
        self.completion = nil
        wire.failure = error
        wire.detach()
        completion()
    }

    private func step() {
        guard let completion else { return }
        switch wire.handshake() {
        case .wantsRead: wire.watch(readable: true, writable: false)
        case .wantsWrite: wire.watch(readable: false, writable: true)
        case .done, .failed:
            self.completion = nil
            wire.detach()
            completion()
        }
    }

    /// Closes the wire without calling `completion`.
    package func abandon() {
        guard completion != nil else { return }
        completion = nil
        wire.close()
    }
}
