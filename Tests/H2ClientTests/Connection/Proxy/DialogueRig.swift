import Testing

@testable import H2Client

/// Feeds bytes to a dialogue, in pieces of the given size, and takes its output.
struct DialogueRig {
    let dialogue: any TunnelDialogue
    private(set) var sent: [UInt8] = []
    /// Bytes that were fed but left for the tunnel.
    private(set) var left: [UInt8] = []

    init(_ dialogue: any TunnelDialogue) {
        self.dialogue = dialogue
        takeOutput()
    }

    var sentText: String { String(decoding: sent, as: UTF8.self) }

    mutating func forgetSent() { sent = [] }

    mutating func receive(_ bytes: [UInt8], atATime count: Int = .max) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            if dialogue.isOpen {
                left += rest
                return
            }
            let piece = Array(rest.prefix(count))
            rest = rest.dropFirst(count)
            let taken = try piece.withUnsafeBytes { try dialogue.receive($0, now: 1) }
            #expect(taken == piece.count || dialogue.isOpen, "everything belongs to it until the tunnel is open")
            left += piece[taken...]
            takeOutput()
        }
    }

    mutating func receive(_ text: String, atATime count: Int = .max) throws {
        try receive(Array(text.utf8), atATime: count)
    }

    private mutating func takeOutput() {
        while case let bytes = dialogue.outputBytes, !bytes.isEmpty {
            sent += bytes
            dialogue.outputTaken(bytes.count, now: 1)
        }
    }
}
