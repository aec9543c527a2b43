import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct AppliedCodingsTests {
    static let cases: [(fields: [String], applied: AppliedCodings)] = [
        ([], .known([])),
        ([""], .known([])),
        (["gzip"], .known([.gzip])),
        (["GZip"], .known([.gzip])),
        (["x-gzip"], .known([.gzip])),
        (["X-GZIP"], .known([.gzip])),
        (["deflate"], .known([.deflate])),
        (["br"], .known([.brotli])),
        (["zstd"], .known([.zstd])),
        (["identity"], .known([])),
        (["Identity, gzip"], .known([.gzip])),
        (["gzip, br"], .known([.gzip, .brotli])),
        ([" gzip\t,\t br "], .known([.gzip, .brotli])),
        (["gzip", "br"], .known([.gzip, .brotli])),
        ([",gzip,, ,br,"], .known([.gzip, .brotli])),
        (["gzip,gzip,gzip,gzip,gzip"], .known([.gzip, .gzip, .gzip, .gzip, .gzip])),
        (["gzip,gzip,gzip,gzip,gzip,gzip"], .tooMany),
        (["gzip,gzip,gzip", "br,br", "zstd"], .tooMany),
        (["identity,identity,identity,identity,identity,gzip"], .known([.gzip])),
        (["compress"], .unknown),
        (["aes128gcm, gzip"], .unknown),
        (["gzip, unheard-of"], .unknown),
        (["gzip;q=1"], .unknown),
        (["\"gzip\""], .unknown),
        (["gzip br"], .unknown),
        (["gzip\u{0}"], .unknown),
        (["bröt"], .unknown),
    ]

    @Test func `Fields that state codings are understood, or the body stays as it is`() {
        for (fields, applied) in Self.cases {
            #expect(AppliedCodings(fields.map { Array($0.utf8) }) == applied, "\(fields)")
        }
    }

    @Test func `What is offered is what can be decoded`() {
        let offered = "\(ContentCoding.acceptEncoding)".split(separator: ", ").map(String.init)
        #expect(offered == ContentCoding.available.map(\.rawValue))
        for name in offered { #expect(ContentCoding(name: Array(name.utf8))?.rawValue == name) }
    }
}
