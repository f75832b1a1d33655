import Kernels
import Testing

extension KernelTests {
  @Suite("Packed weights")
  struct PackedSizes {
    /// The most bytes of a panel, as a multiple of the bytes in the checkpoint, to two decimals.
    static let most: [String: Double] = [
      "F32": 1, "F16": 1, "BF16": 1, "Q4_0": 1.02, "Q4_1": 1, "Q5_0": 1, "Q5_1": 1, "IQ4_NL": 1, "Q8_0": 1.02,
      "Q4_K": 1.04,
      "Q5_K": 1.04, "Q6_K": 1.02,
      "Q2_K": 1, "Q3_K": 1.02,
      "F8_E4M3": 1, "F8_E5M2": 1,
      "CHECK_8": 1,
      "IQ4_XS": 1.02, "MXFP4": 1.02,
      "GPTQ_32": 1.04, "GPTQ_64": 1.04, "GPTQ_128": 1.02, "GPTQ_256": 1.02,
      "GPTQ2_32": 1.12, "GPTQ2_64": 1.06, "GPTQ2_128": 1.02, "GPTQ2_256": 1.03,
      "GPTQ2_32_F32": 1.06, "GPTQ2_64_F32": 1.04, "GPTQ2_128_F32": 1.02, "GPTQ2_256_F32": 1.03,
      "GPTQ8_32": 1.04, "GPTQ8_64": 1.02, "GPTQ8_128": 1.02, "GPTQ8_256": 1.02,
      "GPTQ8_32_F32": 1.04, "GPTQ8_64_F32": 1.02, "GPTQ8_128_F32": 1.02, "GPTQ8_256_F32": 1.02,
      "GPTQ_32_F32": 1.04, "GPTQ_64_F32": 1.04, "GPTQ_128_F32": 1.02, "GPTQ_256_F32": 1.03,
    ]

    /// Bytes of a checkpoint for `depth` columns of one output. A zero of GPTQ takes 2, 4 or 8 bits there, and in a block a byte,
    /// or of 8 bits two.
    private func encodedBytes(_ encoding: mxl_encoding, depth: Int) -> Double {
      let blocks = Double(depth / Int(encoding.elements_per_block))
      let more = [("GPTQ_", 0.5), ("GPTQ2_", 0.75), ("GPTQ8_", 1)].first {
        String(cString: encoding.name).hasPrefix($0.0)
      }
      return blocks * (Double(encoding.block_size) - (more?.1 ?? 0))
    }

    @Test("are hardly larger than the checkpoint, but for the padding of the last panel", arguments: [4096, 14336])
    func sizes(depth: Int) throws {
      var rows = 0
      while let row = mxlk_row_at(rows) {
        rows += 1
        let name = String(cString: row.pointee.encoding)
        let encoding = try #require(mxlk_encoding_find(row.pointee.encoding)).pointee
        let columns = Int(row.pointee.panel_columns)
        let encoded = encodedBytes(encoding, depth: depth) * Double(columns)
        let multiple = Double(mxlk_panel_bytes(row, Int64(depth))) / encoded
        let allowed = try #require(Self.most[name], "\(name): no figure for its packed size")
        #expect((multiple * 100).rounded() <= allowed * 100, "\(name): \(multiple)")
        for outputs in [1, columns, columns + 1, 10 * columns] {
          let padded = Int(mxlk_panel_count(row, Int64(outputs))) * columns
          #expect(padded >= outputs && padded < outputs + columns)
        }
      }
      #expect(rows == mxlk_row_count())
    }
  }
}
