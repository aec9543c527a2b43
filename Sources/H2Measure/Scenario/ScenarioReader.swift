/// Makes a scenario of a YAML document, and collects what is wrong with it.
struct ScenarioReader {
    static let heaviest = 1_000_000
    static let mostTables = 100
    /// Bytes of constants in all texts: a short file could repeat a long constant often.
    static let mostConstantBytes = 64 << 20

    /// What the file says under `variables`.
    enum Definition {
        case constant([UInt8])
        /// Index of `tables`.
        case table(Int)
        /// It has a problem, which is known already.
        case unknown
    }

    /// The extracted values that a request can use.
    struct Scope {
        /// Of all names that requests of the class extract.
        var slots: [String: Int] = [:]
        /// The names that have a value by then, unless something went wrong.
        var known: Set<String> = []
    }

    let readFile: (String) throws(ScenarioFileError) -> [UInt8]
    var problems: ScenarioProblems
    var definitions: [String: Definition] = [:]
    var tables: [(name: String, table: ScenarioTable)] = []
    var steps: [Scenario.Step] = []
    var budget = mostConstantBytes
    private var userClasses: [Scenario.UserClass] = []

    var userClassCount: Int { userClasses.count }

    init(name: String, readFile: @escaping (String) throws(ScenarioFileError) -> [UInt8]) {
        self.readFile = readFile
        problems = ScenarioProblems(file: name)
    }

    mutating func scenario(_ text: [UInt8]) throws(ScenarioErrors) -> Scenario {
        if let root = YAMLReader.read(text, &problems) {
            read(root)
        } else if problems.found.isEmpty {
            problems.add(
                "there is nothing in the file; write at least 'requests:' and below it '- get: /'",
                at: TextPosition(line: 1, column: 1))
        }
        if let errors = problems.errors { throw errors }
        return Scenario(userClasses: userClasses, steps: steps, tables: tables)
    }

    // MARK: The whole

    private static let classKeys = ["name", "weight", "wait", "on-start", "tasks", "requests"]

    private mutating func read(_ root: YAMLNode) {
        let short = ["wait", "on-start", "tasks", "requests"]
        guard let mapping = mapping(root, "a scenario", keys: ["variables", "users"] + short) else { return }
        if let node = mapping["variables"] { readVariables(node) }
        guard let users = mapping["users"] else {
            readClass(mapping, name: "User")
            return
        }
        for key in short {
            guard let member = mapping.member(key) else { continue }
            problems.add(
                "\(quoted(key)) belongs to a user class if there is 'users'; move it there", at: member.keyPosition)
        }
        guard let list = list(users, "'users'", of: "user classes") else { return }
        for (index, node) in list.enumerated() where !problems.isFull {
            guard let mapping = self.mapping(node, "a user class", keys: Self.classKeys) else { continue }
            readClass(mapping, name: list.count == 1 ? "User" : "User \(index + 1)")
        }
    }

    private mutating func readClass(_ mapping: YAMLMapping, name defaultName: String) {
        let name = self.name(mapping["name"]) ?? defaultName
        if userClasses.contains(where: { $0.name == name }) {
            problems.add(
                "there is another user class with the name \(quoted(name)); choose a different one",
                at: mapping["name"]?.position ?? mapping.position)
        }
        let weight = weight(mapping["weight"])
        let wait = self.wait(mapping["wait"], "wait")
        if let tasks = mapping.member("tasks"), mapping["requests"] != nil {
            problems.add("there are 'tasks' and 'requests'; move the requests into a task", at: tasks.keyPosition)
        }
        var taskMappings: [YAMLMapping] = []
        if let node = mapping["tasks"] {
            for task in list(node, "'tasks'", of: "tasks") ?? [] {
                if let task = self.mapping(task, "a task", keys: ["name", "weight", "requests"]) {
                    taskMappings.append(task)
                }
            }
        } else if mapping["requests"] != nil {
            taskMappings = [mapping.keeping("requests")]
        } else {
            problems.add("there are no requests; write 'requests:' and below it '- get: /'", at: mapping.position)
        }
        let extracted = taskMappings.map { extractedNames($0["requests"]) }
        let extractedFirst = extractedNames(mapping["on-start"])
        var scope = Scope()
        var slotNames: [String] = []
        for name in extractedFirst + extracted.joined() where scope.slots[name] == nil {
            scope.slots[name] = slotNames.count
            slotNames.append(name)
        }
        let firstStep = steps.count
        if let node = mapping["on-start"] { readRequests(node, "'on-start'", scope) }
        let start = firstStep..<steps.count
        var tasks: [Scenario.UserTask] = []
        for (index, task) in taskMappings.enumerated() where !problems.isFull {
            scope.known = Set(extractedFirst)
            for (other, names) in extracted.enumerated() where other != index { scope.known.formUnion(names) }
            tasks.append(readTask(task, index, scope))
        }
        userClasses.append(
            Scenario.UserClass(
                name: name, weight: weight, wait: wait, start: start, tasks: tasks, extracted: slotNames,
                tables: tablesUsed(from: firstStep)
            ))
    }

