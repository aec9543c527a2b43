import CNghttp2

/// Converts frames to records for `ConnectionConfiguration.onFrame`. Costs nothing if nobody is listening.
enum FrameLog {
    private static let names = [
        "DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE",
        "CONTINUATION", "ALTSVC", "UNKNOWN(0xb)", "ORIGIN",
    ]
    private static let shownOrigins = 16
    private static let priorityUpdate: Int32 = 0x10

    static func name(_ type: Int32) -> String {
        if type == priorityUpdate { return "PRIORITY_UPDATE" }
        return names.indices.contains(Int(type)) ? names[Int(type)] : "UNKNOWN(0x\(String(type, radix: 16)))"
    }

    static func flags(_ header: nghttp2_frame_hd) -> [String] {
        var flags: [String] = []
        let type = UInt32(header.type)
        func add(_ flag: nghttp2_flag, _ name: String) {
            if header.flags & UInt8(flag.rawValue) != 0 { flags.append(name) }
        }
        switch type {
        case NGHTTP2_SETTINGS.rawValue, NGHTTP2_PING.rawValue: add(NGHTTP2_FLAG_ACK, "ACK")
        case NGHTTP2_DATA.rawValue, NGHTTP2_HEADERS.rawValue:
            add(NGHTTP2_FLAG_END_STREAM, "END_STREAM")
            if type == NGHTTP2_HEADERS.rawValue {
                add(NGHTTP2_FLAG_END_HEADERS, "END_HEADERS")
                add(NGHTTP2_FLAG_PRIORITY, "PRIORITY")
            }
            add(NGHTTP2_FLAG_PADDED, "PADDED")
        default: break
        }
        return flags
    }

    private static let settingNames = [
        1: "HEADER_TABLE_SIZE", 2: "ENABLE_PUSH", 3: "MAX_CONCURRENT_STREAMS", 4: "INITIAL_WINDOW_SIZE",
        5: "MAX_FRAME_SIZE", 6: "MAX_HEADER_LIST_SIZE", 8: "ENABLE_CONNECT_PROTOCOL", 9: "NO_RFC7540_PRIORITIES",
    ]

    static func origins(_ payload: [UInt8]) -> String {
        guard let entries = OriginSet.entries(payload) else { return "cut off" }
        let names = entries.prefix(shownOrigins).map { entry in
            entry.withUnsafeBufferPointer { HTTP2Callbacks.escaped($0.baseAddress, $0.count) }
        }
        let rest = entries.count - names.count
        return names.joined(separator: " ") + (rest > 0 ? " and \(rest) more" : "")
    }

    static func detail(_ frame: UnsafePointer<nghttp2_frame>) -> String {
        switch UInt32(ch2_frame_hd(frame).pointee.type) {
        case NGHTTP2_DATA.rawValue:
            let padding = ch2_frame_data_padlen(frame)
            return padding > 0 ? "padding \(padding)" : ""
        case NGHTTP2_RST_STREAM.rawValue: return "\(H2Error.HTTP2Code(rawValue: ch2_frame_rst_error_code(frame)))"
        case NGHTTP2_SETTINGS.rawValue:
            let settings = ch2_frame_settings(frame).pointee
            return UnsafeBufferPointer(start: settings.iv, count: settings.niv)
                .map { "\(settingNames[Int($0.settings_id)] ?? "0x\(String($0.settings_id, radix: 16))")=\($0.value)" }
                .joined(separator: " ")
        case NGHTTP2_PING.rawValue:
            let bytes = UnsafeBufferPointer(start: ch2_frame_ping_opaque(frame), count: 8)
            return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        case NGHTTP2_GOAWAY.rawValue:
            let goAway = ch2_frame_goaway(frame).pointee
            let text = HTTP2Callbacks.escaped(goAway.opaque_data, goAway.opaque_data_len)
            return "last stream \(goAway.last_stream_id), \(H2Error.HTTP2Code(rawValue: goAway.error_code))"
                + (text.isEmpty ? "" : ", \"\(text)\"")
        case NGHTTP2_WINDOW_UPDATE.rawValue: return "+\(ch2_frame_window_increment(frame))"
        default: return ""
        }
    }
}

extension HTTP2Session {
    func log(
        _ frame: UnsafePointer<nghttp2_frame>, _ direction: FrameRecord.Direction,
        _ listener: @Sendable (FrameRecord) -> Void
    ) {
        let header = ch2_frame_hd(frame).pointee
        let id = header.stream_id
        // nghttp2 returns -1 for a stream it does not know.
        func streamWindow(_ size: Int32) -> Int? { id == 0 || size < 0 ? nil : Int(size) }
        let isOrigin = UInt32(header.type) == NGHTTP2_ORIGIN.rawValue
        let detail = isOrigin ? FrameLog.origins(originPayload) : FrameLog.detail(frame)
        listener(
            FrameRecord(
                direction: direction, connectionID: connectionID, type: FrameLog.name(Int32(header.type)),
                flags: FrameLog.flags(header), streamID: id, length: header.length, detail: detail,
                receiveWindow: .init(
                    stream: streamWindow(nghttp2_session_get_stream_local_window_size(raw, id)),
                    connection: receiveWindow),
                sendWindow: .init(
                    stream: streamWindow(nghttp2_session_get_stream_remote_window_size(raw, id)), connection: sendWindow
                ),
                time: Duration(nanoseconds: now &- startedAt)))
    }
}
