/// What a layer holds in memory, in bytes.
public struct LayerMemory: Equatable, Sendable {
  /// Allocated for packed weights and biases.
  public var packed: Int
  /// Copied or borrowed source weights that the layer still holds.
  public var source: Int
  /// File-mapped source weights that the layer refers to; resident only where touched.
  public var mapped: Int

  /// Figures in bytes.
  public init(packed: Int = 0, source: Int = 0, mapped: Int = 0) {
    self.packed = packed
    self.source = source
    self.mapped = mapped
  }

  static func + (left: LayerMemory, right: LayerMemory) -> LayerMemory {
    LayerMemory(
      packed: left.packed + right.packed, source: left.source + right.source, mapped: left.mapped + right.mapped)
  }
}
