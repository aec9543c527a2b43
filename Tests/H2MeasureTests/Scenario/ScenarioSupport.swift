import Testing

@testable import H2Measure

/// The scenario of a text and of the CSV files that it names.
func scenario(_ text: String, files: [String: String] = [:]) throws(ScenarioErrors) -> Scenario {
    try Scenario.read(Array(text.utf8), name: "shop.yaml") { path throws(ScenarioFileError) in
        guard let content = files[path] else { throw ScenarioFileError("No such file or directory") }
        return Array(content.utf8)
    }
}

/// What is wrong with a scenario, one line each.
func problems(_ text: String, files: [String: String] = [:]) -> [String] {
    do throws(ScenarioErrors) {
        _ = try scenario(text, files: files)
        return []
    } catch {
        return error.problems.map(\.description)
    }
}

extension ScenarioAction {
    var request: ScenarioRequest? {
        if case .send(let request) = self { request } else { nil }
    }

    var failure: String? {
        if case .fail(_, _, let reason) = self { reason } else { nil }
    }

    var waitNanoseconds: UInt64 {
        switch self {
        case .send(let request): request.waitNanoseconds
        case .fail(_, let wait, _): wait
        }
    }
}

extension ScenarioRequest {
    var text: String { String(decoding: body, as: UTF8.self) }

    func field(_ name: String) -> String? {
        fields.first { $0.name == name }.map { String(decoding: $0.value, as: UTF8.self) }
    }
}

extension ScenarioUser {
    init(_ scenario: Scenario, number: Int = 0, seed: UInt64 = 1) {
        self.init(scenario, userClass: scenario.userClass(ofUser: number), number: number, seed: seed)
    }

    /// The next request, which must be one that can be sent.
    mutating func send() throws -> ScenarioRequest { try #require(next().request) }

    mutating func answered(
        _ status: Int = 200, _ body: String = "", fields: [String: String] = [:], latency: UInt64 = 1
    ) -> String? {
        answered(
            status: status, fields: { name in fields[name].map { Array($0.utf8) } }, body: Array(body.utf8),
            latencyNanoseconds: latency)
    }

    /// The next request, which is answered with 200 and a body.
    mutating func take(_ body: String = "") throws -> ScenarioRequest {
        let request = try send()
        #expect(answered(200, body) == nil)
        return request
    }
}
