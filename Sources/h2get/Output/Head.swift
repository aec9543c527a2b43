import H2Client
import HTTPTypes

/// A response's head as text, for -i, -I and -D.
enum Head {
    /// Over HTTP/1.x byte for byte as received; for HTTP/2, which has no status line, with curl's. Before it stand those
    /// of the redirects that led to it.
    static func bytes(of response: StreamedResponse) -> [UInt8] {
        var heads: [UInt8] = []
        for redirect in response.redirects {
            heads += "\(response.version.rawValue) \(redirect.status.code) ".utf8
            if response.version == .http1 { heads += redirect.status.reasonPhrase.utf8 }
            heads += "\r\n".utf8
            for field in redirect.headerFields { heads += "\(field.name.rawName): \(field.value)\r\n".utf8 }
            heads += "\r\n".utf8
        }
        return heads + lastBytes(of: response)
    }

    /// An informational response, whose version is not known.
    static func bytes(ofInformational response: HTTPResponse) -> [UInt8] {
        var text = "HTTP \(response.status.code) \(response.status.reasonPhrase)\r\n"
        for field in response.headerFields { text += "\(field.name.rawName): \(field.value)\r\n" }
        return Array("\(text)\r\n".utf8)
    }

    private static func lastBytes(of response: StreamedResponse) -> [UInt8] {
        var bytes = response.statusLine?.bytes ?? Array("\(response.version.rawValue) \(response.status.code) ".utf8)
        bytes += "\r\n".utf8
        for field in response.rawHeaderFields {
            bytes += field.name
            bytes += ": ".utf8
            bytes += field.value
            bytes += "\r\n".utf8
        }
        return bytes + Array("\r\n".utf8)
    }
}
