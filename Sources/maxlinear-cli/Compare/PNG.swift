import MaxLinear

/// A picture of at most 256 colours, written as a PNG file without compression: pictures of a few hundred bytes a row need none, and the
/// command no library.
///
/// The format is https://www.w3.org/TR/png-3/: a signature, then chunks of length, type, data and CRC-32. The rows of palette numbers,
/// each behind a filter byte of 0, are one zlib stream of stored blocks.
struct PNG {
  let width: Int
  let height: Int
  /// Red, green, blue.
  let palette: [(UInt8, UInt8, UInt8)]
  private var pixels: [UInt8]

  /// All of colour 0.
  init(width: Int, height: Int, palette: [(UInt8, UInt8, UInt8)]) {
    self.width = max(width, 1)
    self.height = max(height, 1)
    self.palette = palette
    pixels = Array(repeating: 0, count: self.width * self.height)
  }

  /// Fills what lies inside the picture.
  mutating func fill(x: Range<Int>, y: Range<Int>, color: UInt8) {
    for row in y.clamped(to: 0..<height) {
      for column in x.clamped(to: 0..<width) { pixels[row * width + column] = color }
    }
  }

  var bytes: [UInt8] {
    var file: [UInt8] = [0x89] + Array("PNG".utf8) + [0x0d, 0x0a, 0x1a, 0x0a]
    // 8 bits a palette number, and the only compression, filters and order there are.
    Self.add("IHDR", Self.bigEndian(UInt32(width)) + Self.bigEndian(UInt32(height)) + [8, 3, 0, 0, 0], to: &file)
    Self.add("PLTE", palette.flatMap { [$0.0, $0.1, $0.2] }, to: &file)
    var rows: [UInt8] = []
    rows.reserveCapacity(height * (width + 1))
    for row in 0..<height {
      rows.append(0)
      rows += pixels[row * width..<(row + 1) * width]
    }
    Self.add("IDAT", Self.stored(rows), to: &file)
    Self.add("IEND", [], to: &file)
    return file
  }

  /// Writes a file, which appears whole or not at all. Throws `.io`.
  func write(to file: ReplacingFile) throws {
    try bytes.withUnsafeBytes { try file.write($0) }
    try file.finish()
  }

  private static func bigEndian(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

  private static func add(_ type: String, _ data: [UInt8], to file: inout [UInt8]) {
    let named = Array(type.utf8) + data
    file += bigEndian(UInt32(data.count)) + named + bigEndian(crc32(named))
  }

  /// A zlib stream whose blocks are stored as they are.
  private static func stored(_ data: [UInt8]) -> [UInt8] {
    var stream: [UInt8] = [0x78, 0x01]
    let most = 0xffff
    for begin in stride(from: 0, to: data.count, by: most) {
      let end = min(begin + most, data.count)
      let count = UInt16(end - begin)
      stream.append(end == data.count ? 1 : 0)
      for word in [count, ~count] { stream += [UInt8(word & 0xff), UInt8(word >> 8)] }
      stream += data[begin..<end]
    }
    var low: UInt32 = 1
    var high: UInt32 = 0
    for byte in data {
      low = (low + UInt32(byte)) % 65521
      high = (high + low) % 65521
    }
    return stream + bigEndian(high << 16 | low)
  }

  private static let crcTable: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { crc, _ in crc & 1 == 1 ? 0xedb8_8320 ^ crc >> 1 : crc >> 1 }
  }

  private static func crc32(_ data: [UInt8]) -> UInt32 {
    let table = crcTable
    return ~data.reduce(~UInt32(0)) { crc, byte in table[Int((crc ^ UInt32(byte)) & 0xff)] ^ crc >> 8 }
  }
}
