import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct ValidatorTests {
    private static let early = "Sun, 06 Nov 1994 08:49:37 GMT"
    private static let late = "Sun, 06 Nov 1994 08:49:38 GMT"

    @Test(
        arguments: [
            ("\"a\"", nil, nil, .entityTag("\"a\"")), ("\"\"", nil, nil, .entityTag("\"\"")),
            ("\"a\"", early, late, .entityTag("\"a\"")),
            // A weak or malformed tag also rules out a date.
            ("W/\"a\"", early, late, nil), ("a", early, late, nil), ("\"", nil, nil, nil), ("\"a\"b\"", nil, nil, nil),
            ("\"a b\"", nil, nil, nil),
            (nil, early, late, .lastModified(early)), (nil, early, early, nil), (nil, late, early, nil),
            (nil, early, nil, nil), (nil, "yesterday", late, nil), (nil, nil, late, nil),
        ] as [(String?, String?, String?, Validator?)])
    func `Only a strong validator tells states apart`(
        _ tag: String?, _ modified: String?, _ date: String?, _ validator: Validator?
    ) {
        #expect(Validator(entityTag: tag, lastModified: modified, date: date) == validator)
    }
}
