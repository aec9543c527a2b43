import H2Client

/// The body of a response that no server sent, and how it arrives.
///
/// A string literal is a body of its UTF-8 bytes.
public struct TestResponseBody: Sendable, ExpressibleByStringLiteral {
    let content: CannedResponse.Body

    init(content: CannedResponse.Body) { self.content = content }

    /// No body.
    public static let empty = bytes([])

    /// A body that has arrived together with the head.
    public static func bytes(_ bytes: some Collection<UInt8>) -> TestResponseBody {
        TestResponseBody(content: .whole(Array(bytes)))
    }

    /// A text, as UTF-8, that has arrived together with the head.
    public static func string(_ string: String) -> TestResponseBody { bytes(string.utf8) }

    /// A body of which each chunk arrives when a reader waits for it.
    ///
    /// ```swift
    /// let cut = TestResponseBody.chunks(
    ///     ["first ".utf8, "second".utf8], then: .failure(H2Error(.connectionClosed, message: "the server went away")))
    /// ```
    /// - Parameters:
    ///   - chunks: The chunks. Empty ones are left out, since a reader never gets any.
    ///   - end: How the body goes on after the last of them.
    public static func chunks(_ chunks: [some Collection<UInt8>], then end: End = .complete) -> TestResponseBody {
        TestResponseBody(content: .chunks(chunks.map { Array($0) }, then: end.content))
    }

    /// Creates a body of a text.
    public init(stringLiteral text: String) { self = .string(text) }

    /// How a body goes on after its last chunk.
    @nonexhaustive
    public enum End: Sendable {
        /// The end of the body.
        case complete
        /// This error, which the reader gets once it has all chunks. `collect(upTo:)` throws it instead of the bytes.
        case failure(any Error)
        /// Nothing: the reader waits until its task is cancelled.
        case stall

        fileprivate var content: CannedResponse.End {
            switch self {
            case .complete: .complete
            case .failure(let error): .failure(error)
            case .stall: .stall
            }
        }
    }
}
