import Kernels

/// A checkpoint, mapped: the named tensors of one or several files. Immutable, so any number of threads may use it at once.
///
/// Headers are read and checked whole when the checkpoint is opened; tensor data is not read until it is used. A tensor
/// refers to the mapping, which lives as long as any tensor of it does, also after the `Weights` is gone.
///
/// Names are reached whole or part by part, as in MAX:
///
///     let weights = try Weights.open(["model.safetensors"])
///     weights["model.layers.0.mlp.up_proj.weight"]
///     try weights.model.layers[0].mlp.up_proj.weight.data()
///
/// Names are compared byte by byte, without Unicode normalization.
@dynamicMemberLookup
public final class Weights: Sendable {
  /// What the files say about themselves. Where two of them have the same key, the first file's value.
  public let metadata: [String: String]
  /// GGUF's metadata with its types, in the order of the files and of the entries within them; `metadata`'s rule for keys
  /// that come again. Empty for other formats.
  public let ggufMetadata: [GGUFMetadata]

  private let files: [FileMapping]
  /// Of the first file, as it was when that was opened: the process may be in another folder by now.
  private let folder: String
  /// In the order of the files, then of the data within them.
  private let entries: [WeightData]
  /// Where each file's entries begin, and after the last the number of all.
  private let fileStarts: [Int]
  private let positions: [ByteExactString: Int]

  /// Maps a checkpoint: one file, several files, the first of a split GGUF (name-00001-of-00003.gguf), one index
  /// (`*.safetensors.index.json`), whose files lie beside it, or one folder: its index, else all its safetensors files, else its
  /// one GGUF file or split.
  ///
  /// Throws `.io` when a file cannot be opened or mapped; `.invalidFile` when it breaks a rule of its format or is of no
  /// known one, when a name comes twice, and for a folder without a checkpoint or with several; `.unsupported` for what is valid and not served:
  /// big-endian GGUF, its version 1, a tensor type or dtype that is not known, more dimensions than a tensor has; `.invalidArgument` for no paths, or an
  /// index beside other paths.
  public static func open(_ paths: [String]) throws -> Weights {
    let folder = paths.count == 1 ? try CheckpointFolder.paths(in: paths[0]) : nil
    let paths = folder ?? paths
    guard let first = paths.first else {
      throw MaxLinearError(.invalidArgument, "paths: there are none, expected at least one file")
    }
    guard let indexPath = paths.first(where: SafetensorsIndex.recognizes) else {
      let split = paths.count == 1 ? SplitFiles.paths(from: first) : nil
      return try Weights(paths: split ?? paths)
    }
    guard paths.count == 1 else {
      throw MaxLinearError(
        .invalidArgument,
        "paths: \(indexPath) is an index, which names its files itself: expected it alone, got \(paths.count) paths")
    }
    let index = try SafetensorsIndex(path: first)
    let weights = try Weights(paths: index.paths)
    try weights.check(index, path: first)
    return weights
  }

  private init(paths: [String]) throws {
    var files: [FileMapping] = []
    var entries: [WeightData] = []
    var fileStarts = [0]
    var positions: [ByteExactString: Int] = [:]
    var metadata: [String: String] = [:]
    var ggufMetadata: [GGUFMetadata] = []
    var ggufKeys = Set<ByteExactString>()
    for path in paths {
      let file = try FileMapping(path: path)
      let checkpoint = try CheckpointFormat.read(file)
      files.append(file)
      metadata.merge(checkpoint.metadata) { first, _ in first }
      ggufMetadata += checkpoint.ggufMetadata.filter { ggufKeys.insert(ByteExactString($0.key)).inserted }
      positions.reserveCapacity(entries.count + checkpoint.entries.count)
      for entry in checkpoint.entries {
        if let other = positions.updateValue(entries.count, forKey: ByteExactString(entry.name)) {
          let otherFile = files[fileStarts.lastIndex { $0 <= other } ?? 0]
          throw MaxLinearError(
            .invalidFile, "\(path): tensor \"\(entry.name)\" is also in \(otherFile.path), expected each name once")
        }
        entries.append(try entry.weightData(in: file))
      }
      fileStarts.append(entries.count)
    }
    self.files = files
    folder = FileMapping.folder(of: paths.first ?? "")
    self.entries = entries
    self.fileStarts = fileStarts
    self.positions = positions
    self.metadata = metadata
    self.ggufMetadata = ggufMetadata
  }

  /// Checks that each tensor is in the file where the index says it is.
  private func check(_ index: SafetensorsIndex, path: String) throws {
    for (name, file) in index.files {
      let position = positions[ByteExactString(name)]
      guard let position, fileStarts[file]..<fileStarts[file + 1] ~= position else {
        throw MaxLinearError(
          .invalidFile, "\(path): weight_map: tensor \"\(name)\" is elsewhere, expected it in \(index.paths[file])")
      }
    }
  }

  /// How GPTQ or AWQ tensors are quantized, as quantize_config.json, quant_config.json or config.json's "quantization_config" in the folder of the
  /// first file says; nil when none does, or when it is of another method.
  ///
  /// Throws `.invalidFile` for a file that is no such JSON, `.io` for one that cannot be read.
  public func quantizationConfig() throws -> QuantizationConfig? { try QuantizationConfig.read(folder: folder) }

  /// The same for tensors that are of GPTQ or AWQ: `.unsupported` for another method.
  func quantizationConfigOfTensors() throws -> QuantizationConfig? {
    try QuantizationConfig.read(folder: folder, refusingOthers: true)
  }

  /// The files, in their order, and how many bytes each has.
  package var fileSizes: [(path: String, byteCount: Int)] { files.map { ($0.path, $0.bytes.count) } }

  /// Throws `.invalidArgument` where what is no checkpoint is to be written over one of the files. `argument` names the path.
  package func checkIsNoFile(_ path: String, argument: String) throws(MaxLinearError) {
    guard let file = files.first(where: { FileMapping.areOne($0.path, path) }) else { return }
    throw MaxLinearError(
      .invalidArgument, "\(argument): is \(file.path), a file of the checkpoint that is read, expected another")
  }

  /// The number of files.
  package var fileCount: Int { files.count }

  /// The number of tensors.
  public var count: Int { entries.count }

  /// The tensors' names, in the order of the files, then of the data within them.
  public var names: [String] { entries.map(\.name) }

  /// The tensor of that name; nil when there is none.
  public subscript(name: String) -> WeightData? {
    positions[ByteExactString(name)].map { entries[$0] }
  }

  /// Tensor number `index`, in the order of `names`; nil when there is none.
  public func entry(at index: Int) -> WeightData? {
    entries.indices.contains(index) ? entries[index] : nil
  }

  /// All tensors, in the order of `names`.
  public func items() -> [WeightData] { entries }

  /// The bytes of the files.
  public var mappedBytes: Int { files.reduce(0) { $0 + $1.bytes.count } }

  /// How many of the mapped bytes are in memory now.
  public var residentBytes: Int {
    files.reduce(0) { $0 + Int(clamping: mxlk_resident_bytes($1.bytes.baseAddress, $1.bytes.count)) }
  }

  /// The first part of a name: `weights.model` is the path "model". Names that are also members of this class, such as
  /// "count", are reached with `path(_:)`.
  public subscript(dynamicMember part: String) -> WeightsPath { path(part) }

  /// The path that is the whole name or begins it, such as "model.layers.0".
  public func path(_ name: String) -> WeightsPath { WeightsPath(weights: self, name: name) }
}
