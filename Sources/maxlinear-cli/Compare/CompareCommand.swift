import ArgumentParser
import MaxLinear

/// `maxlinear compare`: what quantizing has cost, matrix by matrix.
struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Print the errors of a checkpoint's matrices against another's.",
    discussion: """
      Matrices are told by their names without ".weight" or ".qweight", and decoded whatever they are stored as: floats, float8 with their \
      scales, blocks, GPTQ, AWQ. With w of REFERENCE and v of FILE: relative RMS is ||v - w|| / ||w||, largest the largest |v - w|, cosine \
      (v . w) / (||v|| ||w||); sums are float64. "all" is of all values together. An error that is not finite is printed as "-", in JSON as null.
      Those that only one of the two has are counted, and listed in JSON.
      With --limit the exit code is 2 when a relative RMS is above it or not finite.
      """)

  /// The exit code when an error is above the limit.
  private static let aboveLimit = ExitCode(2)
  /// Values of each that are decoded at a time.
  private static let valuesAtOnce = 4 << 20

  @Argument(
    help: "What to compare with: a file, the first of a split GGUF, a safetensors index, or a folder.",
    completion: .file())
  var reference: String

  @Argument(help: "The checkpoint whose errors are wanted.", completion: .file())
  var file: String

  @Option(
    help: ArgumentHelp(
      "Only matrices whose names match, with or without their \".weight\" or \".qweight\". Default: all.",
      valueName: "glob"))
  var layers: String?

  @Option(
    help: ArgumentHelp("Draw the relative RMS, a row a kind of matrix, a column a layer.", valueName: "out.png"),
    completion: .file(extensions: ["png"]))
  var plot: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The largest relative RMS that a matrix may have.", valueName: "error"))
  var limit: Double?

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    guard limit.map({ $0 >= 0 }) ?? true else { throw ValidationError("limit must not be negative") }
  }

  /// A matrix that both have.
  private struct Pair {
    let reference: CheckpointMatrix
    let file: CheckpointMatrix
  }

  func run() throws {
    ignoreFailedWrites()
    try HeldSignals.during(compare)
  }

  private func compare(_ signals: HeldSignals) throws {
    let references = try matrices(reference)
    let files = try matrices(file)
    let pairs = try pairs(references, files)
    // A place that takes no file is found before the work.
    let picture = try plot.map { try ReplacingFile(path: $0) }
    defer { picture?.cancel() }
    let progress = Progress(quiet: json, total: pairs.reduce(0) { $0 + $1.reference.byteCount + $1.file.byteCount })
    defer { progress.clear() }
    let header = ["matrix", "shape", "reference", "file", "relative RMS", "largest", "cosine"]
    let widest = pairs.map { ComparedMatrix($0.reference, $0.file, ErrorSums.widest).cells }
    let table = Table(cells: [header] + widest, leftColumns: [0, 2, 3])
    progress.say(table.line(header))
    var total = ErrorSums()
    var compared: [ComparedMatrix] = []
    for pair in pairs {
      let sums = try sums(of: pair, progress, signals)
      total.add(sums)
      let matrix = ComparedMatrix(pair.reference, pair.file, sums)
      progress.say(table.line(matrix.cells))
      compared.append(matrix)
    }
    let comparison = Comparison(
      reference: reference, file: file, matrices: compared, all: Errors(total),
      onlyInReference: references.map(\.name).filter { name in !pairs.contains { $0.reference.name == name } },
      onlyInFile: files.map(\.name).filter { name in !pairs.contains { $0.file.name == name } })
    if let picture { try HeatMap(compared.map { ($0.name, $0.errors.relativeRMS) })?.picture.write(to: picture) }
    if json { writeOutput(try comparison.jsonText() + "\n") } else { progress.say(comparison.summary(table)) }
    try checkLimit(compared, progress)
  }

  private func matrices(_ path: String) throws -> [CheckpointMatrix] {
    let weights = try Weights.open([path])
    if let plot { try weights.checkIsNoFile(plot, argument: "--plot") }
    return try weights.matrices { name in layers.map { name.matches($0) } ?? true }
  }

  private func pairs(_ references: [CheckpointMatrix], _ files: [CheckpointMatrix]) throws -> [Pair] {
    // By bytes: Swift's strings equal where Unicode says that they look alike.
    let byTensor = Dictionary(files.map { (Array($0.tensorName.utf8), $0) }) { first, _ in first }
    let byName = Dictionary(files.map { (Array($0.name.utf8), $0) }) { first, _ in first }
    let pairs = references.compactMap { reference in
      (byTensor[Array(reference.tensorName.utf8)] ?? byName[Array(reference.name.utf8)]).map {
        Pair(reference: reference, file: $0)
      }
    }
    guard !pairs.isEmpty else {
      let which = layers.map { " whose name matches \"\($0)\"" } ?? ""
      throw MaxLinearError(.missingKey, "\(file): has no matrix in common with \(reference)\(which), expected one")
    }
    for pair in pairs where pair.reference.shape != pair.file.shape {
      throw MaxLinearError(
        .invalidShape,
        "\"\(pair.file.name.printable)\": shape is \(pair.file.shape) in \(file), expected \(pair.reference.shape) of \(reference)"
      )
    }
    return pairs
  }

  private func sums(of pair: Pair, _ progress: Progress, _ signals: HeldSignals) throws -> ErrorSums {
    let (rows, columns) = (pair.reference.shape[0], pair.reference.shape[1])
    let reference = try naming(pair.reference, in: self.reference) { try pair.reference.reader() }
    let file = try naming(pair.file, in: self.file) { try pair.file.reader() }
    var sums = ErrorSums()
    let rowsAtOnce = max(1, Self.valuesAtOnce / max(columns, 1))
    let bytes = pair.reference.byteCount + pair.file.byteCount
    var done = 0
    for first in stride(from: 0, to: rows, by: rowsAtOnce) {
      try signals.check()
      let range = first..<min(first + rowsAtOnce, rows)
      sums.add(try file(range), against: try reference(range))
      let now = bytes / rows * range.upperBound
      progress.advance(now - done, name: pair.reference.name)
      done = now
    }
    progress.advance(bytes - done, name: pair.reference.name)
    pair.reference.releasePages()
    pair.file.releasePages()
    return sums
  }

  private func naming<Result>(
    _ matrix: CheckpointMatrix, in path: String, _ body: () throws -> Result
  ) throws -> Result {
    do {
      return try body()
    } catch let error as MaxLinearError {
      throw MaxLinearError(
        error.status, "\(path): \"\(matrix.name.printable)\": \(error.message); --layers can leave it out")
    }
  }

  private func checkLimit(_ compared: [ComparedMatrix], _ progress: Progress) throws {
    guard let limit else { return }
    let above = compared.filter { !($0.errors.relativeRMS.map { $0 <= limit } ?? false) }
    guard let worst = above.max(by: { ($0.errors.relativeRMS ?? .infinity) < ($1.errors.relativeRMS ?? .infinity) })
    else { return }
    // The exit code for the limit says that the comparison could be read.
    try checkOutput()
    let count = above.count == 1 ? "1 matrix is" : "\(above.count) matrices are"
    writeError("\(count) above the limit of \(limit), the worst is \(worst.name.printable)")
    throw Self.aboveLimit
  }
}

