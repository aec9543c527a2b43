import H2Platform

// Response parsing (RFC 9112 sections 2.2, 4, 5 and 7.1). Input that all parties read the same way is accepted if the RFC
// allows it: folded lines, heads whose lines all end in a bare LF, blanks after a chunk size. Ambiguous input is rejected,
// since it allows response smuggling.

extension HTTP1Session {
    private static let carriageReturn = UInt8(ascii: "\r")
    private static let lineFeed = UInt8(ascii: "\n")
    /// Longest status line and chunk header line, in bytes.
    static let statusLineLimit = 8_192
    static let chunkLineLimit = 512

    /// Parses the next element of the response, or the available part of it.
    @inline(__always)
    func parse(_ stream: StreamState, _ at: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) {
        switch reading {
        case .statusLine: parseStatusLine(stream, &at, end)
        case .fields: parseFields(stream, &at, end)
        case .body(let remaining):
            let count = min(remaining, end - at)
            reading = .body(remaining: remaining - count)
            receivedData(stream, UnsafeRawBufferPointer(start: at, count: count))
            at += count
            if count == remaining, current != nil { receivedBody(stream) }
        case .bodyUntilClose:
            receivedData(stream, UnsafeRawBufferPointer(start: at, count: end - at))
            at = end
        case .chunkSize: parseChunkSize(&at, end)
        case .chunk(let remaining):
            let count = min(remaining, end - at)
            reading = count == remaining ? .chunkEnd(isLineFeedNext: false) : .chunk(remaining: remaining - count)
            receivedData(stream, UnsafeRawBufferPointer(start: at, count: count))
            at += count
        case .chunkEnd(let isLineFeedNext):
            guard at[0] == (isLineFeedNext ? Self.lineFeed : Self.carriageReturn) else {
                return violate("a chunk that is longer than its size")
            }
            reading = isLineFeedNext ? .chunkSize : .chunkEnd(isLineFeedNext: true)
            at += 1
        case .trailers: parseTrailers(stream, &at, end)
        }
    }

    // MARK: - Lines

