import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct ErrorCodeTests {
    @Test func `Codes have the RFC's names`() {
        #expect(H2Error.HTTP2Code.refusedStream.description == "0x7 REFUSED_STREAM")
        #expect(H2Error.HTTP2Code.http11Required.description == "0xd HTTP_1_1_REQUIRED")
        #expect(H2Error.HTTP2Code(rawValue: 0xe).description == "0xe UNKNOWN")
        #expect(H2Error.HTTP2Code(rawValue: .max).name == "UNKNOWN")
        #expect((0..<14).map { H2Error.HTTP2Code(rawValue: $0).name }.allSatisfy { $0 != "UNKNOWN" })
    }
}
