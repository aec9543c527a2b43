import HTTPTypes
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct HeaderBlockTests {
    private func scratch(_ fields: [(String, String)]) -> HeaderScratch {
        var scratch = HeaderScratch()
        for (name, value) in fields {
            Array(name.utf8).withUnsafeBufferPointer { name in
                Array(value.utf8).withUnsafeBufferPointer { value in
                    scratch.append(
                        name: name.baseAddress!, nameLength: name.count, value: value.baseAddress,
                        valueLength: value.count)
                }
            }
        }
        return scratch
    }

    @Test func `An empty block has nothing`() {
        let block = HeaderBlock()
        #expect(block.count == 0)
        #expect(block.firstValue(of: "a") == nil)
        #expect(block.fields.isEmpty)
        let copied = HeaderBlock(copying: scratch([]))
        #expect(copied.count == 0)
        #expect(copied.fields.isEmpty)
    }

    @Test func `A copy stays what it was when the scratch is used again`() {
        var scratch = scratch([("a", "1"), ("bb", ""), ("a", "3")])
        let block = HeaderBlock(copying: scratch)
        scratch.removeAll()
        #expect(scratch.count == 0)
        #expect(block.count == 3)
        #expect(block.firstValue(of: "a") == "1")
        #expect(block.firstValue(of: "bb") == "")
        #expect(block.firstValue(of: "b") == nil)
        #expect(block.fields.map { "\($0.name.canonicalName)=\($0.value)" } == ["a=1", "bb=", "a=3"])
    }

    @Test func `forEach stops when it is told to`() {
        let block = HeaderBlock(copying: scratch([("a", "1"), ("b", "2"), ("c", "3")]))
        var seen = 0
        block.forEach { _, _ in
            seen += 1
            return seen < 2
        }
        #expect(seen == 2)
    }

    @Test func `A field counts 32 bytes besides its own`() {
        var scratch = HeaderScratch()
        scratch.account(3, 4)
        scratch.account(0, 0)
        #expect(scratch.listSize == 71)
        scratch.removeAll()
        #expect(scratch.listSize == 0)
    }
}
