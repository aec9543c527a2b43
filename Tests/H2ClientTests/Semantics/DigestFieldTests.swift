import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct DigestFieldTests {
    private static let sha256 = "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="

    @Test(
        arguments: [
            (["sha-256=:\(sha256):"], [.sha256]),
            (["sha-256=:\(sha256):, sha-512=:AAAA:"], [.sha256, .sha512]),
            (["sha-512=:AAAA:", "sha-256=:\(sha256):"], [.sha256, .sha512]),
            (["md5=:AAAA: ,\tsha-256=:\(sha256):;q=1;x=\"a\\\",b\";y"], [.sha256]),
            (["md5=:AAAA:"], []),
            (["sha-256=:\(sha256.dropLast()):"], [.sha256]),
            (["sha-256=::"], [.sha256]),
        ] as [([String], Set<DigestField.Algorithm>)])
    func `Digests of known algorithms are read`(_ lines: [String], _ algorithms: Set<DigestField.Algorithm>) {
        #expect(DigestField(lines).map { Set($0.digests.keys) } == algorithms)
    }

    @Test func `The last of two digests of one algorithm counts`() {
        let field = DigestField(["sha-256=:AAAA:, sha-256=:AQEB:"])
        #expect(field?.digests == [.sha256: [1, 1, 1]])
        #expect(field?.names == ["sha-256"])
    }

    @Test(arguments: [
        "", ",", "sha-256", "sha-256=", "sha-256=:", "sha-256=:AAAA", "sha-256=AAAA", "sha-256=\"AAAA\"",
        "SHA-256=:AAAA:",
        "sha-256=:AAAA:,", "sha-256=:AAAA: sha-512=:AAAA:", "sha-256=:A-A_:", "sha-256=:AAAA:;", "sha-256=:AAAA:;x=\"",
        "sha-256=:A:", "=:AAAA:",
    ])
    func `A malformed field is ignored as a whole`(_ value: String) {
        #expect(DigestField([value]) == nil)
    }
}
