import MaxLinear

extension [WeightData] {
  /// Those whose names match what --layers says, all where it says nothing. Throws `.missingKey` where no name matches.
  func matching(_ layers: String?) throws(MaxLinearError) -> [WeightData] {
    guard let layers else { return self }
    let found = filter { $0.name.matches(layers) }
    guard !found.isEmpty else {
      throw MaxLinearError(.missingKey, "--layers: is \"\(layers)\", expected a pattern that a tensor's name matches")
    }
    return found
  }
}

extension Weights {
  /// `.unsupported`, for a checkpoint at that path all of whose tensors would be copied.
  func nothingToQuantize(_ path: String, _ layers: String?) throws -> MaxLinearError {
    let which = try items().matching(layers).filter { $0.valuesShape.count >= 2 && owner(ofPart: $0.name) == nil }
    var kinds: [String] = []
    for tensor in which where !kinds.contains(tensor.storedAs) { kinds.append(tensor.storedAs) }
    let chosen = layers.map { " whose names match \"\($0)\"" } ?? ""
    let found = kinds.isEmpty ? "there are none" : "they are \(kinds.joined(separator: ", "))"
    return MaxLinearError(
      .unsupported,
      "\(path): none of its matrices\(chosen) can be quantized, expected one that is chosen and has values to quantize: \(found)"
    )
  }
}

extension WeightData {
  /// Values that are handed over at a time: this bounds memory, and how long a signal waits.
  private static let valuesAtOnce = 4 << 20

  /// Hands over a checkpoint's tensor as (rows, columns), some rows at a time, and gives their pages back afterwards.
  ///
  /// - Parameter columns: stored elements a row, which divide their number.
  func forEachPiece(columns: Int = 1, _ body: (_ piece: Tensor, _ rows: Range<Int>) throws -> Void) throws {
    guard let start = tensor.pointer, tensor.count > 0, columns > 0 else { return }
    let rows = tensor.count / columns
    let rowsAtOnce = max(1, Self.valuesAtOnce / columns)
    for first in stride(from: 0, to: rows, by: rowsAtOnce) {
      let count = min(rowsAtOnce, rows - first)
      let piece = try Tensor(
        pointer: UnsafeRawPointer(start + first * columns * tensor.dtype.bits / 8), dtype: tensor.dtype,
        shape: [count, columns], owner: tensor.owner)
      try body(piece, first..<first + count)
      WeightData(name: name, tensor: piece).releasePages()
    }
  }

  /// What the values are stored as: an encoding or a dtype.
  var storedAs: String { encoding ?? dtype.name }

  /// "4096 x 14336"; of blocks, that of the values.
  var sizeText: String {
    valuesShape.isEmpty ? "scalar" : valuesShape.map(String.init).joined(separator: " x ")
  }
}
