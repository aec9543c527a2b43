import H2Platform

/// A POSIX extended regular expression (`regcomp(3)`), matched against bytes.
///
/// Invariant behind `@unchecked Sendable`: the compiled expression does not change between `init` and `deinit`, and POSIX has
/// `regexec` safe to call from several threads.
final class ScenarioRegex: @unchecked Sendable {
    static let longest = 1_000
    /// Repetitions such as `{1,255}` and `+` copy what they repeat, so that a short expression could take all memory.
    static let mostAtoms = 10_000

    /// As written.
    let pattern: String
    private let compiled: UnsafeMutablePointer<regex_t>
    private let capturesGroup: Bool

    /// - Parameter captures: whether `match(in:)` will be called, which costs more than `matches(_:)`.
    /// - Throws: `TextProblem` with the system's text for what is wrong.
    init(_ pattern: String, captures: Bool) throws(TextProblem) {
        guard !pattern.isEmpty else { throw TextProblem("the regular expression is empty") }
        guard pattern.utf8.count <= Self.longest else {
            throw TextProblem("the regular expression is longer than \(grouped(Self.longest)) bytes")
        }
        try Self.checkSize(Array(pattern.utf8))
        let compiled = UnsafeMutablePointer<regex_t>.allocate(capacity: 1)
        compiled.initialize(to: regex_t())
        let status = regcomp(compiled, pattern, REG_EXTENDED | (captures ? 0 : REG_NOSUB))
        guard status == 0 else {
            var text = [CChar](repeating: 0, count: 200)
            regerror(status, compiled, &text, text.count)
            compiled.deallocate()
            let reason = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw TextProblem("\(quoted(pattern)) is not a POSIX extended regular expression: \(reason)")
        }
        self.pattern = pattern
        self.compiled = compiled
        capturesGroup = captures && compiled.pointee.re_nsub > 0
    }

    deinit {
        regfree(compiled)
        compiled.deallocate()
    }

    /// Whether it matches anywhere.
    func matches(_ bytes: [UInt8]) -> Bool { execute(bytes) { _ in } }

    /// The first group of the first match, or the whole match if the expression has no group.
    /// - Returns: nil if nothing matches, or the group has no part in the match.
    func match(in bytes: [UInt8]) -> [UInt8]? {
        var found: [UInt8]?
        _ = execute(bytes) { matches in
            let match = matches[capturesGroup ? 1 : 0]
            if match.rm_so >= 0 { found = Array(bytes[Int(match.rm_so)..<Int(match.rm_eo)]) }
        }
        return found
    }

    /// Calls `found` with the match and its first group.
    private func execute(_ bytes: [UInt8], _ found: ([regmatch_t]) -> Void) -> Bool {
        var matches = [regmatch_t(), regmatch_t()]
        // The copy costs little beside the search. Where the end is given no NUL is needed, but AddressSanitizer looks for one.
        var text = [CChar]()
        text.reserveCapacity(bytes.count + 1)
        bytes.withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text.append(contentsOf: $0) }
        }
        text.append(0)
        #if canImport(Glibc) || canImport(Darwin)
            // The text may hold a NUL.
            matches[0].rm_so = 0
            matches[0].rm_eo = regoff_t(bytes.count)
            let status = regexec(compiled, text, 2, &matches, REG_STARTEND)
        #else
            let status = regexec(compiled, text, 2, &matches, 0)
        #endif
        guard status == 0 else { return false }
        found(matches)
        return true
    }

    // MARK: Limits

    /// Adds up how many characters the expression has once its repetitions are written out, and refuses too many; and back
    /// references, with which a match can take forever.
    private static func checkSize(_ pattern: [UInt8]) throws(TextProblem) {
        // Of each open group: the atoms before the last, and the last.
        var open: [(sum: Int, last: Int)] = [(0, 0)]
        var at = 0
        func add(_ atoms: Int) {
            let (sum, last) = open[open.count - 1]
            open[open.count - 1] = (min(sum + last, mostAtoms + 1), atoms)
        }
        func multiply(_ factor: Int) {
            let last = open[open.count - 1].last
            open[open.count - 1].last = min(last * max(factor, 1), mostAtoms + 1)
        }
        while at < pattern.count {
            let byte = pattern[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\\"):
                if at < pattern.count, (0x31...0x39).contains(pattern[at]) {
                    throw TextProblem(
                        "back references such as \\1 are not supported; write the expression without them")
                }
                at += 1
                add(1)
            case UInt8(ascii: "["):
                at = endOfBracket(pattern, at)
                add(1)
            case UInt8(ascii: "("): open.append((0, 0))
            case UInt8(ascii: ")") where open.count > 1:
                let group = open.removeLast()
                add(min(group.sum + group.last + 1, mostAtoms + 1))
            // x+ is xx*.
            case UInt8(ascii: "+"): multiply(2)
            case UInt8(ascii: "{"):
                let inner = pattern[at...].prefix { $0 == UInt8(ascii: ",") || (0x30...0x39).contains($0) }
                let numbers = inner.split(separator: UInt8(ascii: ",")).map {
                    Int(String(decoding: $0, as: UTF8.self)) ?? mostAtoms
                }
                multiply(min((numbers.max() ?? 0) + (inner.last == UInt8(ascii: ",") ? 1 : 0), mostAtoms))
                at = inner.endIndex
            case UInt8(ascii: "*"), UInt8(ascii: "?"): break
            default: add(1)
            }
            let total = open.reduce(0) { $0 + $1.sum + $1.last }
            guard total <= mostAtoms else {
                throw TextProblem(
                    "\(quoted(String(decoding: pattern, as: UTF8.self))) repeats too much: with its repetitions "
                        + "written out it has more than \(grouped(mostAtoms)) characters")
            }
        }
    }

    /// The index behind the `]` of a bracket expression whose content begins at `start`.
    private static func endOfBracket(_ pattern: [UInt8], _ start: Int) -> Int {
        var at = start
        if at < pattern.count, pattern[at] == UInt8(ascii: "^") { at += 1 }
        // A ] at the beginning means itself.
        if at < pattern.count, pattern[at] == UInt8(ascii: "]") { at += 1 }
        while at < pattern.count, pattern[at] != UInt8(ascii: "]") {
            // [:alpha:], [.x.] and [=x=].
            if pattern[at] == UInt8(ascii: "["), at + 1 < pattern.count, ":.=".utf8.contains(pattern[at + 1]) {
                let mark = pattern[at + 1]
                at += 2
                while at + 1 < pattern.count, !(pattern[at] == mark && pattern[at + 1] == UInt8(ascii: "]")) { at += 1 }
                at += 1
            }
            at += 1
        }
        return at + 1
    }
}
