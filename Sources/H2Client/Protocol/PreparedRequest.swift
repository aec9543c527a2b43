import CNghttp2
package import HTTPTypes

/// A request serialised once for both HTTP versions, to be sent any number of times on connections to one origin.
///
/// Invariant behind `@unchecked Sendable`: nothing changes after `init`; nghttp2 only reads what the pairs point to.
package final class PreparedRequest: @unchecked Sendable {
    /// Name-value pairs that point to separate memory, which lives as long as the request, so that nghttp2 copies none of it.
    struct Pairs {
        let base: UnsafeMutablePointer<nghttp2_nv>
        let count: Int
        fileprivate let memory: UnsafeMutablePointer<UInt8>
    }

    let pairs: Result<Pairs, H2Error>
    let lines: Result<HTTP1Session.WrittenHead, H2Error>
    package let body: [UInt8]
    /// Whether its response has no body regardless of its fields (RFC 9110 section 9.3.2).
    let isHead: Bool
    /// RFC 9110 section 9.2.2.
    package let isIdempotent: Bool

    /// - Parameter body: empty for none.
    /// - Throws: `H2Error` (`invalidRequest`) if neither version can send it. If only one cannot, submitting it there fails.
    package init(_ request: HTTPRequest, body: [UInt8], to origin: Origin) throws(H2Error) {
        self.body = body
        isHead = request.method == .head
        isIdempotent =
            switch request.method {
            case .get, .head, .options, .trace, .put, .delete: true
            default: false
            }
        pairs = Result { () throws(H2Error) in try Self.pairs(request, body, origin) }
        lines = Result { () throws(H2Error) in try HTTP1Session.written(request, body: body, to: origin) }
        if case .failure(let error) = pairs, case .failure = lines { throw error }
    }

    deinit {
        guard case .success(let pairs) = pairs else { return }
        pairs.base.deallocate()
        pairs.memory.deallocate()
    }

    private static func pairs(_ request: HTTPRequest, _ body: [UInt8], _ origin: Origin) throws(H2Error) -> Pairs {
        var head = RequestHead()
        let known = RequestHead.Known(scheme: origin.scheme.rawValue, authority: origin.authority)
        try head.fill(
            request, known: known, contentLength: body.isEmpty ? nil : body.count, expectsContinue: false, priority: nil
        )
        if body.isEmpty, let stated = head.statedLength { try RequestRules.hasBody(false, stated: stated) }
        let pairs = head.withPairs { source, count in
            let size = (0..<count).reduce(0) { $0 + source[$1].namelen + source[$1].valuelen }
            let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: max(size, 1))
            let base = UnsafeMutablePointer<nghttp2_nv>.allocate(capacity: max(count, 1))
            let lasting = UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)
            var at = memory
            for index in 0..<count {
                var pair = source[index]
                at.update(from: pair.name, count: pair.namelen)
                pair.name = at
                at += pair.namelen
                if pair.valuelen > 0 { at.update(from: pair.value, count: pair.valuelen) }
                pair.value = at
                at += pair.valuelen
                pair.flags |= lasting
                (base + index).initialize(to: pair)
            }
            return Pairs(base: base, count: count, memory: memory)
        }
        // The pairs point to its memory until they are copied.
        withExtendedLifetime(known) {}
        return pairs
    }
}
