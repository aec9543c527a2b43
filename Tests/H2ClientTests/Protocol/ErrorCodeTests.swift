import Testing

@testable import H2Client

@Suite struct ErrorCodeTests {
    @Test func `Codes have the RFC's names`() {
        #expect(ErrorCode.refusedStream.description == "0x7 REFUSED_STREAM")
        #expect(ErrorCode.http11Required.description == "0xd HTTP_1_1_REQUIRED")
        #expect(ErrorCode(rawValue: 0xe).description == "0xe UNKNOWN")
        #expect(ErrorCode(rawValue: .max).name == "UNKNOWN")
        #expect((0..<14).map { ErrorCode(rawValue: $0).name }.allSatisfy { $0 != "UNKNOWN" })
    }
}
