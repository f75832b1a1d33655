import CHandles
import Testing

@testable import MaxLinear

@Suite("canRun")
struct CanRunTests {
  /// What creating, loading zeros and preparing does.
  private func truth(
    inDim: Int, outDim: Int, dtype: DType, device: DeviceRef?, hasBias: Bool, encoding: QuantizationEncoding?,
    config: QuantizationConfig?, options: PrepareOptions
  ) -> Result<String, MaxLinearError> {
    do {
      let layer: LinearV2
      if let config {
        layer = try GPTQLinearV2(
          inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias, quantizationConfig: config)
      } else {
        layer = try LinearV2(
          inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias, quantizationEncoding: encoding)
      }
      // What may be absent is: groups are then consecutive and zeros in the middle.
      let entries = try layer.weights.filter { !$0.isOptional }.map { weight in
        WeightData(
          name: weight.name, tensor: try Tensor.zeros(shape: weight.storedShape, dtype: weight.storedDType),
          encoding: weight.quantizationEncoding?.name)
      }
      try layer.loadStateDict(StateDict(entries))
      return .success(try layer.prepared(options).kernel)
    } catch let error as MaxLinearError {
      return .failure(error)
    } catch {
      return .failure(MaxLinearError(.internal, "\(error)"))
    }
  }

  private func expectAgreement(
    inDim: Int, outDim: Int, dtype: DType, device: DeviceRef? = nil, hasBias: Bool = false,
    encoding: QuantizationEncoding? = nil, config: QuantizationConfig? = nil, options: PrepareOptions = .init()
  ) -> Bool {
    let expected = truth(
      inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias, encoding: encoding, config: config,
      options: options)
    let answer = LinearV2.canRun(
      inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias,
      quantizationEncoding: config == nil ? encoding : .gptq, quantizationConfig: config, options: options)
    #expect(answer == expected, "\(encoding?.name ?? "dense") \(dtype) \([outDim, inDim]) \(options)")
    if case .success = expected { return true }
    return false
  }

  private static let options: [PrepareOptions] = [Compute.automatic, .float32, .int8].flatMap { compute in
    [Packing.automatic, .always, .never].map { PrepareOptions(compute: compute, packing: $0) }
  }

  @Test("agrees with preparing, for every encoding, dtype, compute, packing and many shapes")
  func agreement() throws {
    let shapes = [(256, 5), (512, 40), (320, 3), (32, 17), (31, 16), (1, 1), (0, 4), (-1, 4), (256, 0), (.max, .max)]
    var running = 0, refused = 0
    let encodings: [QuantizationEncoding?] = [nil] + QuantizationEncoding.all
    for encoding in encodings {
      for dtype in encoding == nil ? DType.allCases : [.uint8] {
        for (inDim, outDim) in shapes {
          for options in Self.options {
            let runs = expectAgreement(
              inDim: inDim, outDim: outDim, dtype: dtype, hasBias: inDim == 512 && dtype.isFloat, encoding: encoding,
              options: options)
            if runs { running += 1 } else { refused += 1 }
          }
        }
      }
    }
    #expect(running > 500 && refused > 500)
  }

  @Test("agrees for GPTQ", arguments: [2, 3, 4, 8, 5])
  func gptq(bits: Int) {
    for method in ["gptq", "awq"] {
      for groupSize in [-1, 0, 1, 24, 32, 96, 100, 128, 1024] {
        let config = QuantizationConfig(quantMethod: method, bits: bits, groupSize: groupSize, sym: true)
        for (inDim, outDim) in [(192, 16), (256, 8), (96, 24), (40, 5), (100, 8), (1 << 40, 8), (0, 8)] {
          for options in Self.options {
            _ = expectAgreement(inDim: inDim, outDim: outDim, dtype: .float16, config: config, options: options)
          }
        }
      }
    }
  }

  @Test("agrees for every device and number of threads")
  func devices() {
    for device in [nil, DeviceRef.cpu(), .cpu(id: 1), .cpu(id: -1), .gpu()] {
      for threads in [0, -1, 1, 1024, 1025] {
        let runs = expectAgreement(
          inDim: 256, outDim: 8, dtype: .float32, device: device, options: PrepareOptions(threads: threads))
        #expect(runs == ((device ?? .cpu()) == .cpu() && (0...1024).contains(threads)))
      }
    }
  }

  @Test("says why not")
  func reason() throws {
    let q4k = try QuantizationEncoding("Q4_K")
    guard case .failure(let error) = LinearV2.canRun(inDim: 500, outDim: 4, dtype: .uint8, quantizationEncoding: q4k)
    else {
      Issue.record("500 columns are no whole blocks")
      return
    }
    #expect(error.status == .invalidShape && error.message.contains("500"))
  }
}
