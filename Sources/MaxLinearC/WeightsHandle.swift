// What an mxl_weights holds.
import CHandles
import MaxLinear
import Synchronization

/// A checkpoint behind a handle, and the C form of its entries, which are made when first asked for.
final class WeightsHandle: HandleObject {
  typealias Handle = mxl_weights
  static let kind = MXLH_WEIGHTS

  let weights: Weights
  /// By the bytes of the name.
  private let entries = Mutex<[[UInt8]: EntryMemory]>([:])
  /// The texts handed out.
  private let texts = Mutex<[String: TextMemory]>([:])

  private init(_ weights: Weights) { self.weights = weights }

  /// A new handle. Throws `.outOfMemory`.
  static func create(_ weights: Weights) throws(MaxLinearError) -> UnsafeMutablePointer<mxl_weights> {
    try WeightsHandle(weights).handedOut()
  }

  static func of(_ handle: UnsafePointer<mxl_weights>?) throws(MaxLinearError) -> WeightsHandle {
    try of(handle, "weights")
  }

  /// What the checkpoint's folder says of GPTQ or AWQ; its texts are valid as long as the handle. struct_size is left at 0.
  func quantization() throws(MaxLinearError) -> mxl_quantization {
    guard let config = try typed({ try weights.quantizationConfig() }) else {
      throw MaxLinearError(
        .missingKey,
        "quantization_config: is missing, expected quantize_config.json, quant_config.json or config.json beside the checkpoint "
          + "to say how it is quantized by GPTQ or AWQ")
    }
    func number(_ value: Int, _ name: String) throws(MaxLinearError) -> Int32 {
      guard let number = Int32(exactly: value) else {
        throw MaxLinearError(.unsupported, "quantization_config: \(name) is \(value), expected at most \(Int32.max)")
      }
      return number
    }
    var value = mxl_quantization()
    value.bits = try number(config.bits, "bits")
    value.group_size = try number(config.groupSize, "group_size")
    value.desc_act = config.descAct ? 1 : 0
    value.sym = config.sym ? 1 : 0
    value.quant_method = text(config.quantMethod)
    value.checkpoint_format = config.checkpointFormat.flatMap(text)
    return value
  }

  private func text(_ text: String) -> UnsafePointer<CChar>? {
    texts.withLock { known in
      if let memory = known[text] { return memory.pointer }
      let memory = TextMemory(text)
      known[text] = memory
      return memory.pointer
    }
  }

  /// Entry number `index`, valid as long as the handle.
  func entry(at index: Int) throws(MaxLinearError) -> mxl_entry {
    guard let data = weights.entry(at: index) else {
      throw MaxLinearError(
        .invalidArgument, "index: is \(UInt(bitPattern: index)), expected less than the \(weights.count) tensors")
    }
    return entry(data)
  }

  /// The entry of that name, valid as long as the handle.
  func entry(named name: String) throws(MaxLinearError) -> mxl_entry {
    guard let data = weights[name] else { throw weights.missing(name) }
    return entry(data)
  }

  private func entry(_ data: WeightData) -> mxl_entry {
    entries.withLock { known in
      let name = Array(data.name.utf8)
      if let memory = known[name] { return memory.borrowed }
      let memory = EntryMemory(data)
      known[name] = memory
      return memory.borrowed
    }
  }
}

/// A text handed out.
///
/// Unchecked: written in init, freed in deinit, only read in between.
private final class TextMemory: @unchecked Sendable {
  private let memory: UnsafeMutableBufferPointer<CChar>

  init(_ text: String) {
    let text = text.utf8CString
    memory = .allocate(capacity: text.count)
    _ = memory.initialize(from: text)
  }

  deinit { memory.deallocate() }

  var pointer: UnsafePointer<CChar>? { UnsafePointer(memory.baseAddress) }
}
