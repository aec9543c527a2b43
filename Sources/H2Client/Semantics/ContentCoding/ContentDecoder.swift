/// Removes the content codings of one body, piece by piece (RFC 9110 section 8.4).
///
/// It decodes no more than requested: encoded bytes wait in `feed`'s array until then. An empty body is allowed with
/// any coding, since responses without content often state one.
final class ContentDecoder {
    /// Limits on a decoded body.
    struct Limits {
        /// Decoded bytes.
        var size = Int.max
        /// Decoded bytes for each encoded byte, from `ratioFloor` decoded bytes on.
        var ratio = Int.max
        var ratioFloor = 0
    }

    /// The removal of one coding.
    private struct Stage {
        let coding: ContentCoding
        let stream: any DecodingStream
        /// Bytes to be decoded, from `offset` on.
        var input: [UInt8] = []
        var offset = 0
        var hasInput = false
        /// Whether the stream may have more output without more input.
        var mayHoldBytes = false
        var produced = 0
        /// All of the input has been decoded and nothing follows.
        var isFinished = false
    }

    /// In order of removal: the coding that was applied last comes first.
    private var stages: [Stage]
    private let limits: Limits
    private var hasEnded = false
    /// Encoded bytes taken so far.
    private(set) var consumed = 0

    /// Bytes held between two codings.
    private static let bufferSize = 16 << 10

    /// - Parameter codings: in the order applied, of those available.
    /// - Throws: if there is no memory.
    init(_ codings: [ContentCoding], _ limits: Limits = Limits()) throws(CodingFault) {
        self.limits = limits
        stages = []
        for coding in codings.reversed() {
            stages.append(Stage(coding: coding, stream: try coding.makeDecodingStream()))
        }
    }

    /// Whether everything has been decoded.
    var isFinished: Bool { stages.last?.isFinished ?? hasEnded }

    /// Adds encoded bytes; only after `decode` has returned nothing.
    func feed(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, !stages.isEmpty else { return }
        precondition(stages[0].offset == stages[0].input.count, "the bytes before these have not been decoded")
        stages[0].input = bytes
        stages[0].offset = 0
        stages[0].hasInput = true
    }

    /// States that there are no more bytes.
    func endInput() { hasEnded = true }

    /// The next decoded bytes, at most `count`; empty if more must be fed, or if everything has been decoded. Not
    /// called after it has thrown.
    func decode(upTo count: Int) throws(CodingFault) -> [UInt8] {
        guard count > 0, !stages.isEmpty else { return [] }
        let bytes = try filled(count) { output throws(CodingFault) in
            var filled = 0
            // Collect as much as there is, so that small pieces are not returned one by one.
            while filled < count {
                let produced = try pull(
                    stages.count - 1, into: UnsafeMutableRawBufferPointer(rebasing: output[filled...]))
                if produced == 0 { break }
                filled += produced
            }
            return filled
        }
        // A caller that keeps a small piece must not keep a large buffer.
        return bytes.count < count / 2 ? Array(bytes[...]) : bytes
    }

    private func filled(
        _ count: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(CodingFault) -> Int
    ) throws(CodingFault) -> [UInt8] {
        var result = Result<Int, CodingFault>.success(0)
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            let output = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)
            result = Result { () throws(CodingFault) in try fill(output) }
            if case .success(let produced) = result { filled = produced }
        }
        _ = try result.get()
        return bytes
    }

    /// Decodes with the stage at `index`. Returns 0 if it is finished or needs more input.
    private func pull(
        _ index: Int, into output: UnsafeMutableRawBufferPointer
    ) throws(CodingFault) -> Int {
        while !stages[index].isFinished {
            let hasInput = stages[index].offset < stages[index].input.count
            if hasInput || stages[index].mayHoldBytes {
                let step = try run(index, into: output)
                if step.produced > 0 { return step.produced }
                guard step.consumed > 0 || !hasInput else { throw fault(index, .corrupt("it makes no progress")) }
            } else if try !refill(index) {
                break
            }
        }
        return 0
    }

    /// Gets more input for a stage that has none. Returns false if none is available now; the stage may then be
    /// finished.
    private func refill(_ index: Int) throws(CodingFault) -> Bool {
        let isAtEnd: Bool
        if index == 0 {
            isAtEnd = hasEnded
        } else {
            let buffer = try filled(Self.bufferSize) { output throws(CodingFault) in try pull(index - 1, into: output) }
            if !buffer.isEmpty {
                stages[index].input = buffer
                stages[index].offset = 0
                stages[index].hasInput = true
                return true
            }
            isAtEnd = stages[index - 1].isFinished
        }
        guard isAtEnd else { return false }
        guard stages[index].stream.isAtEnd || !stages[index].hasInput else { throw fault(index, .truncated) }
        stages[index].isFinished = true
        return false
    }

    /// One step of a stage's stream.
    private func run(
        _ index: Int, into output: UnsafeMutableRawBufferPointer
    ) throws(CodingFault) -> CodingProgress {
        let (coding, stream, offset) = (stages[index].coding, stages[index].stream, stages[index].offset)
        var result = Result<CodingProgress, CodingFault.Kind>.success(CodingProgress())
        stages[index].input.withUnsafeBytes { input in
            let rest = UnsafeRawBufferPointer(rebasing: input[offset...])
            result = Result { () throws(CodingFault.Kind) in try stream.decode(rest, into: output) }
        }
        let step: CodingProgress
        switch result {
        case .success(let success): step = success
        case .failure(let kind): throw CodingFault(coding: coding, kind: kind)
        }
        stages[index].offset += step.consumed
        stages[index].produced += step.produced
        stages[index].mayHoldBytes = step.produced == output.count
        if index == 0 { consumed += step.consumed }
        if step.produced > 0 { try checkLimits(index) }
        return step
    }

    /// The same limits hold between two codings. Otherwise a bomb inside another would keep the reader busy without a
    /// result.
    private func checkLimits(_ index: Int) throws(CodingFault) {
        let produced = stages[index].produced
        guard produced <= limits.size else { throw fault(index, .tooLarge(limit: limits.size)) }
        guard produced > limits.ratioFloor else { return }
        let (allowed, overflows) = consumed.multipliedReportingOverflow(by: limits.ratio)
        guard overflows || produced <= allowed else { throw fault(index, .ratioTooHigh(limit: limits.ratio)) }
    }

    private func fault(_ index: Int, _ kind: CodingFault.Kind) -> CodingFault {
        CodingFault(coding: stages[index].coding, kind: kind)
    }
}
