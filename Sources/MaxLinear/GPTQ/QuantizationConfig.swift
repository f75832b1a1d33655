/// How a GPTQ checkpoint is quantized: the fields of its quantize_config.json, or of config.json's "quantization_config".
public struct QuantizationConfig: Equatable, Sendable {
  /// "gptq".
  public var quantMethod: String
  /// Bits of a code.
  public var bits: Int
  /// Columns of x that share a scale; -1 for all of them.
  public var groupSize: Int
  /// The groups are not of consecutive columns (act-order): the checkpoint has a g_idx.
  public var descAct: Bool
  /// All zeros are 2^(bits-1).
  public var sym: Bool
  /// "gptq" (v1: qzeros hold zero - 1), "gptq_v2" (they hold zero), or nil for "gptq".
  public var checkpointFormat: String?

  public init(
    quantMethod: String = "gptq", bits: Int, groupSize: Int, descAct: Bool = false, sym: Bool = false,
    checkpointFormat: String? = nil
  ) {
    self.quantMethod = quantMethod
    self.bits = bits
    self.groupSize = groupSize
    self.descAct = descAct
    self.sym = sym
    self.checkpointFormat = checkpointFormat
  }

  /// Throws `.unsupported` or `.invalidArgument` unless the kernels take such weights.
  func check() throws(MaxLinearError) {
    guard quantMethod == "gptq" else {
      throw MaxLinearError(.unsupported, "quantization_config: quant_method is \"\(quantMethod)\", expected \"gptq\"")
    }
    guard bits == 4 else {
      throw MaxLinearError(.unsupported, "quantization_config: bits is \(bits), expected 4")
    }
    guard groupSize == -1 || groupSize >= 1 else {
      throw MaxLinearError(
        .invalidArgument, "quantization_config: group_size is \(groupSize), expected 1 or more, or -1 for one group")
    }
    guard [nil, "gptq", "gptq_v2"].contains(checkpointFormat) else {
      throw MaxLinearError(
        .unsupported,
        "quantization_config: checkpoint_format is \"\(checkpointFormat ?? "")\", expected \"gptq\" or \"gptq_v2\"")
    }
  }

  /// What a checkpoint's folder says: quantize_config.json, else config.json's "quantization_config"; nil when neither does.
  ///
  /// Throws `.invalidFile` for a file that is no such JSON, `.io` for one that cannot be read.
  static func read(folder: String) throws -> QuantizationConfig? {
    if let own = try json(folder + "quantize_config.json") { return try QuantizationConfig(own.value, path: own.path) }
    guard let model = try json(folder + "config.json"), let value = model.value["quantization_config"] else {
      return nil
    }
    return try QuantizationConfig(value, path: model.path)
  }

  private static func json(_ path: String) throws -> (path: String, value: JSONValue)? {
    guard FileMapping.exists(path: path) else { return nil }
    let mapping = try FileMapping(path: path)
    return try withExtendedLifetime(mapping) { (path, try JSONValue(reading: mapping.bytes, source: path)) }
  }

  private init(_ value: JSONValue, path: String) throws(MaxLinearError) {
    self.init(
      quantMethod: try Self.text(value, "quant_method", path) ?? "gptq",
      bits: try Self.integer(value, "bits", path), groupSize: try Self.integer(value, "group_size", path),
      descAct: try Self.flag(value, "desc_act", path), sym: try Self.flag(value, "sym", path),
      checkpointFormat: try Self.text(value, "checkpoint_format", path))
  }

  private static func wrong(_ key: String, _ path: String, _ expected: String) -> MaxLinearError {
    MaxLinearError(.invalidFile, "\(path): \"\(key)\" is missing or is not \(expected)")
  }

  private static func integer(_ value: JSONValue, _ key: String, _ path: String) throws(MaxLinearError) -> Int {
    guard case .integer(let number)? = value[key] else { throw wrong(key, path, "an integer") }
    return number
  }

  private static func flag(_ value: JSONValue, _ key: String, _ path: String) throws(MaxLinearError) -> Bool {
    switch value[key] {
    case .bool(let flag): flag
    case nil, .null: false
    default: throw wrong(key, path, "true or false")
    }
  }

  private static func text(_ value: JSONValue, _ key: String, _ path: String) throws(MaxLinearError) -> String? {
    switch value[key] {
    case .string(let text): text
    case nil, .null: nil
    default: throw wrong(key, path, "a text")
    }
  }
}
