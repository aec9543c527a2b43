import H2Client

extension DirectFigures {
    /// Times of very many streams over days do not fit into 64 bits, and saturate.
    mutating func add(_ other: DirectFigures) {
        combine(other, +) { one, other in
            var sum = one
            sum.addClamped(other)
            return sum
        }
    }
    /// Subtracts `other`, an earlier state of these figures.
    mutating func subtract(_ other: DirectFigures) { combine(other, -, &-) }

    private mutating func combine(
        _ other: DirectFigures, _ count: (Int, Int) -> Int, _ time: (UInt64, UInt64) -> UInt64
    ) {
        received = count(received, other.received)
        sent = count(sent, other.sent)
        receivedHTTP = count(receivedHTTP, other.receivedHTTP)
        sentHTTP = count(sentHTTP, other.sentHTTP)
        headers = count(headers, other.headers)
        headersDecoded = count(headersDecoded, other.headersDecoded)
        sendBlocked = time(sendBlocked, other.sendBlocked)
        stalls.uploadStream = time(stalls.uploadStream, other.stalls.uploadStream)
        stalls.uploadConnection = time(stalls.uploadConnection, other.stalls.uploadConnection)
        stalls.downloadStream = time(stalls.downloadStream, other.stalls.downloadStream)
        stalls.downloadConnection = time(stalls.downloadConnection, other.stalls.downloadConnection)
    }
}
