internal import ArgumentParser
import H2Measure

/// A time in `h2get serve`'s options, such as `5ms`, `0.5s`, `2m` or `1h`, at most a day.
///
/// A number without a unit means milliseconds, as for `--latency`.
struct ServeDuration: ExpressibleByArgument, Equatable {
    var duration: Duration

    init?(argument: String) {
        guard let time = QuantityText.nanoseconds(argument, bare: .milliseconds), time <= 86_400_000_000_000 else {
            return nil
        }
        duration = .nanoseconds(Int64(time))
    }
}
