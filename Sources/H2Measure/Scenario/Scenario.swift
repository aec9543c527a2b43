/// What the users of a load test do: which requests, in which order, with which data, and how long they wait.
///
/// It does not change once it is loaded, so that any number of users on any number of threads share it. `docs/scenarios.md`
/// describes the format.
package final class Scenario: Sendable {
    /// A kind of user. A class, since each request looks at it, and copies of so many fields would cost more than the rest.
    package final class UserClass: Sendable {
        package let name: String
        /// How many of all users are of this class, in proportion to the other weights.
        package let weight: Int
        let wait: ScenarioWait
        /// The steps that a user takes once, before the first task; empty for none.
        let start: Range<Int>
        package let tasks: [UserTask]
        /// The sums of the tasks' weights up to each task.
        let taskWeights: [UInt64]
        /// The names of the values that requests of the class extract.
        let extracted: [String]
        /// The tables whose columns requests of the class use.
        let tables: [Int]

        init(
            name: String, weight: Int, wait: ScenarioWait, start: Range<Int>, tasks: [UserTask], extracted: [String],
            tables: [Int]
        ) {
            self.name = name
            self.weight = weight
            self.wait = wait
            self.start = start
            self.tasks = tasks
            self.extracted = extracted
            self.tables = tables
            taskWeights = runningSums(tasks.map(\.weight))
        }
    }

    /// Requests that a user makes one after another.
    package struct UserTask: Sendable {
        package let name: String
        package let weight: Int
        /// Indices of `Scenario.steps`.
        package let steps: Range<Int>
    }

    /// A request as the file has it. A class for the same reason as `UserClass`.
    package final class Step: Sendable {
        package let method: String
        /// For reports: as given, or the method and the path as written.
        package let name: String
        /// Index of `Scenario.userClasses`.
        package let userClass: Int
        /// Whether `answered` reads the response's fields, or its body, so that they must be kept.
        package let needsHead: Bool
        package let needsBody: Bool
        /// The request, if path, headers and body are the same each time: whatever users, rows and responses there are.
        let constant: (path: String, fields: [ScenarioField], body: [UInt8])?
        let path: ScenarioTemplate
        let fields: [(name: String, value: ScenarioTemplate)]
        let body: ScenarioTemplate
        let think: ScenarioWait
        let extractions: [ScenarioExtraction]
        let check: ScenarioCheck

        init(
            method: String, name: String, userClass: Int, needsHead: Bool, needsBody: Bool, path: ScenarioTemplate,
            fields: [(name: String, value: ScenarioTemplate)], body: ScenarioTemplate, think: ScenarioWait,
            extractions: [ScenarioExtraction], check: ScenarioCheck
        ) {
            self.method = method
            self.name = name
            self.userClass = userClass
            self.needsHead = needsHead
            self.needsBody = needsBody
            self.path = path
            self.fields = fields
            self.body = body
            self.think = think
            self.extractions = extractions
            self.check = check
            guard let path = path.constant, let body = body.constant,
                fields.allSatisfy({ $0.value.constant != nil })
            else {
                constant = nil
                return
            }
            let constants = fields.map { name, value in
                ScenarioField(name: name, value: Array(HeaderValue.trimmed((value.constant ?? [])[...])))
            }
            constant = (String(decoding: path, as: UTF8.self), constants, body)
        }

        /// Whether each request of this step is the same, so that one may be serialized once and sent each time.
        package var isConstant: Bool { constant != nil }
    }

    /// A CSV file that users take rows from.
    package struct DataFile: Sendable, Equatable {
        /// The name of the variable.
        package let variable: String
        package let rowCount: Int
        /// Whether each user keeps a row, so that more users than rows share some.
        package let isPerUser: Bool
    }

    /// In the order of the file. At least one.
    package let userClasses: [UserClass]
    /// All requests of all classes: of each class first those of `on-start`, then those of its tasks. At least one.
    package let steps: [Step]
    package let dataFiles: [DataFile]
    let tables: [ScenarioTable]
    /// The sums of the classes' weights up to each class.
    private let classWeights: [UInt64]

    init(userClasses: [UserClass], steps: [Step], tables: [(name: String, table: ScenarioTable)]) {
        self.userClasses = userClasses
        self.steps = steps
        self.tables = tables.map(\.table)
        dataFiles = tables.map { name, table in
            DataFile(variable: name, rowCount: table.rowCount, isPerUser: table.pick == .eachUser)
        }
        classWeights = runningSums(userClasses.map(\.weight))
    }

    /// The class of a user, such that any number of users, counted from 0, is divided by the weights: rarely with more than
    /// one user too many or too few in a class.
    package func userClass(ofUser number: Int) -> Int {
        // Multiples of the golden ratio are spread evenly over a circle, however many there are.
        let place = UInt64(truncatingIfNeeded: number) &* 0x9e37_79b9_7f4a_7c15
        return choice(place.multipliedFullWidth(by: classWeights[classWeights.count - 1]).high, of: classWeights)
    }
}

/// A field of a request of a scenario.
package struct ScenarioField: Sendable, Equatable {
    /// In lower case.
    package let name: String
    /// Without control characters but tabs, and without whitespace at its ends.
    package let value: [UInt8]
}

/// The sums of the numbers up to each of them.
func runningSums(_ numbers: [Int]) -> [UInt64] {
    var sum: UInt64 = 0
    return numbers.map { number in
        sum += UInt64(number)
        return sum
    }
}

/// The index of the first sum above `place`.
func choice(_ place: UInt64, of sums: [UInt64]) -> Int {
    var (low, high) = (0, sums.count - 1)
    while low < high {
        let middle = (low + high) / 2
        if sums[middle] > place { high = middle } else { low = middle + 1 }
    }
    return low
}
