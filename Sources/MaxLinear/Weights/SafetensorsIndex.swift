/// The index of a checkpoint of several safetensors files: a JSON object whose "weight_map" names, for each tensor, the
/// file beside the index that has it. Other keys, such as "metadata", are passed over.
struct SafetensorsIndex {
  static let description = "an index of safetensors files (*.safetensors.index.json)"
  private static let maximumLength = 100_000_000

  /// The files, in the order of their names, which is the order of their numbers.
  let paths: [String]
  /// The position in `paths` of the file that must have the tensor.
  let files: [(name: String, file: Int)]

  /// Whether the path is that of an index, told by its extension.
  static func recognizes(path: String) -> Bool {
    path.hasSuffix(".json")
  }

  init(path: String) throws {
    let mapping = try FileMapping(path: path)
    // The reader's bytes are the mapping's.
    defer { withExtendedLifetime(mapping) {} }
    guard mapping.bytes.count <= Self.maximumLength else {
      throw MaxLinearError(
        .invalidFile, "\(path): has \(mapping.bytes.count) bytes, expected an index of at most \(Self.maximumLength)")
    }
    var json = JSONReader(mapping.bytes, source: path)
    var map: [(name: String, fileName: String)]?
    try json.enterObject()
    while let key = try json.nextKey() {
      if key == "weight_map" { map = try Self.readMap(&json, path) } else { try json.skipValue() }
    }
    try json.finish()
    guard let map else {
      throw MaxLinearError(
        .invalidFile, "\(path): has no \"weight_map\", expected that of an index of safetensors files")
    }
    guard !map.isEmpty else {
      throw MaxLinearError(.invalidFile, "\(path): the \"weight_map\" is empty, expected the tensors' files")
    }

    let fileNames = Set(map.map { ByteExactString($0.fileName) }).map(\.text)
      .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    var positions: [ByteExactString: Int] = [:]
    for (position, fileName) in fileNames.enumerated() { positions[ByteExactString(fileName)] = position }
    let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
    paths = fileNames.map { folder + $0 }
    files = map.compactMap { entry in
      positions[ByteExactString(entry.fileName)].map { (name: entry.name, file: $0) }
    }
  }

  private static func readMap(_ json: inout JSONReader, _ path: String) throws -> [(name: String, fileName: String)] {
    var map: [(name: String, fileName: String)] = []
    guard try json.nextKind() == .object else {
      throw json.failure("\"weight_map\" is something else, expected an object")
    }
    try json.enterObject()
    while let name = try json.nextKey() {
      guard try json.nextKind() == .string else {
        throw json.failure("weight_map: the file of \"\(name)\" is something else, expected a string")
      }
      let fileName = try json.readString()
      // The index may lead to nothing but its own folder.
      let isOutside = fileName.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 == 0 }
      guard !isOutside, !["", ".", ".."].contains(fileName) else {
        throw MaxLinearError(
          .invalidFile,
          "\(path): weight_map: the file of \"\(name)\" is \"\(fileName)\", expected the name of a file beside the index"
        )
      }
      map.append((name: name, fileName: fileName))
    }
    return map
  }
}
