internal import H2Client
package import HTTPTypes

/// One user of a scenario in a measurement.
///
/// Belongs to its slot's loop.
final class ScenarioRun {
    /// How much of a body is kept for checks and values.
    static let maximumBody = 1 << 20

    private let scenario: Scenario
    var state: ScenarioUser
    /// The next request, or the one under way; nil if the user has yet to choose it.
    var request: ScenarioRequest?

    init(_ scenario: Scenario, _ worker: Worker) {
        self.scenario = scenario
        let number = worker.nextUserNumber()
        state = ScenarioUser(
            scenario, userClass: scenario.userClass(ofUser: number), number: number, seed: worker.plan.scenarioSeed)
    }

    /// Whether checks or values need the response's body.
    var needsBody: Bool { request.map { scenario.steps[$0.step].needsBody } ?? false }

    /// The request as it is sent: a constant one was made before.
    /// - Throws: `H2Error` (`invalidRequest`).
    func made(_ plan: BenchPlan) throws -> BenchPlan.Request? {
        guard let request, !scenario.steps[request.step].isConstant else { return nil }
        var made = plan.requests[request.step]
        made.request.path = request.path
        made.request.headerFields.set(request.fields)
        made.body = request.body
        return made
    }

    /// Takes the response. Returns why a check failed, or nil.
    func answered(_ response: StreamedResponse, _ body: [UInt8], latency: UInt64) -> String? {
        request = nil
        return state.answered(
            status: response.status.code,
            fields: { name in
                HTTPField.Name(name).flatMap { response.headerFields[$0] }.map { Array($0.utf8) }
            }, body: body, latencyNanoseconds: latency)
    }

    /// There was no response.
    func failed() {
        request = nil
        state.failed()
    }
}

extension HTTPFields {
    /// Sets fields of a scenario in place of those of all requests.
    fileprivate mutating func set(_ fields: [ScenarioField]) {
        for field in fields {
            // The scenario's reader accepts valid names only.
            guard let name = HTTPField.Name(field.name) else { continue }
            self[name] = nil
        }
        for field in fields {
            guard let name = HTTPField.Name(field.name) else { continue }
            append(HTTPField(name: name, value: String(decoding: field.value, as: UTF8.self)))
        }
    }
}

extension Scenario.Step {
    /// The method, and the name without it.
    var reportedAs: LiveNames.Name {
        let prefix = "\(method) "
        return LiveNames.Name(
            method: method, path: name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name)
    }
}

extension Scenario {
    /// A request for each step, with what all requests have: for a step that is always the same the request itself, otherwise
    /// one with the name of the step as its path, for reports.
    /// - Parameter common: its fields are those of all requests, unless a step has others.
    package func requests(_ common: HTTPRequest) -> [BenchPlan.Request] {
        steps.map { step in
            var request = common
            request.method = HTTPRequest.Method(step.method) ?? .get
            guard let (path, fields, body) = step.constant else {
                request.path = step.reportedAs.path
                return BenchPlan.Request(request)
            }
            request.path = path
            request.headerFields.set(fields)
            return BenchPlan.Request(request, body: body)
        }
    }
}
