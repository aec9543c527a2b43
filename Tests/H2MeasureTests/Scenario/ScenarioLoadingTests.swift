import H2Measure
import H2Platform
import H2TestSupport
import Testing

@Suite(.inTurn) struct ScenarioLoadingTests {
    private func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        try #require(bytes.withUnsafeBytes { writeFully(descriptor, $0) } == 0)
    }

    private func problems(_ path: String) -> [String] {
        do throws(ScenarioErrors) {
            _ = try Scenario.load(path: path)
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    @Test func `Files that a scenario names are in its folder`() throws {
        let folder = try TemporaryDirectory.shared.newFolder("scenario")
        try write("variables: { a: { csv: rows.csv } }\nrequests: [{ get: '/${a.n}' }]", to: "\(folder)/shop.yaml")
        #expect(
            problems("\(folder)/shop.yaml")
                == ["\(folder)/shop.yaml:1:24: 'rows.csv' cannot be read: No such file or directory"])
        try write("n\nx\n", to: "\(folder)/rows.csv")
        #expect(try Scenario.load(path: "\(folder)/shop.yaml").steps.map(\.name) == ["GET /${a.n}"])
        // An absolute path is taken as it is.
        try write(
            "variables: { a: { csv: \(folder)/rows.csv } }\nrequests: [{ get: / }]", to: "\(folder)/absolute.yaml")
        #expect(problems("\(folder)/absolute.yaml") == [])
    }

    @Test func `A scenario that cannot be read is an error`() throws {
        let folder = try TemporaryDirectory.shared.newFolder("scenario")
        #expect(problems("\(folder)/none.yaml") == ["\(folder)/none.yaml: cannot be read: No such file or directory"])
        #expect(problems(folder) == ["\(folder): cannot be read: Is a directory"])
    }
}
