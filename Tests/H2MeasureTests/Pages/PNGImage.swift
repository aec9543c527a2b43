import CZlib
import Foundation
import H2TestSupport

/// The pixels of a PNG of eight bits a colour, as Chromium's screenshots are.
struct PNGImage {
    let width: Int
    let height: Int
    /// 3, or 4 with an alpha channel.
    private let channels: Int
    private let bytes: [UInt8]

    init(_ data: Data) throws {
        let file = [UInt8](data)
        guard file.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) else {
            throw ProcessFailure("not a PNG: \(file.count) bytes")
        }
        var packed: [UInt8] = []
        var header: [UInt8] = []
        var offset = 8
        while offset + 12 <= file.count {
            let length = Self.number(file[offset...])
            let kind = String(decoding: file[offset + 4..<offset + 8], as: UTF8.self)
            let content = file[offset + 8..<min(offset + 8 + length, file.count)]
            if kind == "IHDR" { header = Array(content) }
            if kind == "IDAT" { packed += content }
            offset += 12 + length
        }
        guard header.count == 13, header[8] == 8, header[9] == 2 || header[9] == 6, header[12] == 0 else {
            throw ProcessFailure("a PNG of another kind: \(header)")
        }
        width = Self.number(header[0...])
        height = Self.number(header[4...])
        channels = header[9] == 6 ? 4 : 3
        let row = width * channels
        var raw = [UInt8](repeating: 0, count: height * (row + 1))
        var length = uLongf(raw.count)
        let status = uncompress(&raw, &length, packed, uLong(packed.count))
        guard status == Z_OK, Int(length) == raw.count else {
            throw ProcessFailure("cannot inflate the PNG: \(status)")
        }
        bytes = Self.unfiltered(raw, row: row, height: height, step: channels)
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.prefix(4).reduce(0) { $0 << 8 | Int($1) } }

    /// Takes back what each row is stored as: differences to its neighbours (PNG, section 9).
    private static func unfiltered(_ raw: [UInt8], row: Int, height: Int, step: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: row * height)
        for y in 0..<height {
            let filter = raw[y * (row + 1)]
            for x in 0..<row {
                let left = x >= step ? Int(result[y * row + x - step]) : 0
                let up = y > 0 ? Int(result[(y - 1) * row + x]) : 0
                let corner = x >= step && y > 0 ? Int(result[(y - 1) * row + x - step]) : 0
                let guess: Int
                switch filter {
                case 1: guess = left
                case 2: guess = up
                case 3: guess = (left + up) / 2
                case 4:
                    let sum = left + up - corner
                    let (a, b, c) = (abs(sum - left), abs(sum - up), abs(sum - corner))
                    guess = a <= b && a <= c ? left : b <= c ? up : corner
                default: guess = 0
                }
                result[y * row + x] = raw[y * (row + 1) + 1 + x] &+ UInt8(guess)
            }
        }
        return result
    }

    /// Red, green and blue as one number: 0xF6F7F9.
    func pixel(_ x: Int, _ y: Int) -> Int {
        let index = (y * width + x) * channels
        return Int(bytes[index]) << 16 | Int(bytes[index + 1]) << 8 | Int(bytes[index + 2])
    }

    /// The different colours, as far as every third pixel of every third row tells.
    var colours: Set<Int> {
        var result: Set<Int> = []
        for y in stride(from: 0, to: height, by: 3) {
            for x in stride(from: 0, to: width, by: 3) { result.insert(pixel(x, y)) }
        }
        return result
    }
}
