internal import ArgumentParser

/// A time on the command line of `h2get serve`: `5ms`, `0.5s`, `2m`, `1h`; a number alone is milliseconds, as for
/// `--latency`. At most a day.
struct ServeDuration: ExpressibleByArgument, Equatable {
    var duration: Duration

    init?(argument: String) {
        let units: [(suffix: String, milliseconds: Double)] = [
            ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("", 1),
        ]
        guard let unit = units.first(where: { argument.hasSuffix($0.suffix) }) else { return nil }
        let digits = argument.dropLast(unit.suffix.utf8.count)
        // Double takes signs, exponents, "nan" and hexadecimal as well.
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) || $0 == UInt8(ascii: ".") }),
            let number = Double(digits), number * unit.milliseconds <= 86_400_000
        else { return nil }
        duration = .microseconds(Int64(number * unit.milliseconds * 1_000))
    }
}
