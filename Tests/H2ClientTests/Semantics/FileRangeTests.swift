import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct FileRangeTests {
    @Test func `Every kind of range is taken, without an overflow`() {
        let table: [(FileRange, Int, Int?)] = [
            (FileRange(2..<5), 2, 5), (FileRange(2...5), 2, 6), (FileRange(2...), 2, nil), (FileRange(..<5), 0, 5),
            (FileRange(...5), 0, 6), (FileRange(3..<3), 3, 3), (FileRange(0...Int.max), 0, .max),
            (FileRange(...Int.max), 0, .max), (FileRange(Int.max...), .max, nil), (FileRange(-5..<3), 0, 3),
            (FileRange(-5 ... -1), 0, 0), (FileRange((-5)...), 0, nil), (FileRange(Int.min..<Int.max), 0, .max),
            (FileRange(Int.min ..< -1), 0, 0),
        ]
        for (range, start, end) in table {
            #expect(range.start == start)
            #expect(range.end == end)
        }
    }

    @Test func `A range sends its bytes, and one beyond the end of the file is an error`() async throws {
        let path = try TemporaryDirectory.shared.newPath("range.txt")
        try writeText("0123456789", to: path)
        let good: [(HTTPRequestBody, String)] = [
            (.file(path, range: 2..<5), "234"), (.file(path, range: 7...), "789"), (.file(path, range: 10...), ""),
            (.file(path, range: ...9), "0123456789"), (.file(path, range: 4..<4), ""),
        ]
        for (body, text) in good { #expect(try await body.collect() == Array(text.utf8)) }
        for body in [
            HTTPRequestBody.file(path, range: 5..<11), .file(path, range: 11...), .file(path, range: 0...Int.max),
        ] {
            let error = await #expect(throws: H2Error.self) { try await body.collect() }
            #expect(error?.code == .localIO)
            #expect(error?.message.contains("10 bytes") == true)
        }
    }
}
