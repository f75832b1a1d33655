import ArgumentParser
import MaxLinear

/// `maxlinear inspect`: what is in a checkpoint.
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "List a checkpoint's tensors: encoding, shape, bytes and a checksum.",
    discussion: """
      The checksum is XXH64 with seed 0, in 16 hexadecimal digits, of a tensor's bytes as they are stored (xxhsum -H1, or Python's \
      xxhash.xxh64). That of the whole checkpoint is the same of one line for each tensor, "NAME ENCODING SHAPE CHECKSUM" with a newline, \
      SHAPE as 4096x14336 and "scalar" for a rank of 0, sorted by the names' bytes: it does not depend on how tensors are ordered or divided \
      among files.
      Shapes are those of the values; a dtype stands where there is no encoding.
      """)

  @Argument(
    help: "A file, the first of a split GGUF, a safetensors index, or a folder with a checkpoint.", completion: .file())
  var input: String

  @Option(help: ArgumentHelp("Only tensors whose names match. Default: all.", valueName: "glob"))
  var layers: String?

  @Flag(help: "Leave the checksums out, for which all tensors are read.")
  var noChecksum = false

  @Flag(help: "Print the files' metadata too, of arrays their sizes, in JSON null.")
  var metadata = false

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let checksum = !noChecksum
    let weights = try Weights.open([input])
    let tensors = try weights.items().matching(layers)
    let progress = Progress(quiet: json, total: tensors.reduce(0) { $0 + $1.tensor.byteCount })
    defer { progress.clear() }
    let widest = tensors.map { InspectedTensor($0, checksum: checksum ? XXH64().text : nil).cells }
    let table = Table(cells: [Inspection.header(checksum)] + widest, leftColumns: [0, 1])
    progress.say(table.line(Inspection.header(checksum)))
    var found: [InspectedTensor] = []
    for source in tensors {
      let tensor = InspectedTensor(source, checksum: try checksum ? self.checksum(of: source, progress) : nil)
      progress.say(table.line(tensor.cells))
      found.append(tensor)
    }
    let files = weights.fileSizes.map { InspectedFile(path: $0.path, bytes: $0.byteCount) }
    let inspection = Inspection(files: files, tensors: found, metadata: metadata ? self.metadata(of: weights) : nil)
    if json { writeOutput(try inspection.jsonText() + "\n") } else { progress.say(inspection.summary) }
  }

  /// Arrays, a vocabulary's among them, are told by their size alone.
  private func metadata(of weights: Weights) -> [InspectedMetadata] {
    let arrays = weights.ggufMetadata.compactMap { entry in
      entry.value.arrayShape.map { InspectedMetadata(key: entry.key, value: nil, text: "[\($0.count) x \($0.kind)]") }
    }
    let others = weights.metadata.filter { key, _ in !arrays.contains { $0.key == key } }
    return (arrays + others.map { InspectedMetadata(key: $0.key, value: $0.value, text: $0.value) })
      .sorted { $0.key < $1.key }
  }

  private func checksum(of source: WeightData, _ progress: Progress) throws -> String {
    var hash = XXH64()
    try source.forEachPiece { piece, _ in
      hash.update(UnsafeRawBufferPointer(start: piece.pointer, count: piece.byteCount))
      progress.advance(piece.byteCount, name: source.name)
    }
    return hash.text
  }
}

private struct InspectedFile: Encodable {
  let path: String
  let bytes: Int
}

private struct InspectedMetadata {
  let key: String
  /// nil for an array.
  let value: String?
  let text: String
}

private struct InspectedTensor: Encodable {
  let name: String
  let encoding: String
  let shape: [Int]
  let bytes: Int
  let xxh64: String?

  init(_ source: WeightData, checksum: String?) {
    name = source.name
    encoding = source.storedAs
    shape = source.valuesShape
    bytes = source.tensor.byteCount
    xxh64 = checksum
  }

  private func size(_ separator: String) -> String {
    shape.isEmpty ? "scalar" : shape.map(String.init).joined(separator: separator)
  }

  var cells: [String] { [name.printable, encoding, size(" x "), "\(bytes)"] + (xxh64.map { [$0] } ?? []) }

  /// Its part of the whole checkpoint's checksum.
  func line(_ checksum: String) -> String { "\(name) \(encoding) \(size("x")) \(checksum)\n" }

  var count: Int { shape.reduce(1, *) }
}

/// Tensors that are stored alike.
private struct InspectedEncoding: Encodable {
  let encoding: String
  let tensors: Int
  let values: Int
  let bytes: Int
}

private struct Inspection: Encodable {
  let files: [InspectedFile]
  let tensors: [InspectedTensor]
  let metadata: [String: String?]?
  let encodings: [InspectedEncoding]
  let bytes: Int
  /// Of all tensors; nil without checksums.
  let xxh64: String?
  private let metadataLines: [String]

  private enum CodingKeys: String, CodingKey { case files, tensors, metadata, encodings, bytes, xxh64 }

  static func header(_ checksum: Bool) -> [String] {
    ["tensor", "encoding", "shape", "bytes"] + (checksum ? ["xxh64"] : [])
  }

  init(files: [InspectedFile], tensors: [InspectedTensor], metadata: [InspectedMetadata]?) {
    self.files = files
    self.tensors = tensors
    self.metadata = metadata.map { Dictionary($0.map { ($0.key, $0.value) }) { first, _ in first } }
    metadataLines = (metadata ?? []).map { "\($0.key) = \($0.text)".printable }
    bytes = tensors.reduce(0) { $0 + $1.bytes }
    var names: [String] = []
    for tensor in tensors where !names.contains(tensor.encoding) { names.append(tensor.encoding) }
    encodings = names.map { name in
      let alike = tensors.filter { $0.encoding == name }
      return InspectedEncoding(
        encoding: name, tensors: alike.count, values: alike.reduce(0) { $0 + $1.count },
        bytes: alike.reduce(0) { $0 + $1.bytes })
    }
    let sorted = tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    var hash = XXH64()
    for tensor in sorted {
      guard let checksum = tensor.xxh64 else { break }
      Array(tensor.line(checksum).utf8).withUnsafeBytes { hash.update($0) }
    }
    xxh64 = tensors.allSatisfy { $0.xxh64 != nil } ? hash.text : nil
  }

  /// What follows the tensors.
  var summary: String {
    let cells = encodings.map { encoding in
      let bits = 8 * Double(encoding.bytes) / Double(max(encoding.values, 1))
      return [
        encoding.encoding, "\(encoding.tensors) tensors", "\(encoding.values) values", "\(encoding.bytes) bytes",
        formatted("%.3f bits a value", bits),
      ]
    }
    let table = Table(cells: cells)
    var lines = [""] + cells.map(table.line)
    lines.append("")
    lines += metadataLines
    lines += files.map { "\($0.path.printable): \($0.bytes) bytes" }
    lines.append("\(tensors.count) tensors, \(bytes) bytes\(xxh64.map { ", xxh64 \($0)" } ?? "")")
    return lines.joined(separator: "\n")
  }
}