    /// The next line, without its end. nil if the end has not arrived (the part is kept, so each byte is scanned once), or if
    /// the line is invalid, which has ended the connection. Valid until the next call.
    @inline(__always)
    private func nextLine(
        _ at: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, limit: Int
    ) -> UnsafeBufferPointer<UInt8>? {
        let available = end - at
        let kept = partialLine.count
        // A line of the maximum length, plus CR and LF.
        let count = min(available, limit + 2 - kept)
        guard let found = memchr(at, CInt(Self.lineFeed), count) else {
            guard kept + available < limit + 2 else {
                lineTooLong(limit)
                return nil
            }
            partialLine.append(at, count: available)
            at = end
            return nil
        }
        let lineFeed = UnsafePointer(found.assumingMemoryBound(to: UInt8.self))
        var start = at
        var length = lineFeed - at
        at = lineFeed + 1
        if kept > 0 {
            partialLine.append(start, count: length)
            length += kept
            start = partialLine.bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self)
            // Its memory is unchanged until something is appended.
            partialLine.removeFirst(length)
        }
        if length > 0, start[length - 1] == Self.carriageReturn, !headHasBareLineFeeds {
            return UnsafeBufferPointer(start: start, count: length - 1)
        }
        return isLineOfBareLineFeeds(start, length) ? UnsafeBufferPointer(start: start, count: length) : nil
    }

    /// RFC 9112 section 2.2 lets a recipient accept a bare LF as line end. It is accepted if all lines of a head end that way:
    /// in a mixed head one party could see two lines where another sees one. Chunk lines must end in CRLF.
    private func isLineOfBareLineFeeds(_ start: UnsafePointer<UInt8>, _ length: Int) -> Bool {
        let endsInCR = length > 0 && start[length - 1] == Self.carriageReturn
        switch reading {
        case .statusLine:
            headHasBareLineFeeds = true
            return true
        case .fields where headHasBareLineFeeds && !endsInCR: return true
        case .fields where headHasBareLineFeeds:
            violate("a line that ends in CRLF in a head whose lines end in LF: '\(Self.text(start, length))'")
        default: violate("a line that ends without CR: '\(Self.text(start, length))'")
        }
        return false
    }

    private func lineTooLong(_ limit: Int) {
        switch reading {
        case .statusLine: exceed("a status line of more than \(limit) bytes")
        case .fields: headTooLarge("header")
        case .trailers: headTooLarge("trailer")
        default: exceed("a chunk's size with extensions of more than \(limit) bytes")
        }
    }

    private func headTooLarge(_ which: String) {
        guard scratch.count < limits.headerFields else {
            return exceed(
                "more than \(limits.headerFields) \(which) fields",
                remedy: "raise ConnectionConfiguration.Limits.headerFields if they are legitimate")
        }
        exceed(
            "\(which) fields that exceed \(limits.headerListSize) bytes",
            remedy: "raise ConnectionConfiguration.Limits.headerListSize if they are legitimate")
    }

    private static func text(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> String {
        HTTP2Callbacks.escaped(bytes, min(count, 64))
    }

    /// Whether these bytes are allowed in a field value, a reason phrase or chunk extensions: no control characters except the
    /// tab (RFC 9110 section 5.5; this excludes NUL and a CR within a line). No early exit, so that the compiler can vectorise
    /// it.
    @inline(__always)
    private static func isText(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        var bad: UInt8 = 0
        for index in 0..<count {
            let byte = bytes[index]
            bad |= (byte < 0x20 ? 1 : 0) & (byte != 0x09 ? 1 : 0)
            bad |= byte == 0x7f ? 1 : 0
        }
        return bad == 0
    }

    // MARK: - The head

    private func parseStatusLine(
        _ stream: StreamState, _ at: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) {
        // A server of another protocol may never send a line end.
        let version: StaticString = "HTTP/1."
        let kept = partialLine.count
        headHasBareLineFeeds = false
        if kept < version.utf8CodeUnitCount {
            let count = min(version.utf8CodeUnitCount - kept, end - at)
            guard memcmp(at, version.utf8Start + kept, count) == 0 else {
                return violate("it did not begin a response with 'HTTP/1.', but with '\(Self.text(at, end - at))'")
            }
        }
        guard let line = nextLine(&at, end, limit: Self.statusLineLimit) else { return }
        scratch.removeAll()
        framing = HTTP1Framing()
        // HTTP-version SP 3DIGIT [ SP reason-phrase ] (RFC 9112 section 4); some servers also omit the last space.
        let bytes = line.baseAddress.unsafelyUnwrapped
        var status = 0
        var isGood = line.count >= 12 && (bytes[7] == 0x30 || bytes[7] == 0x31) && bytes[8] == 0x20
        if isGood {
            for index in 9..<12 {
                isGood = isGood && (0x30...0x39).contains(bytes[index])
                status = status * 10 + Int(bytes[index] & 0xf)
            }
            isGood = isGood && status >= 100 && Self.isText(bytes, line.count)
            if line.count > 12 { isGood = isGood && bytes[12] == 0x20 }
        }
        guard isGood else { return violate("a bad status line: '\(Self.text(bytes, line.count))'") }
        isVersion10 = bytes[7] == 0x30
        scratch.status = status
        scratch.minorVersion = bytes[7] & 0xf
        if line.count > 13 { scratch.append(reason: bytes + 13, count: line.count - 13) }
        reading = .fields
        if at < end { parseFields(stream, &at, end) }
    }

    private func parseFields(
        _ stream: StreamState, _ at: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) {
        while at < end {
            guard let line = nextLine(&at, end, limit: limits.headerListSize) else { return }
            if line.isEmpty { return endedFields(stream) }
            if isFolded(line) {
                guard fold(line) else { return }
            } else {
                guard takeFraming(), appendField(line, "header") else { return }
            }
        }
    }

    /// Processes the last field once it is complete: only the next line shows that it is not folded.
    @inline(__always)
    private func takeFraming() -> Bool {
        guard scratch.count > 0 else { return true }
        let field = scratch.lastLine
        guard let complaint = framing.take(field.name, field.nameLength, field.value) else { return true }
        violate(complaint)
        return false
    }

    /// Whether a line continues the previous field.
    @inline(__always)
    private func isFolded(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        (line[0] == 0x20 || line[0] == 0x09) && scratch.count > 0
    }

    /// RFC 9112 section 5.2: a user agent must replace a fold by spaces before it interprets the value. Returns false if the
    /// line has ended the connection.
    private func fold(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        let bytes = line.baseAddress.unsafelyUnwrapped
        let value = Self.trimmed(bytes, 0, line.count)
        guard Self.isText(bytes, line.count) else {
            violate("an invalid folded field: '\(Self.text(bytes, line.count))'")
            return false
        }
        scratch.account(foldedLine: line.count)
        guard scratch.listSize <= limits.headerListSize else {
            headTooLarge("header")
            return false
        }
        scratch.fold(value.baseAddress.unsafelyUnwrapped, value.count)
        return true
    }

    /// The value without blanks at either end (RFC 9110 section 5.5).
    @inline(__always)
    private static func trimmed(
        _ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int
    ) -> UnsafeBufferPointer<UInt8> {
        var (start, end) = (start, end)
        while start < end, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
        while end > start, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
        return UnsafeBufferPointer(start: bytes + start, count: end - start)
    }

    private func endedFields(_ stream: StreamState) {
        guard takeFraming() else { return }
        headHasBareLineFeeds = false
        if framing.isChunked {
            // RFC 9112 section 6.1.
            guard framing.contentLength == nil else { return violate("content-length beside transfer-encoding") }
            guard !isVersion10 else { return violate("transfer-encoding in an HTTP/1.0 response") }
        }
        receivedHead(stream)
    }

    /// Parses a field line into the scratch. Returns false if it is invalid, which has ended the connection.
    @inline(__always)
    private func appendField(_ line: UnsafeBufferPointer<UInt8>, _ which: String) -> Bool {
        let bytes = line.baseAddress.unsafelyUnwrapped
        let lowerCase = TokenBytes.lowerCase
        var nameLength = 0
        while nameLength < line.count, lowerCase[Int(bytes[nameLength])] != 0 { nameLength += 1 }
        guard nameLength > 0, nameLength < line.count, bytes[nameLength] == UInt8(ascii: ":") else {
            refuseField(line, nameLength, which)
            return false
        }
        let value = Self.trimmed(bytes, nameLength + 1, line.count)
        let start = value.baseAddress.unsafelyUnwrapped
        guard Self.isText(start, value.count) else {
            violate("an invalid \(which) field: '\(Self.text(bytes, line.count))'")
            return false
        }
        scratch.account(nameLength, value.count)
        guard scratch.listSize <= limits.headerListSize, scratch.count < limits.headerFields else {
            headTooLarge(which)
            return false
        }
        scratch.appendLine(name: bytes, nameLength: nameLength, value: start, valueLength: value.count)
        return true
    }

    private func refuseField(_ line: UnsafeBufferPointer<UInt8>, _ nameLength: Int, _ which: String) {
        let bytes = line.baseAddress.unsafelyUnwrapped
        let isSpace = nameLength < line.count && (bytes[nameLength] == 0x20 || bytes[nameLength] == 0x09)
        let text = Self.text(bytes, line.count)
        if isSpace && nameLength == 0 {
            // RFC 9112 section 2.2: there is no field to continue.
            violate("a folded line before any \(which) field: '\(text)'")
        } else if isSpace {
            // RFC 9112 section 5.1.
            violate("a space in a \(which) field's name: '\(text)'")
        } else {
            violate("an invalid \(which) field: '\(text)'")
        }
    }

    // MARK: - Chunks (RFC 9112 section 7.1)

    private func parseChunkSize(_ at: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) {
        guard let line = nextLine(&at, end, limit: Self.chunkLineLimit) else { return }
        let bytes = line.baseAddress.unsafelyUnwrapped
        var size = 0
        var digits = 0
        while digits < line.count, let digit = TokenBytes.hexDigit(bytes[digits]) {
            // 15 digits are more than any body needs, and fit in an Int.
            guard digits < 15 else { return violate("a chunk size of more than 15 digits") }
            size = size << 4 | Int(digit)
            digits += 1
        }
        guard digits > 0, isExtension(bytes + digits, line.count - digits) else {
            return violate("a bad chunk size: '\(Self.text(bytes, line.count))'")
        }
        extensionBytes += line.count - digits
        guard extensionBytes <= limits.headerListSize else {
            return exceed("chunk extensions of more than \(limits.headerListSize) bytes")
        }
        if size > 0 {
            reading = .chunk(remaining: size)
        } else {
            scratch.removeAll()
            reading = .trailers
        }
    }

    /// Skips extensions. Blanks are allowed before their semicolon (RFC 9112 section 7.1.1), and at the end, where old servers
    /// pad the size with them: they cannot be misread.
    private func isExtension(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        var at = 0
        while at < count, bytes[at] == 0x20 || bytes[at] == 0x09 { at += 1 }
        return at == count || bytes[at] == UInt8(ascii: ";") && Self.isText(bytes, count)
    }

    private func parseTrailers(
        _ stream: StreamState, _ at: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) {
        while at < end {
            guard let line = nextLine(&at, end, limit: limits.headerListSize) else { return }
            if line.isEmpty {
                if scratch.count > 0 {
                    stream.hasTrailers = true
                    stream.trailers = HeaderBlock(copying: scratch)
                }
                return receivedBody(stream)
            }
            if isFolded(line) {
                guard fold(line) else { return }
                continue
            }
            guard appendField(line, "trailer") else { return }
            let field = scratch.lastLine
            guard !HTTP1Framing.isFraming(field.name, field.nameLength) else {
                return violate("a trailer field that frames the message: '\(Self.text(line.baseAddress!, line.count))'")
            }
        }
    }
}
