import HTTPTypes

extension StreamedResponse {
    /// The response's `content-disposition` (RFC 6266), with the file name that the server suggests; nil if it has none
    /// that can be parsed.
    public var contentDisposition: ContentDisposition? {
        let name = Array("content-disposition".utf8)
        // As bytes: old servers send names in Latin-1.
        let field = rawHeaderFields.first { field in
            field.name.elementsEqual(name) { TokenBytes.lowerCase[Int($0)] == $1 }
        }
        return field.flatMap { ContentDisposition(Array($0.value)) }
    }
}
