/// What a file of a checkpoint holds, whatever its format: the one thing a format's reader returns.
struct Checkpoint {
  /// In the order of the data within the file.
  var entries: [CheckpointEntry]
  var metadata: [String: String] = [:]
  /// GGUF's metadata with its types, in the file's order; empty for other formats.
  var ggufMetadata: [GGUFMetadata] = []
}

/// One tensor: where its bytes lie in the file. A reader has checked that they lie inside it and that their number is
/// what shape and dtype ask for.
struct CheckpointEntry {
  let name: String
  let dtype: DType
  let shape: [Int]
  /// Bytes of the mapping.
  let range: Range<Int>
  /// The name of the encoding of blocks, which are uint8 (rows, row bytes); nil for dense tensors.
  var encoding: String?

  /// A tensor that refers to the mapping and keeps it alive.
  func weightData(in file: FileMapping) throws -> WeightData {
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[range])
    let tensor = try Tensor(pointer: bytes.baseAddress, dtype: dtype, shape: shape, strides: nil, owner: file)
    return WeightData(name: name, tensor: tensor, encoding: encoding, storage: .map)
  }
}

/// A checkpoint format that the library reads. A new one is a file of this folder and an element of `known`.
struct CheckpointFormat: Sendable {
  /// The format's name and how it is told, for the message about files of unknown kind.
  let description: String
  /// Whether a file is of this format, told by its first bytes.
  let recognizes: @Sendable (UnsafeRawBufferPointer) -> Bool
  /// The extension that makes a file one of this format when no format recognizes its content, so that the reader says
  /// which rule the file breaks.
  let fileExtension: String
  /// Reads the file's header and checks every rule of the format. Tensor data is not touched.
  let read: @Sendable (FileMapping) throws -> Checkpoint

  static let known = [Safetensors.format, GGUF.format]

  /// Reads what the file holds with the reader of its format.
  static func read(_ mapping: FileMapping) throws -> Checkpoint {
    let format =
      known.first { $0.recognizes(mapping.bytes) } ?? known.first { mapping.path.hasSuffix($0.fileExtension) }
    guard let format else {
      let kinds = known.map(\.description).joined(separator: "; ")
      throw MaxLinearError(
        .invalidFile,
        "\(mapping.path): is a file of unknown kind, expected one of: \(kinds); \(SafetensorsIndex.description)")
    }
    // Readers hold pointers into the mapping while they read.
    return try withExtendedLifetime(mapping) { try format.read(mapping) }
  }
}
