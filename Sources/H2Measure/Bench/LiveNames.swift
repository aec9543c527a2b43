import HTTPTypes

/// The names under which a plan's requests are reported while it runs.
package struct LiveNames: Sendable {
    package struct Name: Hashable, Sendable {
        package var method: String
        package var path: String

        package init(method: String, path: String) { (self.method, self.path) = (method, path) }
    }

    /// Names with figures of their own, the first ones; those after them share one.
    static let maximumCount = 1_000
    package private(set) var all: [Name] = []
    /// The index of the name of each of the plan's requests.
    let indexes: [Int]

    package init(_ plan: BenchPlan) {
        var known: [Name: Int] = [:]
        var all: [Name] = []
        let steps = plan.scenario?.steps
        indexes = plan.requests.enumerated().map { index, request in
            var name =
                steps?[index].reportedAs
                ?? Name(method: request.request.method.rawValue, path: request.request.path ?? "/")
            if all.count >= Self.maximumCount, known[name] == nil { name = Name(method: name.method, path: "(others)") }
            if let index = known[name] { return index }
            known[name] = all.count
            all.append(name)
            return all.count - 1
        }
        self.all = all
    }
}
