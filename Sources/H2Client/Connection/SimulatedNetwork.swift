/// The source of a client's connections and random waits in a simulation, instead of the sockets of a `Dialer`.
///
/// Called on the loop's thread.
protocol SimulatedNetwork: AnyObject, Sendable {
    /// Starts connecting. `completion` is called once, on the loop and after this has returned, but never after the returned
    /// closure was called.
    func connect(
        to origin: Origin, offering offer: ProtocolOffer,
        completion: @escaping (Result<Dialer.Connected, H2Error>) -> Void
    ) -> () -> Void

    /// A new generator each time.
    var generator: any RandomNumberGenerator { get }
}
