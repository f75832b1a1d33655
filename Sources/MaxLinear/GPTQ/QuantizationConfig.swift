/// How a GPTQ or AWQ checkpoint is quantized: the fields of its quantize_config.json or quant_config.json, or of config.json's
/// "quantization_config".
public struct QuantizationConfig: Equatable, Sendable {
  /// The format: "gptq" or "awq".
  public var quantMethod: String
  /// Bits of a code: 2, 3, 4 or 8; of AWQ 4.
  public var bits: Int
  /// Columns of x that share a scale; -1 for all of them.
  public var groupSize: Int
  /// The groups are not of consecutive columns (act-order): the checkpoint has a g_idx.
  public var descAct: Bool
  /// All zeros are 2^(bits − 1). AWQ's are read as they are even so, where there are any.
  public var sym: Bool
  /// "gptq" (v1: qzeros hold zero - 1), "gptq_v2" (they hold zero), or nil for "gptq". Of AWQ its version, "gemm", or nil for it.
  public var checkpointFormat: String?

  /// A config of these fields. What is not served is refused by the layer that gets it, with `.unsupported`.
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
    guard quantMethod == "gptq" || isAWQ else { throw Self.unserved(quantMethod) }
    guard (isAWQ ? [4] : [2, 3, 4, 8]).contains(bits) else {
      throw MaxLinearError(
        .unsupported, "quantization_config: bits is \(bits), expected \(isAWQ ? "4 of AWQ" : "2, 3, 4 or 8")")
    }
    guard groupSize == -1 || groupSize >= 1 else {
      throw MaxLinearError(
        .invalidArgument, "quantization_config: group_size is \(groupSize), expected 1 or more, or -1 for one group")
    }
    if isAWQ {
      guard checkpointFormat == nil || checkpointFormat == "gemm" else {
        throw MaxLinearError(
          .unsupported,
          "quantization_config: AWQ's version is \"\(checkpointFormat ?? "")\", whose tensors are packed in another order; expected \"gemm\""
        )
      }
      guard !descAct else {
        throw MaxLinearError(.unsupported, "quantization_config: desc_act is true, expected false: AWQ has none")
      }
      return
    }
    guard [nil, "gptq", "gptq_v2"].contains(checkpointFormat) else {
      throw MaxLinearError(
        .unsupported,
        "quantization_config: checkpoint_format is \"\(checkpointFormat ?? "")\", expected \"gptq\" or \"gptq_v2\"")
    }
  }

  /// What a checkpoint's folder says: quantize_config.json, else quant_config.json, else config.json's "quantization_config" where that is of
  /// GPTQ or AWQ; nil when none does. `folder` ends with "/" or is empty.
  ///
  /// Throws `.invalidFile` for a file that is no such JSON, `.io` for one that cannot be read; where it is to be of these two, `.unsupported` for
  /// another method.
  static func read(folder: String, refusingOthers: Bool = false) throws -> QuantizationConfig? {
    if let own = try json(folder + "quantize_config.json") {
      return try QuantizationConfig(own.value, path: own.path, method: "gptq")
    }
    if let own = try json(folder + "quant_config.json") {
      return try QuantizationConfig(own.value, path: own.path, method: "awq")
    }
    // Others write it about the whole model, and Python's json into it what is no number in JSON.
    guard let model = try json(folder + "config.json", dialect: .python), let value = model.value["quantization_config"]
    else {
      return nil
    }
    // Other methods' fields are their own: float8 checkpoints have no bits.
    if case .null = value { return nil }
    if let method = try text(value, "quant_method", model.path)?.lowercased(), !["gptq", "awq"].contains(method) {
      if refusingOthers { throw unserved(method) }
      return nil
    }
    return try QuantizationConfig(value, path: model.path, method: "gptq")
  }

  /// Whether a checkpoint's folder says the same; nil where it says nothing. A file that says something unreadable says something else.
  package func isSaid(in folder: String) -> Bool? {
    do { return try Self.read(folder: folder).map { $0.fileText == fileText } } catch { return false }
  }

  private static func json(
    _ path: String, dialect: JSONReader.Dialect = .strict
  ) throws -> (path: String, value: JSONValue)? {
    guard FileMapping.exists(path: path) else { return nil }
    let mapping = try FileMapping(path: path)
    return try withExtendedLifetime(mapping) {
      (path, try JSONValue(reading: mapping.bytes, source: path, dialect: dialect))
    }
  }

  /// `method` is what an object without "quant_method" means. AutoAWQ's own file names its fields w_bit and q_group_size.
  private init(_ value: JSONValue, path: String, method: String) throws(MaxLinearError) {
    let method = try Self.text(value, "quant_method", path)?.lowercased() ?? method
    let isAWQ = method == "awq"
    func key(_ name: String, _ other: String) -> String {
      isAWQ && value[name] == nil && value[other] != nil ? other : name
    }
    var sym = try Self.flag(value, "sym", path)
    var format = try Self.text(value, "checkpoint_format", path)
    if isAWQ {
      let hasZeros = try Self.flag(value, "zero_point", path)
      sym = value["zero_point"] != nil && !hasZeros
      format = try Self.text(value, "version", path)?.lowercased() ?? format
    }
    self.init(
      quantMethod: method, bits: try Self.integer(value, key("bits", "w_bit"), path),
      groupSize: try Self.integer(value, key("group_size", "q_group_size"), path),
      descAct: try Self.flag(value, "desc_act", path), sym: sym, checkpointFormat: format)
  }

  /// The text of a quantize_config.json that says this, of AWQ of a quant_config.json.
  package var fileText: String {
    var members: [(String, JSONText)] = [
      ("bits", .integer(bits)), ("group_size", .integer(groupSize)), ("desc_act", .bool(descAct)), ("sym", .bool(sym)),
      ("quant_method", .string(quantMethod)), ("checkpoint_format", .string(checkpointFormat ?? "gptq")),
    ]
    if isAWQ {
      members = [
        ("w_bit", .integer(bits)), ("q_group_size", .integer(groupSize)), ("zero_point", .bool(!sym)),
        ("version", .string(checkpointFormat ?? "gemm")), ("quant_method", .string(quantMethod)),
      ]
    }
    return JSONText.object(members).text + "\n"
  }

  /// Writes `fileText` to a file, which appears whole or not at all. Throws `.io`, `.invalidArgument`.
  package func write(to path: String) throws {
    let file = try ReplacingFile(path: path)
    try Array(fileText.utf8).withUnsafeBytes { try file.write($0) }
    try file.finish()
  }

  /// Whether tensors are packed as AWQ's.
  var isAWQ: Bool { quantMethod == "awq" }

  private static func unserved(_ method: String) -> MaxLinearError {
    MaxLinearError(.unsupported, "quantization_config: quant_method is \"\(method)\", expected \"gptq\" or \"awq\"")
  }

  private static func wrong(_ key: String, _ path: String, _ expected: String) -> MaxLinearError {
    MaxLinearError(.invalidFile, "\(path): \"\(key)\" is missing or something else, expected \(expected)")
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
