/// Where a client's connections come from in a simulation, instead of the sockets of a `Dialer`; and what waits are drawn from.
///
/// Called on the loop's thread.
protocol SimulatedNetwork: AnyObject, Sendable {
    /// Begins to connect. `completion` is called once, on the loop and not before this has returned; where the closure that
    /// is returned was called first, never.
    func connect(
        to origin: Origin, offering offer: ProtocolOffer,
        completion: @escaping (Result<Dialer.Connected, H2Error>) -> Void
    ) -> () -> Void

    /// Another one each time.
    var generator: any RandomNumberGenerator { get }
}
