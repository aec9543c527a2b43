import Foundation

/// A terminal as far as progress uses one: what is on the screen after the bytes that it got.
struct TerminalScreen {
    private(set) var columns: Int
    private var cells: [[String]] = [[]]
    private var row = 0
    private var column = 0
    /// The number of lines that a character was pushed onto by the line before it.
    private(set) var wraps = 0

    init(columns: Int) { self.columns = columns }

    /// The lines from the first that was written, without spaces at their ends.
    var lines: [String] {
        cells.map { line in
            var text = line.joined()
            while text.hasSuffix(" ") { text.removeLast() }
            return text
        }
    }

    mutating func feed(_ text: String) { feed(Data(text.utf8)) }

    mutating func feed(_ data: Data) {
        var scalars = String(decoding: data, as: UTF8.self).unicodeScalars[...]
        while let scalar = scalars.popFirst() {
            switch scalar {
            case "\r": column = 0
            case "\n":
                row += 1
                if row == cells.count { cells.append([]) }
            case "\u{1b}":
                guard scalars.first == "[" else { continue }
                scalars = scalars.dropFirst()
                var number = ""
                while let next = scalars.popFirst() {
                    guard ("0"..."9").contains(next) || next == ";" else {
                        control(next, Int(number) ?? -1)
                        break
                    }
                    number.unicodeScalars.append(next)
                }
            default: put(scalar)
            }
        }
    }

    private mutating func control(_ letter: Unicode.Scalar, _ number: Int) {
        switch letter {
        case "A": row = max(0, row - max(1, number))
        case "C": column = min(columns - 1, column + max(1, number))
        case "K": cells[row] = Array(cells[row].prefix(column))
        case "m": break
        default: fatalError("a terminal of the tests does not know \(letter)")
        }
    }

    private static func width(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.value {
        case 0x300...0x36f: 0
        case 0x4e00...0x9fff, 0xac00...0xd7a3, 0xff01...0xff60, 0x1f300...0x1f64f: 2
        default: 1
        }
    }

    private mutating func put(_ scalar: Unicode.Scalar) {
        let width = Self.width(scalar)
        guard width > 0 else {
            if column > 0 { cells[row][column - 1].unicodeScalars.append(scalar) }
            return
        }
        if column + width > columns {
            wraps += 1
            column = 0
            row += 1
            if row == cells.count { cells.append([]) }
        }
        while cells[row].count < column + width { cells[row].append(" ") }
        cells[row][column] = String(scalar)
        if width == 2 { cells[row][column + 1] = "" }
        column += width
    }
}
