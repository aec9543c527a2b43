/// A mapping whose keys are known to be right.
struct YAMLMapping {
    let position: TextPosition
    let members: [YAMLNode.Member]

    subscript(_ key: String) -> YAMLNode? { member(key)?.value }

    func member(_ key: String) -> YAMLNode.Member? { members.first { $0.key == key } }

    /// With one of its keys only.
    func keeping(_ key: String) -> YAMLMapping {
        YAMLMapping(position: position, members: members.filter { $0.key == key })
    }
}

extension ScenarioReader {
    /// The members of a node, of which those with unknown keys are problems.
    mutating func mapping(_ node: YAMLNode, _ what: String, keys: [String]) -> YAMLMapping? {
        guard case .mapping(let members) = node.content else {
            problems.add(
                "\(what) has keys with values, but this is \(node.kind); its keys are \(keys.joined(separator: ", "))",
                at: node.position)
            return nil
        }
        for member in members where !keys.contains(member.key) {
            let remedy =
                nearestName(to: member.key, among: keys).map { "did you mean '\($0)'?" }
                ?? "\(what) has \(keys.joined(separator: ", "))"
            problems.add("unknown key \(quoted(member.key)); \(remedy)", at: member.keyPosition)
        }
        return YAMLMapping(position: node.position, members: members)
    }

    mutating func list(_ node: YAMLNode, _ what: String, of items: String) -> [YAMLNode]? {
        guard case .sequence(let values) = node.content else {
            problems.add(
                "\(what) is a list of \(items), but this is \(node.kind); begin each with '- '", at: node.position)
            return nil
        }
        guard !values.isEmpty else {
            problems.add("\(what) is an empty list; write at least one of the \(items)", at: node.position)
            return nil
        }
        return values
    }

    /// The text of a scalar.
    mutating func text(_ node: YAMLNode, _ what: String) -> String? {
        guard case .scalar(let text, _) = node.content else {
            problems.add("\(what) is text, but this is \(node.kind); put it into quotes", at: node.position)
            return nil
        }
        guard !node.isNull else {
            problems.add("\(what) has no value; write '' for an empty text, or leave the key out", at: node.position)
            return nil
        }
        return text
    }

    /// A name for reports; nil if there is none.
    mutating func name(_ node: YAMLNode?) -> String? {
        guard let node, let text = text(node, "'name'") else { return nil }
        guard (1...200).contains(text.count), !text.unicodeScalars.contains(where: { $0.value < 0x20 }) else {
            problems.add("a name has 1 to 200 characters, in one line", at: node.position)
            return nil
        }
        return text
    }

    mutating func weight(_ node: YAMLNode?) -> Int {
        guard let node, let text = text(node, "'weight'") else { return 1 }
        guard QuantityText.isDigits(text[...]), let weight = Int(text), (1...Self.heaviest).contains(weight) else {
            problems.add(
                "a weight is a whole number from 1 to \(grouped(Self.heaviest)), not \(quoted(text))", at: node.position
            )
            return 1
        }
        return weight
    }

    mutating func wait(_ node: YAMLNode?, _ key: String) -> ScenarioWait {
        guard let node, let text = text(node, "'\(key)'") else { return .none }
        do throws(TextProblem) {
            return try ScenarioWait(text)
        } catch {
            problems.add(error.message, at: node.position)
            return .none
        }
    }

    /// A text with variables.
    mutating func template(
        _ source: String, in place: ScenarioTemplate.Place, _ scope: Scope, at position: TextPosition
    ) -> ScenarioTemplate? {
        let (definitions, tables) = (definitions, tables)
        do throws(TextProblem) {
            return try ScenarioTemplate(source, in: place, budget: &budget) { name throws(TextProblem) in
                try Self.variable(name, definitions, tables, scope)
            }
        } catch {
            problems.add(error.message, at: position)
            return nil
        }
    }

    private static func variable(
        _ name: String, _ definitions: [String: Definition], _ tables: [(name: String, table: ScenarioTable)],
        _ scope: Scope
    ) throws(TextProblem) -> ScenarioVariable {
        if let builtIn = ScenarioVariable.builtIn[name] { return builtIn }
        if scope.known.contains(name), let slot = scope.slots[name] { return .extracted(slot, name: name) }
        switch definitions[name] {
        case .constant(let text): return .constant(text)
        case .table:
            throw TextProblem(
                "\(quoted(name)) is a CSV file; write ${\(excerpt(name)).COLUMN} with the name of a column")
        case .unknown: return .random
        case nil: break
        }
        if let dot = name.firstIndex(of: ".") {
            switch definitions[String(name[..<dot])] {
            case .table(let index):
                let (columns, wanted) = (tables[index].table.columns, String(name[dot...].dropFirst()))
                if let column = columns.firstIndex(of: wanted) { return .column(table: index, column: column) }
                // Only a name that is nearly right is shown: the first line may be somebody's data.
                let remedy = nearestName(to: wanted, among: columns).map { "did you mean \(quoted($0))?" }
                throw TextProblem(
                    "the CSV file of \(quoted(tables[index].name)) has no column \(quoted(wanted)); "
                        + (remedy ?? "its first line has the names"))
            case .constant, .unknown: return .random
            case nil: break
            }
        }
        guard scope.slots[name] == nil else {
            throw TextProblem(
                "\(quoted(name)) has no value yet: only this request or a later one of the task extracts it; "
                    + "extract it in an earlier request")
        }
        let names = Array(ScenarioVariable.builtIn.keys) + definitions.keys + scope.known
        let remedy = nearestName(to: name, among: names.sorted()).map { "did you mean \(quoted($0))?" }
        throw TextProblem(
            "unknown variable \(quoted(name)); "
                + (remedy ?? "define it under 'variables', or extract it in an earlier request"))
    }
}
