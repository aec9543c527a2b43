extension ScenarioReader {
    private static let methods = ["get", "post", "put", "patch", "delete", "head", "options"]

    /// Fields that the connection itself sets (RFC 9113 section 8.2.2), and those that follow from the URL and the body.
    private static let ownFields: Set<String> = [
        "connection", "content-length", "host", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
    ]

    mutating func step(_ node: YAMLNode, _ scope: Scope) -> Scenario.Step? {
        let keys = Self.methods + ["method", "path", "name", "headers", "body", "think", "extract", "check"]
        guard let mapping = mapping(node, "a request", keys: keys) else { return nil }
        let line = requestLine(mapping, scope)
        let name = self.name(mapping["name"])
        let fields = headers(mapping["headers"], scope)
        let body = mapping["body"].flatMap { self.body($0, scope) }
        let think = wait(mapping["think"], "think")
        let isHead = line?.method == "HEAD"
        let extractions = self.extractions(mapping["extract"], scope, hasBody: !isHead)
        let check = self.check(mapping["check"], scope, hasBody: !isHead)
        guard let (method, path) = line else { return nil }
        return Scenario.Step(
            method: method, name: name ?? excerpt("\(method) \(path.source)", to: 200),
            userClass: userClassCount, needsHead: extractions.contains { !$0.source.isOfBody },
            needsBody: !check.body.isEmpty || extractions.contains { $0.source.isOfBody },
            path: path, fields: fields, body: body ?? .empty, think: think, extractions: extractions, check: check)
    }

    // MARK: Method and path

    private mutating func requestLine(
        _ mapping: YAMLMapping, _ scope: Scope
    ) -> (method: String, path: ScenarioTemplate)? {
        let short = mapping.members.filter { Self.methods.contains($0.key) }
        let long = mapping.members.filter { $0.key == "method" || $0.key == "path" }
        guard short.count <= 1, short.isEmpty || long.isEmpty else {
            let found = (short + long).map { quoted($0.key) }.joined(separator: " and ")
            problems.add("a request has one method and one path, but here are \(found)", at: mapping.position)
            return nil
        }
        if let member = short.first {
            return path(member.value, "'\(member.key)'", scope).map { (uppercased(member.key), $0) }
        }
        guard let methodNode = mapping["method"], let pathNode = mapping["path"] else {
            let missing =
                mapping["method"] != nil ? "path" : mapping["path"] != nil ? "method" : "method and no path"
            problems.add("the request has no \(missing); write it as 'get: /items'", at: mapping.position)
            return nil
        }
        let path = path(pathNode, "'path'", scope)
        guard let method = text(methodNode, "'method'") else { return nil }
        // Methods are case-sensitive (RFC 9110 section 9.1), but nobody means another one by these.
        let upper = Self.methods.contains(lowercased(method)) ? uppercased(method) : method
        guard isToken(upper), upper.utf8.count <= 40 else {
            problems.add("\(quoted(method)) is not a method; write one such as GET or PURGE", at: methodNode.position)
            return nil
        }
        guard upper != "CONNECT" else {
            problems.add("CONNECT is for proxies, and has no path; use another method", at: methodNode.position)
            return nil
        }
        return path.map { (upper, $0) }
    }

    private mutating func path(_ node: YAMLNode, _ what: String, _ scope: Scope) -> ScenarioTemplate? {
        guard let text = text(node, what) else { return nil }
        guard let template = template(text, in: .path, scope, at: node.position) else { return nil }
        if let constant = template.constant, constant.count > ScenarioUser.longestLine {
            problems.add("the path is longer than \(ScenarioUser.longestLine >> 10) KiB", at: node.position)
        }
        return template
    }

    // MARK: Headers and body

    private mutating func headers(_ node: YAMLNode?, _ scope: Scope) -> [(name: String, value: ScenarioTemplate)] {
        guard let node else { return [] }
        guard case .mapping(let members) = node.content else {
            problems.add(
                "'headers' is \(node.kind); write names with their values, such as 'accept: application/json'",
                at: node.position)
            return []
        }
        var fields: [(name: String, value: ScenarioTemplate)] = []
        for member in members where !problems.isFull {
            let name = lowercased(member.key)
            guard isToken(name), name.utf8.count <= 200 else {
                problems.add(
                    "\(quoted(member.key)) is not a header's name; use letters, digits and -", at: member.keyPosition)
                continue
            }
            guard !Self.ownFields.contains(name) else {
                problems.add(
                    "the header \(quoted(name)) is set by the client itself; leave it out", at: member.keyPosition)
                continue
            }
            guard !fields.contains(where: { $0.name == name }) else {
                problems.add(
                    "there is another header \(quoted(name)), since case does not matter; keep one of them",
                    at: member.keyPosition)
                continue
            }
            guard let text = text(member.value, "the header \(quoted(member.key))") else { continue }
            let trimmed = String(decoding: HeaderValue.trimmed(Array(text.utf8)[...]), as: UTF8.self)
            guard let template = template(trimmed, in: .header, scope, at: member.value.position) else { continue }
            let isGood = template.parts.allSatisfy { part in
                if case .text(let text) = part { HeaderValue.isValid(text[...]) } else { true }
            }
            guard isGood else {
                problems.add(
                    "the value of the header \(quoted(member.key)) has a line end or another control character; "
                        + "write it in one line", at: member.value.position)
                continue
            }
            fields.append((name, template))
        }
        return fields
    }

    private mutating func body(_ node: YAMLNode, _ scope: Scope) -> ScenarioTemplate? {
        guard case .scalar = node.content else {
            problems.add(
                "a body is text, but this is \(node.kind); put JSON into single quotes, or below 'body: |'",
                at: node.position)
            return nil
        }
        return text(node, "'body'").flatMap { template($0, in: .body, scope, at: node.position) }
    }

    // MARK: Extractions

    private mutating func extractions(_ node: YAMLNode?, _ scope: Scope, hasBody: Bool) -> [ScenarioExtraction] {
        guard let node else { return [] }
        guard case .mapping(let members) = node.content, !members.isEmpty else {
            problems.add(
                "'extract' has names with what they are taken from, such as 'item: { json: /items/0/id }'",
                at: node.position)
            return []
        }
        var extractions: [ScenarioExtraction] = []
        for member in members where !problems.isFull {
            if let message = Self.problem(withName: member.key) {
                problems.add(message, at: member.keyPosition)
            } else if definitions[member.key] != nil {
                problems.add(
                    "\(quoted(member.key)) is defined under 'variables'; choose another name", at: member.keyPosition)
            }
            guard let slot = scope.slots[member.key],
                let source = source(member, hasBody: hasBody)
            else { continue }
            extractions.append(ScenarioExtraction(slot: slot, source: source))
        }
        return extractions
    }

    private mutating func source(_ member: YAMLNode.Member, hasBody: Bool) -> ScenarioExtraction.Source? {
        guard let mapping = mapping(member.value, "an extraction", keys: ["json", "header", "regex"]) else {
            return nil
        }
        let known = mapping.members.filter { ["json", "header", "regex"].contains($0.key) }
        guard known.count == 1, let only = known.first else {
            // An unknown key is a problem of its own.
            if known.count > 1 || mapping.members.isEmpty {
                problems.add("an extraction has one of json, header and regex", at: member.value.position)
            }
            return nil
        }
        guard let text = text(only.value, "'\(only.key)'") else { return nil }
        if only.key == "header" {
            guard isToken(text) else {
                problems.add(
                    "\(quoted(text)) is not a header's name; use letters, digits and -", at: only.value.position)
                return nil
            }
            return .header(lowercased(text))
        }
        refuseBody(unless: hasBody, at: only.keyPosition)
        if only.key == "json" { return pointer(text, at: only.value.position).map { .json($0) } }
        return regex(text, captures: true, at: only.value.position).map { .regex($0) }
    }

    private mutating func refuseBody(unless hasBody: Bool, at position: TextPosition) {
        if !hasBody { problems.add("the response to HEAD has no body; use get, or a header", at: position) }
    }

    private mutating func pointer(_ text: String, at position: TextPosition) -> JSONPointer? {
        do throws(TextProblem) {
            return try JSONPointer(text)
        } catch {
            problems.add(error.message, at: position)
            return nil
        }
    }

    private mutating func regex(_ text: String, captures: Bool, at position: TextPosition) -> ScenarioRegex? {
        do throws(TextProblem) {
            return try ScenarioRegex(text, captures: captures)
        } catch {
            problems.add(error.message, at: position)
            return nil
        }
    }

    // MARK: Checks

    private mutating func check(_ node: YAMLNode?, _ scope: Scope, hasBody: Bool) -> ScenarioCheck {
        var check = ScenarioCheck()
        guard let node, let mapping = mapping(node, "a check", keys: ["status", "body", "latency"]) else {
            return check
        }
        if mapping.members.isEmpty { problems.add("the check is empty; write 'status: 200'", at: node.position) }
        if let node = mapping["status"], let statuses = statuses(node) { check.statuses = statuses }
        if let member = mapping.member("body") {
            refuseBody(unless: hasBody, at: member.keyPosition)
            var nodes = [member.value]
            if case .sequence = member.value.content { nodes = list(member.value, "'body'", of: "checks") ?? [] }
            for node in nodes where !problems.isFull {
                if let body = bodyCheck(node, scope) { check.body.append((body, body.failure)) }
            }
        }
        if let node = mapping["latency"], let text = text(node, "'latency'") {
            do throws(TextProblem) {
                let limit = try ScenarioWait.time(text, of: text)
                guard limit > 0 else { throw TextProblem("no response takes no time; write a latency such as 250ms") }
                check.latency = (limit, "slower than \(excerpt(text))")
            } catch {
                problems.add(error.message, at: node.position)
            }
        }
        return check
    }

    private mutating func statuses(_ node: YAMLNode) -> [ClosedRange<Int>]? {
        var nodes = [node]
        if case .sequence = node.content { nodes = list(node, "'status'", of: "statuses") ?? [] }
        var ranges: [ClosedRange<Int>] = []
        for node in nodes {
            guard let text = text(node, "'status'") else { return nil }
            do throws(TextProblem) {
                ranges += try ScenarioCheck.statuses(text)
            } catch {
                problems.add(error.message, at: node.position)
                return nil
            }
        }
        return ranges
    }

    private mutating func bodyCheck(_ node: YAMLNode, _ scope: Scope) -> ScenarioCheck.Body? {
        guard let mapping = mapping(node, "a check of a body", keys: ["contains", "regex", "json", "equals"]) else {
            return nil
        }
        let kinds = mapping.members.filter { ["contains", "regex", "json"].contains($0.key) }
        guard kinds.count == 1, let kind = kinds.first else {
            if kinds.count > 1 || mapping.members.allSatisfy({ $0.key == "equals" }) {
                problems.add("a check of a body has one of contains, regex and json", at: node.position)
            }
            return nil
        }
        if let equals = mapping.member("equals"), kind.key != "json" {
            problems.add("'equals' belongs to json: { json: /status, equals: ok }", at: equals.keyPosition)
        }
        guard let text = text(kind.value, "'\(kind.key)'") else { return nil }
        switch kind.key {
        case "contains": return template(text, in: .body, scope, at: kind.value.position).map { .contains($0) }
        case "regex": return regex(text, captures: false, at: kind.value.position).map { .matches($0) }
        default:
            guard let pointer = pointer(text, at: kind.value.position) else { return nil }
            guard let equals = mapping["equals"] else { return .json(pointer, equals: nil) }
            // Even null is a value here.
            guard case .scalar(let value, _) = equals.content else {
                problems.add(
                    "'equals' is text, but this is \(equals.kind); put JSON into single quotes", at: equals.position)
                return nil
            }
            return template(value, in: .body, scope, at: equals.position).map { .json(pointer, equals: $0) }
        }
    }
}

// MARK: - Names and values of fields

enum HeaderValue {
    /// RFC 9110 section 5.5: no control characters but tabs.
    static func isValid(_ value: ArraySlice<UInt8>) -> Bool {
        value.allSatisfy { ($0 >= 0x20 && $0 != 0x7f) || $0 == 0x09 }
    }

    /// Without spaces, tabs and line ends around it.
    static func trimmed(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d }
        guard let last = value.lastIndex(where: { !isSpace($0) }) else { return [] }
        return value[...last].drop(while: isSpace)
    }
}

/// RFC 9110 section 5.6.2.
private func isToken(_ text: String) -> Bool {
    !text.isEmpty
        && text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        }
}

/// Of ASCII letters only.
private func lowercased(_ text: String) -> String {
    String(decoding: text.utf8.map { (0x41...0x5a).contains($0) ? $0 + 32 : $0 }, as: UTF8.self)
}

private func uppercased(_ text: String) -> String {
    String(decoding: text.utf8.map { (0x61...0x7a).contains($0) ? $0 - 32 : $0 }, as: UTF8.self)
}
