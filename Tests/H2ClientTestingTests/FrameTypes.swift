// Frame types (RFC 9113 section 6).

let data: UInt8 = 0
let headers: UInt8 = 1
let reset: UInt8 = 3
let settings: UInt8 = 4
let ping: UInt8 = 6
let goAway: UInt8 = 7
let windowUpdate: UInt8 = 8

// Error codes (RFC 9113 section 7).

let refusedStream: UInt32 = 7
let cancel: UInt32 = 8
let calm: UInt32 = 11
