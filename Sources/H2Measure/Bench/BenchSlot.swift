internal import H2Client

/// A slot, whichever API its requests use: it holds one connection after another.
///
/// Use it only on its worker's loop.
protocol BenchSlot: AnyObject {
    var worker: Worker { get }
    /// Its index among all slots of the measurement.
    var number: Int { get }
    /// Requests that it may still send.
    var left: Int { get set }
    /// The plan's streams that want to begin a request.
    var wanting: Wanting { get set }
    /// The last time without a connection.
    var gap: Worker.Gap { get set }
    /// Whether the measurement has started it, which the connection rate (-r) may delay.
    var hasStarted: Bool { get set }
    /// Whether it has ever wanted a connection, and whether it has ever had one.
    var hasWanted: Bool { get }
    var hasConnected: Bool { get }
    /// Responses in the measured part.
    var answered: Int { get set }
    /// Whether another request may begin here now.
    var maySend: Bool { get }

    /// Sends waiting requests, as far as there is room, and makes sure that there is a connection.
    func pump()
    /// Sets the number of users here, for a plan with users.
    func setUsers(_ count: Int)
    /// Gives up requests that wait for a retry, because their users leave.
    func abandonRetries()
    /// The measurement is over.
    func end()
}

extension BenchSlot {
    func start() {
        hasStarted = true
        gap.from = worker.loop.now
        wake()
    }

    /// There may be more to send.
    func wake() {
        guard hasStarted, maySend else { return }
        // All of them want to begin now, and wait for the connection.
        wanting.beginAll(now: worker.loop.now)
        pump()
    }

    /// Offers its unsent requests to slots that have a connection. Once connected, it takes from the same pool.
    func offerRest() {
        guard left > 0, !worker.isOpenLoop, case .requests = worker.plan.extent else { return }
        worker.orphaned += left
        left = 0
        worker.wakeForOrphaned()
    }
}
