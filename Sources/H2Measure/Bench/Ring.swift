/// A queue in one piece of memory that grows when full and never shrinks. Unless it grows, no operation allocates.
struct Ring<Element> {
    private var elements: [Element?]
    private var head = 0
    private(set) var count = 0

    init(capacity: Int = 16) { elements = Array(repeating: nil, count: max(capacity, 1)) }

    var isEmpty: Bool { count == 0 }
    var first: Element? { count > 0 ? elements[head] : nil }

    /// Counted from the front.
    subscript(index: Int) -> Element {
        get { elements[offset(index)]! }
        _modify { yield &elements[offset(index)]! }
    }

    private func offset(_ index: Int) -> Int {
        precondition(index >= 0 && index < count, "outside of the queue")
        return (head + index) % elements.count
    }

    func reduce<R>(_ initial: R, _ next: (R, Element) -> R) -> R {
        (0..<count).reduce(initial) { next($0, elements[(head + $1) % elements.count]!) }
    }

    mutating func append(_ element: Element) {
        if count == elements.count { grow() }
        elements[(head + count) % elements.count] = element
        count += 1
    }

    mutating func prepend(_ element: Element) {
        if count == elements.count { grow() }
        head = (head + elements.count - 1) % elements.count
        elements[head] = element
        count += 1
    }

    @discardableResult
    mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        let element = elements[head]
        elements[head] = nil
        head = (head + 1) % elements.count
        count -= 1
        return element
    }

    mutating func removeAll() { self = Ring() }

    private mutating func grow() {
        var larger: [Element?] = []
        larger.reserveCapacity(elements.count * 2)
        for index in 0..<count { larger.append(elements[(head + index) % elements.count]) }
        larger += Array(repeating: nil, count: elements.count * 2 - count)
        elements = larger
        head = 0
    }
}

extension Ring: Sendable where Element: Sendable {}
