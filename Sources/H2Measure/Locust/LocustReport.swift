/// The `stats` message of a Locust worker: what was counted since the one before.
struct LocustReport {
    /// The figures of one name, or of all.
    private struct Entry {
        var ended = 0
        var failed = 0
        var part = LiveFigures.Part()
        var failedBySecond: [Int: Int] = [:]

        mutating func add(_ other: LiveFigures.Part, isFailure: Bool) {
            ended += other.ended
            part.add(other)
            guard isFailure else { return }
            failed += other.ended
            failedBySecond.merge(other.endedBySecond, uniquingKeysWith: +)
        }
    }

    private var entries: [Int: Entry] = [:]
    private var total = Entry()
    private let failures: [LiveFigures.Failure: Int]
    private let names: [LiveNames.Name]

    init(_ figures: LiveFigures, _ names: LiveNames) {
        self.names = names.all
        failures = figures.failures
        for (key, part) in figures.parts {
            entries[key.name, default: Entry()].add(part, isFailure: key.isFailure)
            total.add(part, isFailure: key.isFailure)
        }
    }

    /// - Parameters:
    ///   - begin: when the figures began to be counted, in seconds since 1970.
    ///   - classes: the users of each class at the moment.
    func data(since begin: Double, classes: [LocustWorker.UserClass]) -> MessagePack {
        let errors = failures.sorted { ($0.key.name, $0.key.cause) < ($1.key.name, $1.key.cause) }.map {
            failure, count in
            let name = names[failure.name]
            return MessagePack.Entry(
                .string("\(name.method).\(name.path).\(failure.cause)"),
                [
                    "method": .string(name.method), "name": .string(name.path), "error": .string(failure.cause),
                    "occurrences": .int(count),
                ])
        }
        return [
            "stats": .array(
                entries.sorted { $0.key < $1.key }.map { Self.data($0.value, names[$0.key], since: begin) }),
            "stats_total": Self.data(total, LiveNames.Name(method: "", path: "Aggregated"), since: begin),
            "errors": .map(errors),
            "user_classes_count": LocustWorker.data(classes),
            "user_count": .int(classes.reduce(0) { $0 + $1.count }),
        ]
    }

    /// Times are in milliseconds, points in time in seconds since 1970.
    private static func data(_ entry: Entry, _ name: LiveNames.Name, since begin: Double) -> MessagePack {
        let part = entry.part
        return [
            "name": .string(name.path),
            "method": .string(name.method),
            "last_request_timestamp": part.ended > 0 ? .double(Double(part.lastAt) / 1e9) : .null,
            "start_time": .double(begin),
            "num_requests": .int(entry.ended),
            "num_none_requests": 0,
            "num_failures": .int(entry.failed),
            "total_response_time": .double(Double(part.latencies) / 1e6),
            "max_response_time": .double(Double(part.longest) / 1e6),
            "min_response_time": part.ended > 0 ? .double(Double(part.shortest) / 1e6) : .null,
            "total_content_length": .int(part.bytes),
            "response_times": .map(
                part.milliseconds.all.map { MessagePack.Entry(.int($0.milliseconds), .int($0.count)) }),
            "num_reqs_per_sec": data(part.endedBySecond),
            "num_fail_per_sec": data(entry.failedBySecond),
        ]
    }

    private static func data(_ counts: [Int: Int]) -> MessagePack {
        .map(counts.sorted { $0.key < $1.key }.map { MessagePack.Entry(.int($0.key), .int($0.value)) })
    }
}
