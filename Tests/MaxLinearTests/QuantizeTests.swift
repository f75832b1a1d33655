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
    // Of four codes each is a third of the range wide.
    let most = encoding.name.hasPrefix("GPTQ2") ? 0.35 : 0.08
    #expect(relativeError(try again.floats(), try values.floats().map(Double.init)) < most)
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

  @Test("refuses what does not fit, and says why")
  func refused() throws {
    let encoding = try QuantizationEncoding("Q4_K")
    expectError(.invalidShape, "values: shape is [2, 384], expected rows of whole Q4_K blocks of 256 values") {
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
      .invalidArgument, "values: row 1, column 44 is not finite or beyond what Q4_K holds, +-4126752.0"
    ) {
      _ = try encoding.quantize(Tensor(floats, shape: [2, 256]))
    }
  }
}
