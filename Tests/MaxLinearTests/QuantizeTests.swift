import Testing

@testable import MaxLinear

@Suite("Quantizing")
struct QuantizeTests {
  static let encodings = QuantizationEncoding.all

  @Test("gives blocks whose values are near, and the same on any number of threads", arguments: encodings)
  func roundTrip(encoding: QuantizationEncoding) throws {
    let values = try randomTensor([3, 2, 512], seed: 1)
    let blocks = try encoding.quantize(values, threads: 1)
    #expect(blocks.shape == [3, 2, 512 / encoding.elementsPerBlock * encoding.blockSize])
    let again = try encoding.dequantize(blocks)
    #expect(again.shape == values.shape)
    let bits = 8 * Double(encoding.blockSize) / Double(encoding.elementsPerBlock)
    let bound = bits < 4.5 ? 0.3 : 0.08
    #expect(relativeError(try again.floats(), try values.floats().map(Double.init)) < bound)
    #expect(try encoding.quantize(values, threads: 3).array(of: UInt8.self) == blocks.array(of: UInt8.self))
  }

  @Test("of a view that is not in C order gives the blocks of its copy")
  func strided() throws {
    let encoding = try QuantizationEncoding("Q8_0")
    let wide = try randomTensor([4, 128], seed: 2)
    let view = try Tensor(
      pointer: wide.pointer, dtype: .float32, shape: [4, 64], strides: [128, 1], owner: wide.owner)
    let copy = try Tensor((0..<4).flatMap { row in try wide.floats()[128 * row..<128 * row + 64] }, shape: [4, 64])
    #expect(try encoding.quantize(view).array(of: UInt8.self) == encoding.quantize(copy).array(of: UInt8.self))
  }

  /// The end of a message, by the registry.
  private static func holders(of columns: Int) -> String {
    encodings.filter { columns % $0.elementsPerBlock == 0 }.map(\.name).joined(separator: ", ")
      + " can hold such rows"
  }

  @Test("takes the fallback where rows do not fit, and says which it took")
  func fallback() throws {
    let wanted = try QuantizationEncoding("Q4_K"), other = try QuantizationEncoding("Q8_0")
    for (columns, expected) in [(512, wanted), (384, other)] {
      let values = try randomTensor([3, columns], seed: 4)
      let (blocks, encoding) = try wanted.quantize(values, fallback: other, threads: 1)
      #expect(encoding == expected)
      #expect(try blocks.array(of: UInt8.self) == expected.quantize(values).array(of: UInt8.self))
      #expect(try wanted.fitting(columns: columns, fallback: other) == expected)
    }
    expectError(
      .invalidShape, "K: is 384, expected a multiple of 256 for Q4_K; \(Self.holders(of: 384))"
    ) {
      _ = try wanted.quantize(Tensor.zeros(shape: [384]), fallback: nil)
    }
    expectError(
      .invalidShape,
      "K: is 100, expected a multiple of 256 for Q4_K, or of 32 for Q8_0; no block encoding can hold such rows"
    ) {
      _ = try wanted.quantize(Tensor.zeros(shape: [100]), fallback: other)
    }
    expectError(.unsupported, "encoding: is GPTQ, expected one that stores rows of blocks") {
      _ = try wanted.fitting(columns: 384, fallback: .gptq)
    }
  }

  @Test("refuses what does not fit, and says why")
  func refused() throws {
    let encoding = try QuantizationEncoding("Q4_K")
    expectError(
      .invalidShape,
      "values: shape is [2, 384], expected rows of whole Q4_K blocks of 256 values; \(Self.holders(of: 384))"
    ) {
      _ = try encoding.quantize(Tensor.zeros(shape: [2, 384]))
    }
    expectError(.invalidShape, "blocks: shape is [143], expected rows of whole Q4_K blocks of 144 bytes") {
      _ = try encoding.dequantize(Tensor.zeros(shape: [143], dtype: .uint8))
    }
    expectError(.invalidDType, "values: dtype is float64, expected float32, float16 or bfloat16") {
      _ = try encoding.quantize(Tensor.zeros(shape: [2, 256], dtype: .float64))
    }
    expectError(.invalidShape, "importance: shape is [255], expected [256]") {
      _ = try encoding.quantize(Tensor.zeros(shape: [2, 256]), importance: Tensor.zeros(shape: [255]))
    }
    var floats = [Float](repeating: 0, count: 512)
    floats[300] = .infinity
    expectError(
      .invalidArgument,
      "values: row 1, column 44 is too large or not finite, expected numbers within what Q4_K holds, +-4126752.0"
    ) {
      _ = try encoding.quantize(Tensor(floats, shape: [2, 256]))
    }
  }
}
