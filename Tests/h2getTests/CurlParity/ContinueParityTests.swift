import Foundation
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// -C as curl has it.
@Suite(.inTurn, .enabled(if: CurlParity.hasCurl), .timeLimit(.minutes(5))) struct ContinueParityTests {
    private static let text = String((0..<200).map { Character(UnicodeScalar(UInt8(0x61 + $0 % 26))) })

    private static func served() throws -> Served {
        let content = Array(text.utf8)
        return try Served(files: [
            "/f": FileServer(.init(content: content)),
            "/plain": FileServer(.init(content: content, takesRanges: false)),
        ])
    }

    /// The arguments, and the length of the file `f` that is there before.
    @Test(arguments: [
        (["-C", "-", "-o", "f"], 70), (["-C", "-", "-O"], 70), (["-C", "-", "-o", "f"], 200),
        (["-C", "-", "-o", "g"], 70), (["-C", "70", "-o", "f"], 70), (["-C", "70", "-o", "g"], 70), (["-C", "70"], 70),
        (["-C", "-"], 70), (["-C", "0", "-o", "g"], 70), (["-C", "200"], 70), (["-C", "200", "-o", "f"], 200),
        (["-C", "70", "-w", "%{http_code} %{size_download} %{exitcode}"], 70),
    ]) func `It continues the same bytes`(_ arguments: [String], _ length: Int) async throws {
        let served = try Self.served()
        let parity = CurlParity(served, files: ["f": String(Self.text.prefix(length))])
        try await parity.expectSame(arguments + [served.url("/f")])
    }

    @Test(arguments: [(["-C", "70"], 70), (["-C", "70", "-o", "f"], 70), (["-C", "200", "-o", "f"], 200)])
    func `It fails without ranges, and leaves the file`(_ arguments: [String], _ length: Int) async throws {
        let served = try Self.served()
        let parity = CurlParity(served, files: ["f": String(Self.text.prefix(length))])
        try await parity.expectSame(arguments + [served.url("/plain")])
    }
}