    private mutating func readTask(_ mapping: YAMLMapping, _ index: Int, _ scope: Scope) -> Scenario.UserTask {
        let name = self.name(mapping["name"]) ?? "task \(index + 1)"
        let weight = weight(mapping["weight"])
        let first = steps.count
        if let node = mapping["requests"] {
            readRequests(node, "'requests'", scope)
        } else {
            problems.add("the task has no requests; write 'requests:' and below it '- get: /'", at: mapping.position)
        }
        return Scenario.UserTask(name: name, weight: weight, steps: first..<steps.count)
    }

    /// Reads requests, each of which knows what those before it extract.
    private mutating func readRequests(_ node: YAMLNode, _ what: String, _ scope: Scope) {
        var scope = scope
        for request in list(node, what, of: "requests") ?? [] where !problems.isFull {
            if let step = step(request, scope) { steps.append(step) }
            scope.known.formUnion(extractedNames(of: request))
        }
    }

    /// The names that a list of requests extracts, whatever else may be wrong with them.
    private func extractedNames(_ requests: YAMLNode?) -> [String] {
        guard case .sequence(let requests) = requests?.content else { return [] }
        return requests.flatMap(extractedNames(of:))
    }

    private func extractedNames(of request: YAMLNode) -> [String] {
        guard case .mapping(let members) = request.content,
            case .mapping(let extractions) = members.first(where: { $0.key == "extract" })?.value.content
        else { return [] }
        return extractions.map(\.key)
    }

    private func tablesUsed(from firstStep: Int) -> [Int] {
        var used: Set<Int> = []
        for step in steps[firstStep...] {
            let texts = step.check.body.map(\.check).compactMap { check -> ScenarioTemplate? in
                switch check {
                case .contains(let text): text
                case .json(_, let text): text
                case .matches: nil
                }
            }
            for template in [step.path, step.body] + step.fields.map(\.value) + texts {
                for case .variable(.column(let table, _), _) in template.parts { used.insert(table) }
            }
        }
        return used.sorted()
    }

    // MARK: Variables

    private mutating func readVariables(_ node: YAMLNode) {
        guard case .mapping(let members) = node.content else {
            problems.add(
                "'variables' is \(node.kind); write names with their values, such as 'tenant: acme'", at: node.position)
            return
        }
        for member in members where !problems.isFull {
            if let message = Self.problem(withName: member.key) { problems.add(message, at: member.keyPosition) }
            definitions[member.key] = definition(member) ?? .unknown
        }
    }

    private mutating func definition(_ member: YAMLNode.Member) -> Definition? {
        guard case .mapping = member.value.content else {
            guard let text = text(member.value, "the variable \(quoted(member.key))") else { return nil }
            do throws(TextProblem) {
                let template = try ScenarioTemplate(text, in: .body, budget: &budget) { name throws(TextProblem) in
                    throw TextProblem(
                        "a variable cannot use another, \(quoted(name)); use both where they are needed, "
                            + "or write $${ for the characters ${")
                }
                return template.constant.map { .constant($0) }
            } catch {
                problems.add(error.message, at: member.value.position)
                return nil
            }
        }
        guard let mapping = mapping(member.value, "a variable", keys: ["csv", "pick"]) else { return nil }
        let pick = pick(mapping["pick"])
        guard let node = mapping["csv"] else {
            problems.add(
                "the variable \(quoted(member.key)) names no file; write 'csv:' with the path of a CSV file",
                at: member.value.position)
            return nil
        }
        guard let path = text(node, "'csv'") else { return nil }
        guard tables.count < Self.mostTables else {
            problems.add("there are more than \(Self.mostTables) CSV files", at: node.position)
            return nil
        }
        let content: [UInt8]
        do throws(ScenarioFileError) {
            content = try readFile(path)
        } catch {
            problems.add("\(quoted(path)) cannot be read: \(error.message)", at: node.position)
            return nil
        }
        guard let table = ScenarioTable(content, pick: pick, file: path, &problems) else { return nil }
        tables.append((member.key, table))
        return .table(tables.count - 1)
    }

    private mutating func pick(_ node: YAMLNode?) -> ScenarioTable.Pick {
        guard let node, let text = text(node, "'pick'") else { return .eachUser }
        if let pick = ScenarioTable.Pick(rawValue: text) { return pick }
        let all = ScenarioTable.Pick.allCases.map { quoted($0.rawValue) }.joined(separator: ", ")
        problems.add("\(quoted(text)) is not a way to pick a row; there are \(all)", at: node.position)
        return .eachUser
    }

    /// What is wrong with the name of a variable; nil if nothing is.
    static func problem(withName name: String) -> String? {
        if ScenarioVariable.builtIn[name] != nil { return "\(quoted(name)) is built in; choose another name" }
        let isGood =
            name.utf8.count <= 64 && !name.isEmpty && !(0x30...0x39).contains(name.utf8.first!)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"), UInt8(ascii: "-"): true
                default: false
                }
            }
        return isGood
            ? nil
            : "\(quoted(name)) cannot be a variable's name; use up to 64 letters, digits, - and _, and begin with no digit"
    }
}
