// The one function of the standard library's regular expressions that is used, by swift-http-types for Cookie fields. Under its
// name, so that the linker does not take theirs, which brings 2 MB. Should a toolchain change the name, this is not used.

extension Collection where Element: Equatable {
    @_silgen_name(
        "$sSl17_StringProcessingSQ7ElementRpzrlE5split9separator9maxSplits25omittingEmptySubsequencesSay11SubSequenceQzGqd___SiSbtSlRd__ABQyd__ACRSlF"
    )
    public func splitWithoutRegularExpressions<Separator: Collection>(
        separator: Separator, maxSplits: Int, omittingEmptySubsequences: Bool
    ) -> [SubSequence] where Separator.Element == Element {
        var parts: [SubSequence] = []
        var (start, at) = (startIndex, startIndex)
        func take(upTo end: Index) {
            if start != end || !omittingEmptySubsequences { parts.append(self[start..<end]) }
        }
        while at != endIndex, parts.count < maxSplits {
            guard !separator.isEmpty, let end = end(of: separator, from: at) else {
                formIndex(after: &at)
                continue
            }
            take(upTo: at)
            (start, at) = (end, end)
        }
        take(upTo: endIndex)
        return parts
    }

    /// Where `other` ends if it is at `index`.
    private func end<Other: Collection>(of other: Other, from index: Index) -> Index? where Other.Element == Element {
        var index = index
        for element in other {
            guard index != endIndex, self[index] == element else { return nil }
            formIndex(after: &index)
        }
        return index
    }
}
