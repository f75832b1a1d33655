import MaxLinear

/// numpy's format for one array:
///
///     6 bytes     "\x93NUMPY"
///     2 bytes     version: 1, 2 or 3, then 0
///     2 bytes     the header's length, little-endian; 4 from version 2 on
///     header      {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, padded with spaces, then a newline
///     the rest    the elements, in C order
///
/// What is read: float32 and float16, little-endian, in C order, of at most 16 dimensions.
enum NPY {
  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  private static let dtypes: [(descr: String, dtype: DType)] = [("<f4", .float32), ("<f2", .float16)]
  private static let maximumHeaderLength = 1 << 20

  /// A copy of the array.
  ///
  /// - Throws: `.io`; `.invalidFile` for a file that breaks a rule of the format; `.unsupported` for another dtype or order.
  static func read(_ path: String) throws -> Tensor {
    let file = try FileMapping(path: path)
    return try withExtendedLifetime(file) { try read(file.bytes, path) }
  }

  private static func read(_ bytes: UnsafeRawBufferPointer, _ path: String) throws -> Tensor {
    func failure(_ message: String) -> MaxLinearError { MaxLinearError(.invalidFile, "\(path): \(message)") }
    guard bytes.count >= 10, bytes.starts(with: magic) else {
      throw failure("is no .npy file, expected one that begins with \\x93NUMPY")
    }
    let major = bytes[6]
    guard 1...3 ~= major, bytes[7] == 0 else {
      throw MaxLinearError(
        .unsupported, "\(path): .npy version is \(major).\(bytes[7]), expected 1.0, 2.0 or 3.0")
    }
    let lengthBytes = major == 1 ? 2 : 4
    guard bytes.count >= 8 + lengthBytes else { throw failure("ends within its header, expected the whole of it") }
    let length = (0..<lengthBytes).reduce(0) { $0 | Int(bytes[8 + $1]) << (8 * $1) }
    guard length <= maximumHeaderLength else {
      throw failure("the header has \(length) bytes, expected at most \(maximumHeaderLength)")
    }
    let begin = 8 + lengthBytes + length
    guard begin <= bytes.count else { throw failure("ends within its header, expected the whole of it") }
    let header = try NPYHeader(bytes[8 + lengthBytes..<begin], path)
    guard let known = dtypes.first(where: { $0.descr == header.descr }) else {
      throw MaxLinearError(
        .unsupported, "\(path): dtype is '\(header.descr)', expected '<f4' (float32) or '<f2' (float16)")
    }
    guard !header.isFortranOrder else {
      throw MaxLinearError(.unsupported, "\(path): is in Fortran order, expected C order: numpy.ascontiguousarray")
    }
    var expected = known.dtype.bits / 8
    for dimension in header.shape {
      let (product, overflow) = expected.multipliedReportingOverflow(by: dimension)
      guard !overflow else {
        throw failure("the size of shape \(header.shape) overflows, expected one that memory can hold")
      }
      expected = product
    }
    let data = UnsafeRawBufferPointer(rebasing: bytes[begin...])
    guard data.count == expected else {
      throw failure(
        "has \(data.count) bytes behind the header, expected \(expected) for \(known.dtype.name) of shape \(header.shape)"
      )
    }
    // A copy is aligned, whatever the header's length.
    let tensor = try Tensor.zeros(shape: header.shape, dtype: known.dtype)
    if let from = data.baseAddress, expected > 0 { tensor.pointer?.copyMemory(from: from, byteCount: expected) }
    return tensor
  }

  /// Writes a contiguous float32 or float16 tensor as a file of version 1.0, which appears whole or not at all.
  ///
  /// - Throws: `.io`, `.invalidArgument`, `.unsupported`.
  static func write(_ tensor: Tensor, to path: String) throws {
    guard let known = dtypes.first(where: { $0.dtype == tensor.dtype }), tensor.isContiguous else {
      throw MaxLinearError(
        .unsupported, "\(path): cannot write \(tensor.dtype.name) of these strides, expected C order")
    }
    let shape = tensor.shape.map { "\($0)," }.joined(separator: " ")
    let tuple = tensor.shape.count == 1 ? "(\(shape))" : "(\(shape.dropLast()))"
    var header = "{'descr': '\(known.descr)', 'fortran_order': False, 'shape': \(tuple), }"
    // The data begins at a multiple of 64.
    let used = magic.count + 4 + header.utf8.count + 1
    header += String(repeating: " ", count: (64 - used % 64) % 64) + "\n"
    let length = header.utf8.count
    let bytes = magic + [1, 0, UInt8(length & 0xff), UInt8(length >> 8)] + Array(header.utf8)
    let file = try ReplacingFile(path: path)
    try bytes.withUnsafeBytes { try file.write($0) }
    try file.write(UnsafeRawBufferPointer(start: tensor.pointer, count: tensor.byteCount))
    try withExtendedLifetime(tensor.owner) { try file.finish() }
  }
}

