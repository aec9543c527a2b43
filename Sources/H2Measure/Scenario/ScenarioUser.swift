import H2Platform

/// A request that a user makes.
package struct ScenarioRequest: Sendable, Equatable {
    /// Index of `Scenario.steps`, which has its name.
    package let step: Int
    /// How long the user waits before it, since the end of the previous request. In nanoseconds.
    package let waitNanoseconds: UInt64
    package let method: String
    /// In ASCII, with a query if it has one.
    package let path: String
    package let fields: [ScenarioField]
    /// Empty for none.
    package let body: [UInt8]
}

/// What a user does next.
package enum ScenarioAction: Sendable, Equatable {
    /// `answered` or `failed` says how it ended.
    case send(ScenarioRequest)
    /// The request cannot be sent, and counts as failed for this reason. The rest of the task is skipped already: go on with
    /// `next()` once the wait is over.
    case fail(step: Int, waitNanoseconds: UInt64, reason: String)
}

/// The state of one user of a scenario: where in which task, with which values.
///
/// A user never ends by itself. It does no I/O and reads no clock, and does the same for the same seed and the same responses.
package struct ScenarioUser: Sendable {
    /// Of a path, and of a header's value.
    static let longestLine = 64 << 10
    static let longestBody = 64 << 20
    /// The least wait after a request that could not be sent, so that a user without one does not keep a thread busy.
    static let pauseAfterUnsendable: UInt64 = 100_000_000

    /// The step that is next or under way, and where the task ends.
    private struct Run: Sendable {
        var step: Int
        let end: Int
        /// Whether it is `on-start`.
        let isStart: Bool
    }

    private enum Position: Sendable {
        case betweenTasks
        case before(Run)
        case awaiting(Run)
    }

    private let scenario: Scenario
    private let own: Scenario.UserClass
    private let number: Int
    private var random: SplitMix64
    private var position = Position.betweenTasks
    /// Whether `on-start` has yet to be done.
    private var isNew: Bool
    /// The number of tasks that have ended.
    private var iteration = 0
    /// What is to be waited before the next request.
    private var pause: UInt64 = 0
    /// The row of each table.
    private var rows: [Int]
    /// The extracted values.
    private var values: [[UInt8]?]

    /// - Parameters:
    ///   - userClass: Index of `Scenario.userClasses`; see `Scenario.userClass(ofUser:)`.
    ///   - number: from 0, different for each user, also of other classes and on other machines.
    ///   - seed: the same for all users of a run.
    package init(_ scenario: Scenario, userClass: Int, number: Int, seed: UInt64) {
        precondition(number >= 0 && scenario.userClasses.indices.contains(userClass))
        self.scenario = scenario
        own = scenario.userClasses[userClass]
        self.number = number
        // The generator adds a constant to its state: seeds that are not mixed would give users each other's numbers.
        var mixer = SplitMix64(seed: seed)
        var ownMixer = SplitMix64(seed: mixer.next() ^ UInt64(number))
        random = SplitMix64(seed: ownMixer.next())
        isNew = !own.start.isEmpty
        rows = Array(repeating: 0, count: scenario.tables.count)
        values = Array(repeating: nil, count: own.extracted.count)
    }

    // MARK: Requests

    /// The next request. One that is under way counts as failed.
    package mutating func next() -> ScenarioAction {
        let run: Run
        switch position {
        case .awaiting:
            failed()
            run = begin()
        case .betweenTasks: run = begin()
        case .before(let next): run = next
        }
        let wait = pause
        pause = 0
        do throws(TextProblem) {
            let request = try request(run.step, wait)
            position = .awaiting(run)
            return .send(request)
        } catch {
            skip(run)
            pause = max(pause, Self.pauseAfterUnsendable)
            return .fail(step: run.step, waitNanoseconds: wait, reason: error.message)
        }
    }

    /// Chooses the next task, and rows for it.
    private mutating func begin() -> Run {
        var (steps, isStart) = (own.start, true)
        if !isNew {
            isStart = false
            let sums = own.taskWeights
            steps = own.tasks[sums.count == 1 ? 0 : choice(below(sums[sums.count - 1], &random), of: sums)].steps
        }
        for index in own.tables {
            let table = scenario.tables[index]
            switch table.pick {
            case .eachUser: rows[index] = number % table.rowCount
            case .inTurn: rows[index] = (number % table.rowCount + iteration % table.rowCount) % table.rowCount
            case .random: rows[index] = Int(below(UInt64(table.rowCount), &random))
            }
        }
        return Run(step: steps.lowerBound, end: steps.upperBound, isStart: isStart)
    }

    private mutating func request(_ index: Int, _ wait: UInt64) throws(TextProblem) -> ScenarioRequest {
        let step = scenario.steps[index]
        if let (path, fields, body) = step.constant {
            return ScenarioRequest(
                step: index, waitNanoseconds: wait, method: step.method, path: path, fields: fields, body: body)
        }
        let ownRandom = random.next()
        var path: [UInt8] = []
        try append(step.path, to: &path, ownRandom, upTo: Self.longestLine, "path")
        guard path.first == UInt8(ascii: "/") else { throw TextProblem("the path does not begin with /") }
        var fields: [ScenarioField] = []
        fields.reserveCapacity(step.fields.count)
        for (name, template) in step.fields {
            var value: [UInt8] = []
            try append(template, to: &value, ownRandom, upTo: Self.longestLine, "header")
            let trimmed = HeaderValue.trimmed(value[...])
            guard HeaderValue.isValid(trimmed) else {
                throw TextProblem("the value for the header \(quoted(name)) has a control character")
            }
            fields.append(ScenarioField(name: name, value: trimmed.count == value.count ? value : Array(trimmed)))
        }
        var body: [UInt8] = []
        try append(step.body, to: &body, ownRandom, upTo: Self.longestBody, "body")
        return ScenarioRequest(
            step: index, waitNanoseconds: wait, method: step.method, path: String(decoding: path, as: UTF8.self),
            fields: fields, body: body)
    }

    private func append(
        _ template: ScenarioTemplate, to out: inout [UInt8], _ ownRandom: UInt64, upTo limit: Int, _ what: String
    ) throws(TextProblem) {
        for part in template.parts {
            switch part {
            case .text(let text): out += text
            case .variable(let variable, let encoding):
                switch variable {
                case .constant(let text): encoding.append(text, to: &out)
                case .column(let table, let column):
                    encoding.append(scenario.tables[table].value(row: rows[table], column: column), to: &out)
                case .extracted(let slot, let name):
                    guard let value = values[slot] else { throw TextProblem("${\(name)} has no value yet") }
                    encoding.append(value, to: &out)
                case .user: out += String(number).utf8
                case .iteration: out += String(iteration).utf8
                case .random:
                    let digits = String(ownRandom, radix: 16)
                    out += repeatElement(0x30, count: 16 - digits.utf8.count)
                    out += digits.utf8
                }
            }
            guard out.count <= limit else {
                throw TextProblem(
                    "the \(what) is longer than \(limit >= 1 << 20 ? "\(limit >> 20) MB" : "\(limit >> 10) KiB")")
            }
        }
    }

    // MARK: Responses

    /// Takes the response to the request under way: extracts values, and checks it.
    ///
    /// The rest of the task is skipped if a value is not there.
    /// - Parameters:
    ///   - fields: the value of a field by its name in lower case; asked only if the step `needsHead`.
    ///   - body: looked at only if the step `needsBody`.
    /// - Returns: nil if all is well; otherwise the reason why the request counts as failed, in words that are the same for
    ///   all failures of that kind.
    package mutating func answered(
        status: Int, fields: (String) -> [UInt8]?, body: [UInt8], latencyNanoseconds: UInt64
    ) -> String? {
        guard case .awaiting(let run) = position else { return nil }
        let step = scenario.steps[run.step]
        var reason = failure(of: step.check, status, body, latencyNanoseconds)
        var isComplete = true
        for extraction in step.extractions {
            let value =
                switch extraction.source {
                case .json(let pointer): pointer.value(in: body)
                case .header(let name): fields(name)
                case .regex(let regex): regex.match(in: body)
                }
            if let value {
                values[extraction.slot] = value
            } else {
                isComplete = false
                reason = reason ?? extraction.failure
            }
        }
        if isComplete { advance(run) } else { skip(run) }
        return reason
    }

    /// Says that the request under way got no response. The rest of the task is skipped.
    package mutating func failed() {
        guard case .awaiting(let run) = position else { return }
        skip(run)
    }

    private func failure(of check: ScenarioCheck, _ status: Int, _ body: [UInt8], _ latency: UInt64) -> String? {
        guard check.accepts(status: status) else { return "unexpected status \(status)" }
        for (part, failure) in check.body where !holds(part, for: body) { return failure }
        guard let limit = check.latency, latency > limit.nanoseconds else { return nil }
        return limit.failure
    }

    /// Whether a check holds. One with a variable that has no value does not.
    private func holds(_ check: ScenarioCheck.Body, for body: [UInt8]) -> Bool {
        switch check {
        case .contains(let template): return text(template).map { contains($0, in: body) } ?? false
        case .matches(let regex): return regex.matches(body)
        case .json(let pointer, let template):
            guard let value = pointer.value(in: body) else { return false }
            return template.map { text($0) == value } ?? true
        }
    }

    /// A text to compare with; nil if a variable has no value.
    private func text(_ template: ScenarioTemplate) -> [UInt8]? {
        if let constant = template.constant { return constant }
        var text: [UInt8] = []
        do throws(TextProblem) {
            try append(template, to: &text, 0, upTo: Self.longestBody, "text")
        } catch {
            return nil
        }
        return text
    }

    // MARK: The way through the tasks

    private mutating func advance(_ run: Run) {
        var run = run
        addThinkTime(run)
        run.step += 1
        guard run.step == run.end else { return position = .before(run) }
        endTask(run)
        isNew = false
    }

    /// Leaves the rest of the task out.
    private mutating func skip(_ run: Run) {
        addThinkTime(run)
        endTask(run)
        // `on-start` is repeated until it succeeds.
        if run.isStart { addWait() }
    }

    private mutating func addThinkTime(_ run: Run) {
        pause += scenario.steps[run.step].think.draw(&random)
    }

    private mutating func addWait() {
        pause += own.wait.draw(&random)
    }

    private mutating func endTask(_ run: Run) {
        position = .betweenTasks
        guard !run.isStart else { return }
        iteration += 1
        addWait()
    }
}