/// Errors of a matrix, or of all; nil where they are not finite.
struct Errors: Encodable {
  let relativeRMS: Double?
  let largest: Double?
  let cosine: Double?

  init(_ sums: ErrorSums) {
    relativeRMS = sums.relativeRMS
    largest = sums.largestDifference
    cosine = sums.cosine
  }

  private enum CodingKeys: String, CodingKey {
    case largest, cosine
    case relativeRMS = "relative_rms"
  }

  func encode(to encoder: any Encoder) throws {
    // nil as null: the key is always there.
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(relativeRMS, forKey: .relativeRMS)
    try container.encode(largest, forKey: .largest)
    try container.encode(cosine, forKey: .cosine)
  }

  var cells: [String] {
    [("%.3e", relativeRMS), ("%.3e", largest), ("%.7f", cosine)].map { format, value in
      value.map { formatted(format, $0) } ?? "-"
    }
  }
}

struct ComparedMatrix: Encodable {
  let name: String
  let shape: [Int]
  /// What the two are stored as.
  let reference: String
  let file: String
  let errors: Errors

  init(_ reference: CheckpointMatrix, _ file: CheckpointMatrix, _ sums: ErrorSums) {
    name = reference.name
    shape = reference.shape
    self.reference = reference.storedAs
    self.file = file.storedAs
    errors = Errors(sums)
  }

  var cells: [String] { [name.printable, "\(shape[0]) x \(shape[1])", reference, file] + errors.cells }
}

private struct Comparison: Encodable {
  let reference: String
  let file: String
  let matrices: [ComparedMatrix]
  let all: Errors
  let onlyInReference: [String]
  let onlyInFile: [String]

  private enum CodingKeys: String, CodingKey {
    case reference, file, matrices, all
    case onlyInReference = "only_in_reference"
    case onlyInFile = "only_in_file"
  }

  func summary(_ table: Table) -> String {
    var lines = [table.line(["all", "", "", ""] + all.cells)]
    for (names, path) in [(onlyInReference, reference), (onlyInFile, file)] where !names.isEmpty {
      lines.append("only in \(path): \(names.count), the first is \(names[0].printable)")
    }
    return lines.joined(separator: "\n")
  }
}
