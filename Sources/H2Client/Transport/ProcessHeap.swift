import CNghttp2

/// The memory that the process's threads allocate from.
package enum ProcessHeap {
    /// Makes all threads share one heap, which starts a short program 0.2 ms earlier: making a heap for a thread takes several
    /// system calls. Several threads that allocate much would contend for it.
    package static func share() { ch2_share_heap() }
}