/// The header: a Python dict of three keys.
private struct NPYHeader {
  private(set) var descr = ""
  private(set) var isFortranOrder = false
  private(set) var shape: [Int] = []
  private var rest: Slice<UnsafeRawBufferPointer>
  private let path: String

  init(_ bytes: Slice<UnsafeRawBufferPointer>, _ path: String) throws {
    rest = bytes
    self.path = path
    var missing: Set<String> = ["descr", "fortran_order", "shape"]
    try take("{")
    while !takes("}") {
      let key = try text()
      guard missing.remove(key) != nil else {
        throw failure("\"\(key.printable)\" is no key of it, or comes twice, expected descr, fortran_order and shape")
      }
      try take(":")
      switch key {
      case "descr": descr = try value()
      case "fortran_order": isFortranOrder = try flag()
      default: shape = try sizes()
      }
      if !takes(",") {
        try take("}")
        break
      }
    }
    skipSpace()
    guard rest.isEmpty else { throw failure("there is more behind it, expected its end") }
    guard missing.isEmpty else {
      throw failure("has no \(missing.sorted().joined(separator: ", ")), expected descr, fortran_order and shape")
    }
  }

  private func failure(_ message: String) -> MaxLinearError {
    MaxLinearError(.invalidFile, "\(path): the .npy header: \(message)")
  }

  private mutating func skipSpace() {
    while let byte = rest.first, [0x20, 0x0a, 0x0d, 0x09].contains(byte) { rest = rest.dropFirst() }
  }

  /// Whether this follows; then it is taken.
  private mutating func takes(_ word: String) -> Bool {
    skipSpace()
    guard rest.starts(with: word.utf8) else { return false }
    rest = rest.dropFirst(word.utf8.count)
    return true
  }

  private mutating func take(_ word: String) throws {
    guard takes(word) else { throw failure("goes on otherwise, expected \"\(word)\"") }
  }

  /// 'text' or "text", without escapes.
  private mutating func text() throws -> String {
    skipSpace()
    guard let quote = rest.first, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
      throw failure("goes on otherwise, expected a text in quotes")
    }
    let inside = rest.dropFirst()
    guard let end = inside.firstIndex(of: quote) else { throw failure("a text does not end, expected its quote") }
    rest = inside[inside.index(after: end)...]
    return String(decoding: inside[..<end], as: UTF8.self)
  }

  /// descr; that of a structured array is a list.
  private mutating func value() throws -> String {
    skipSpace()
    guard rest.first != UInt8(ascii: "[") else {
      throw MaxLinearError(.unsupported, "\(path): dtype is a structure, expected '<f4' (float32) or '<f2' (float16)")
    }
    return try text().printable
  }

  private mutating func flag() throws -> Bool {
    if takes("True") { return true }
    guard takes("False") else { throw failure("fortran_order is neither, expected True or False") }
    return false
  }

  /// (), (2,) or (2, 3).
  private mutating func sizes() throws -> [Int] {
    var sizes: [Int] = []
    try take("(")
    while !takes(")") {
      skipSpace()
      let digits = rest.prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
      guard !digits.isEmpty, let size = Int(String(decoding: digits, as: UTF8.self)) else {
        throw failure("shape: goes on otherwise, expected a number of at most 64 bits")
      }
      guard sizes.count < Tensor.maximumRank else {
        throw failure("shape: has more dimensions, expected at most \(Tensor.maximumRank)")
      }
      rest = rest.dropFirst(digits.count)
      sizes.append(size)
      if !takes(",") {
        try take(")")
        break
      }
    }
    return sizes
  }
}
