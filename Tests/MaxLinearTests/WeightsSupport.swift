import Foundation
import Testing

@testable import MaxLinear

/// A folder of its own, gone with the object.
final class TemporaryFolder {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("maxlinear-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file and returns its path.
  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let path = "\(path)/\(name)"
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return path
  }

  func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }
}

/// The bytes of a safetensors file: the header's length, the header, the data.
func safetensors(_ header: String, data: [UInt8] = [], headerLength: UInt64? = nil) -> [UInt8] {
  safetensors(Array(header.utf8), data: data, headerLength: headerLength)
}

func safetensors(_ header: [UInt8], data: [UInt8] = [], headerLength: UInt64? = nil) -> [UInt8] {
  let length = headerLength ?? UInt64(header.count)
  return withUnsafeBytes(of: length.littleEndian) { Array($0) } + header + data
}

/// A tensor's part of a header.
func tensorText(_ name: String, _ dtype: String, _ shape: [Int], _ begin: Int, _ end: Int) -> String {
  "\"\(name)\":{\"dtype\":\"\(dtype)\",\"shape\":\(shape),\"data_offsets\":[\(begin),\(end)]}"
}

/// A generator whose numbers are the same in each run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// The bytes with one to four changes: a byte replaced, inserted, removed, a digit changed, or a piece repeated.
  mutating func mutate(_ original: [UInt8]) -> [UInt8] {
    var bytes = original
    let structural = Array("{}[]\",:\\0123456789-.eEu \n".utf8)
    for _ in 0..<Int.random(in: 1...4, using: &self) where !bytes.isEmpty {
      let index = Int.random(in: 0..<bytes.count, using: &self)
      switch Int.random(in: 0..<6, using: &self) {
      case 0: bytes[index] = UInt8.random(in: 0...255, using: &self)
      case 1: bytes[index] = structural[Int.random(in: 0..<structural.count, using: &self)]
      case 2: bytes.remove(at: index)
      case 3: bytes.insert(structural[Int.random(in: 0..<structural.count, using: &self)], at: index)
      case 4: bytes.removeLast(bytes.count - index)
      default:
        let end = Int.random(in: index..<bytes.count, using: &self)
        bytes.insert(contentsOf: bytes[index...end], at: Int.random(in: 0...bytes.count, using: &self))
      }
    }
    return bytes
  }
}

/// What the body throws; recorded as an issue when it throws nothing or something else.
func thrownError(_ body: () throws -> Void) -> MaxLinearError? {
  let error = #expect(throws: MaxLinearError.self, performing: body)
  if let error { #expect(hasThreeParts(error.message), "\(error.message)") }
  return error
}

/// The tensor's first bytes, read through its pointer.
func contents(_ tensor: Tensor, count: Int) -> [UInt8] {
  withExtendedLifetime(tensor.owner) { Array(UnsafeRawBufferPointer(start: tensor.pointer, count: count)) }
}
