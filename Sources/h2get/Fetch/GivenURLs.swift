/// The URLs of the command line, in order. Ranges and lists are expanded on demand: a million URLs take no memory.
struct GivenURLs: RandomAccessCollection, Sendable, ExpressibleByArrayLiteral {
    private enum Pattern {
        case url(String)
        case glob(URLGlob)

        var count: Int {
            switch self {
            case .url: 1
            case .glob(let glob): glob.count
            }
        }
    }

    /// As they were given.
    let arguments: [String]
    private let patterns: [Pattern]
    /// For each argument, the index of its first URL; at the end the number of all.
    private let starts: [Int]

    /// URLs in which brackets and braces mean nothing.
    init(arrayLiteral urls: String...) { self.init(urls) }

    /// URLs in which brackets and braces mean nothing.
    init(_ urls: [String] = []) {
        arguments = urls
        patterns = urls.map { .url($0) }
        starts = Array(0...urls.count)
    }

    /// URLs with ranges and lists.
    /// - Throws: `Failure` (`badURL`).
    init(globs: [String]) throws {
        arguments = globs
        var patterns: [Pattern] = []
        var starts = [0]
        for text in globs {
            do {
                let isPlain = !text.utf8.contains { "[]{}\\".utf8.contains($0) }
                patterns.append(isPlain ? .url(text) : .glob(try URLGlob(text)))
            } catch let failure as Failure {
                throw Failure(.badURL, failure.message + ", or give -g")
            }
            let (next, isTooLarge) = starts.last!.addingReportingOverflow(patterns.last!.count)
            guard !isTooLarge, next <= 1 << 53 else {
                throw Failure(.badURL, "the URLs are more than can be counted; make their ranges smaller")
            }
            starts.append(next)
        }
        (self.patterns, self.starts) = (patterns, starts)
    }

    var startIndex: Int { 0 }
    var endIndex: Int { starts[patterns.count] }

    subscript(position: Int) -> String {
        let (argument, offset) = argument(ofURLAt: position)
        switch patterns[argument] {
        case .url(let url): return url
        case .glob(let glob): return glob[offset]
        }
    }

    // MARK: - Arguments

    /// The argument that a URL comes from, and its position among those that come from it. URLs beyond these, which are those
    /// of a list, count as one argument each.
    func argument(ofURLAt index: Int) -> (argument: Int, offset: Int) {
        guard index < count else { return (patterns.count + (index - count), 0) }
        var (low, high) = (0, patterns.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= index { low = middle } else { high = middle }
        }
        return (low, index - starts[low])
    }

    /// The index of an argument's first URL.
    func start(ofArgument argument: Int) -> Int {
        argument < starts.count ? starts[argument] : count + (argument - patterns.count)
    }

    /// The number of URLs that an argument stands for.
    func count(ofArgument argument: Int) -> Int { argument < patterns.count ? patterns[argument].count : 1 }

    // MARK: - Names of files

    /// A name with what the URL has in place of `#1`, `#2` and so on: its first, second range or list. Other numbers stay.
    func name(_ template: String, forURLAt index: Int) -> String {
        let (argument, offset) = argument(ofURLAt: index)
        guard argument < patterns.count, case .glob(let glob) = patterns[argument] else { return template }
        let values = glob.values(at: offset)
        var out: [UInt8] = []
        Self.read(template) { piece in
            switch piece {
            case .number(let number, _) where number >= 1 && number <= values.count: out += values[number - 1].utf8
            case .number(_, let text), .text(let text): out += text
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// The numbers of the ranges and lists of an argument that `template` does not name, although they have several values.
    func unnamedValues(_ template: String, ofArgument argument: Int) -> [Int] {
        guard argument < patterns.count, case .glob(let glob) = patterns[argument] else { return [] }
        var named: Set<Int> = []
        Self.read(template) { if case .number(let number, _) = $0 { named.insert(number) } }
        return glob.valueCounts.indices.map { $0 + 1 }.filter { glob.valueCounts[$0 - 1] > 1 && !named.contains($0) }
    }

    /// Whether an argument stands for several URLs, so that a file's name for it has to have its values.
    func isTemplate(_ name: String, ofArgument argument: Int) -> Bool {
        guard argument < patterns.count, case .glob(let glob) = patterns[argument] else { return false }
        guard glob.count == 1 else { return true }
        var named = false
        Self.read(name) { if case .number(let number, _) = $0, number <= glob.valueCounts.count { named = true } }
        return named
    }

    private enum Piece {
        case text(ArraySlice<UInt8>)
        /// With its text, such as `#12`.
        case number(Int, ArraySlice<UInt8>)
    }

    private static func read(_ template: String, _ take: (Piece) -> Void) {
        var rest = Array(template.utf8)[...]
        while let hash = rest.firstIndex(of: UInt8(ascii: "#")) {
            take(.text(rest[..<hash]))
            let digits = rest[(hash + 1)...].prefix { (0x30...0x39).contains($0) }
            let text = rest[hash..<digits.endIndex]
            if let number = Int(String(decoding: digits, as: UTF8.self)) {
                take(.number(number, text))
            } else {
                take(.text(text))
            }
            rest = rest[digits.endIndex...]
        }
        take(.text(rest))
    }
}
