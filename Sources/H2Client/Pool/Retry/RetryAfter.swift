/// How long a response asks to be left alone. Unreadable values are ignored, never an error.
///
/// `field` returns a header field's value for its lowercase name; `now` is in seconds since 1970; results are in nanoseconds.
enum RetryAfter {
    /// Longer waits are cut to this number of seconds (68 years).
    private static let longest = Int(Int32.max)

    /// `Retry-After` (RFC 9110 section 10.2.3): seconds or a date; a past date means 0.
    static func wait(_ field: (String) -> String?, now: Int) -> UInt64? {
        guard let value = field("retry-after").map(trimmed) else { return nil }
        if let seconds = number(value) { return nanoseconds(seconds) }
        return HTTPDate.seconds(value, now: now).map { nanoseconds(until: $0, now) }
    }

    /// The wait that RateLimit fields ask for: nil while some quota is left, otherwise the time until it is refilled.
    ///
    /// Three generations: `RateLimit: "policy";r=0;t=30` (draft-ietf-httpapi-ratelimit-headers), whose longest wait counts;
    /// `RateLimit-Remaining` and `RateLimit-Reset`; and the same with `X-`.
    static func pause(_ field: (String) -> String?, now: Int) -> UInt64? {
        if let value = field("ratelimit"), let seconds = RateLimitField.pause(value) { return nanoseconds(seconds) }
        for prefix in ["", "x-"] {
            guard let remaining = field(prefix + "ratelimit-remaining").map(trimmed), number(remaining) == 0,
                let reset = field(prefix + "ratelimit-reset").map(trimmed).flatMap({ number($0) })
            else { continue }
            // No quota lasts 30 years: a number this large is a Unix time, and a still larger one is in milliseconds.
            if reset > 100_000_000_000 { return nanoseconds(until: reset / 1_000, now) }
            return reset > 1_000_000_000 ? nanoseconds(until: reset, now) : nanoseconds(reset)
        }
        return nil
    }

    private static func trimmed(_ value: String) -> Substring {
        var rest = value[...]
        while rest.utf8.first == 0x20 || rest.utf8.first == 0x09 { rest = rest.dropFirst() }
        while rest.utf8.last == 0x20 || rest.utf8.last == 0x09 { rest = rest.dropLast() }
        return rest
    }

    /// Digits only; the maximum if the number overflows.
    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text) ?? .max
    }

    private static func nanoseconds(_ seconds: Int) -> UInt64 {
        UInt64(min(max(seconds, 0), longest)) * 1_000_000_000
    }

    private static func nanoseconds(until time: Int, _ now: Int) -> UInt64 {
        let (difference, isOverflow) = time.subtractingReportingOverflow(now)
        return nanoseconds(isOverflow ? (time > now ? .max : 0) : difference)
    }
}
