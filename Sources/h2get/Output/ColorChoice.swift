import H2Platform

/// --color: when text gets colours.
enum ColorChoice: String, CaseIterable, Sendable {
    /// On terminals that have them, unless NO_COLOR is set (https://no-color.org).
    case auto
    case always
    case never

    /// Whether text for `descriptor` gets colours.
    func isOn(for descriptor: CInt) -> Bool {
        switch self {
        case .always: true
        case .never: false
        case .auto: isatty(descriptor) == 1 && Self.variable("NO_COLOR").isEmpty && !Self.isTerminalDumb
        }
    }

    /// Whether the terminal understands neither colours nor cursor movements.
    static var isTerminalDumb: Bool { variable("TERM") == "dumb" }

    private static func variable(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }
}
