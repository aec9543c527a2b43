internal import ArgumentParser
import H2Measure

/// A time on the command line of `h2get serve`: `5ms`, `0.5s`, `2m`, `1h`; a number alone is milliseconds, as for
/// `--latency`. At most a day.
struct ServeDuration: ExpressibleByArgument, Equatable {
    var duration: Duration

    init?(argument: String) {
        guard let time = QuantityText.nanoseconds(argument, bare: .milliseconds), time <= 86_400_000_000_000 else {
            return nil
        }
        duration = .nanoseconds(Int64(time))
    }
}
