import CNghttp2
import H2Platform

/// The progress of sending a file as a request's body, and the piece that is sent next.
///
/// Invariant behind `@unchecked Sendable`: everything belongs to the connection's loop, except the buffer's contents while
/// `isLoading`, which belong to the loading thread then.
final class FileBody: @unchecked Sendable {
    /// The result of asking for the next piece.
    enum Piece {
        /// This number of bytes can be taken.
        case ready(Int)
        /// It is being loaded.
        case later
        /// It is on disk and must be loaded (`beginLoading`, `load`, `loaded`).
        case onDisk
        /// The file was truncated or cannot be read.
        case failed
    }

    /// Bytes that a thread loads at once.
    private static let loadSize = 256 << 10

    private let file: BodyFile
    private(set) var offset: Int
    /// Bytes not taken yet.
    private(set) var remaining: Int
    private(set) var isLoading = false
    private var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    /// The range of the buffer that holds the file's bytes at `offset`.
    private var held = 0..<0
    private var hasFailed = false
    /// Whether the system supports reading without blocking; determined by trying.
    private var mayReadCached = true

    /// - Parameter length: the file's length, if it is known to differ from when it was opened.
    init(_ file: BodyFile, length: Int? = nil) {
        self.file = file
        offset = file.offset
        remaining = length ?? file.length
    }

    deinit { buffer.deallocate() }

    /// Prepares the next piece, of at most `limit` bytes.
    func piece(upTo limit: Int) -> Piece {
        if remaining == 0 { return .ready(0) }
        if isLoading { return .later }
        if !held.isEmpty { return .ready(min(held.count, limit)) }
        if hasFailed { return .failed }
        guard mayReadCached else { return .onDisk }
        let count = min(limit, remaining)
        makeRoom(count)
        let got = ch2_read_cached(file.descriptor, buffer.baseAddress, count, Int64(offset))
        if got > 0 {
            held = 0..<got
            return .ready(got)
        }
        if got < 0, errno == EAGAIN { return .onDisk }
        if got < 0, errno == EOPNOTSUPP {
            mayReadCached = false
            return .onDisk
        }
        hasFailed = true
        return .failed
    }

    private func makeRoom(_ count: Int) {
        guard buffer.count < count else { return }
        buffer.deallocate()
        buffer = .allocate(byteCount: count, alignment: 16)
    }

    func beginLoading() {
        makeRoom(min(Self.loadSize, remaining))
        isLoading = true
    }

    /// Reads, possibly waiting for a disk. Called on any thread, between `beginLoading` and `loaded`.
    /// - Returns: the number of bytes read; 0 or less if there are none.
    func load() -> Int {
        var count = 0
        repeat {
            count = pread(file.descriptor, buffer.baseAddress, min(buffer.count, remaining), off_t(offset))
        } while count < 0 && errno == EINTR
        return count
    }

    func loaded(_ count: Int) {
        isLoading = false
        held = 0..<max(count, 0)
        if count <= 0 { hasFailed = true }
    }

    /// Moves ready bytes into `payload`.
    func take(into payload: UnsafeMutableRawBufferPointer) {
        let end = held.lowerBound + payload.count
        payload.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[held.lowerBound..<end]))
        held = end..<held.upperBound
        offset += payload.count
        remaining -= payload.count
    }
}
