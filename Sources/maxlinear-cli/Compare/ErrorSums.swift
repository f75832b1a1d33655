import MaxLinear

/// Sums over pairs of values, in float64, in their order.
struct ErrorSums {
  private var differenceSquares = 0.0
  private var referenceSquares = 0.0
  private var valueSquares = 0.0
  private var products = 0.0
  private var largest = 0.0

  /// What takes the most letters.
  static var widest: ErrorSums {
    var sums = ErrorSums()
    (sums.differenceSquares, sums.referenceSquares, sums.valueSquares, sums.products) = (1, 1, 1, -1)
    return sums
  }

  /// Two float32 tensors of one number of elements, in C order.
  mutating func add(_ values: Tensor, against references: Tensor) {
    defer { withExtendedLifetime((values.owner, references.owner)) {} }
    guard let values = values.floatPointer, let references = references.floatPointer else { return }
    // In local variables the sums stay in registers.
    var sums = self
    for index in 0..<min(values.count, references.count) {
      let value = Double(values[index])
      let reference = Double(references[index])
      let difference = abs(value - reference)
      sums.differenceSquares += difference * difference
      sums.referenceSquares += reference * reference
      sums.valueSquares += value * value
      sums.products += value * reference
      if difference > sums.largest { sums.largest = difference }
    }
    self = sums
  }

  mutating func add(_ other: ErrorSums) {
    differenceSquares += other.differenceSquares
    referenceSquares += other.referenceSquares
    valueSquares += other.valueSquares
    products += other.products
    largest = max(largest, other.largest)
  }

  /// ||v - w|| / ||w||, 0 where both are zeros; nil where that is not finite.
  var relativeRMS: Double? {
    if differenceSquares == 0 { return 0 }
    return finite((differenceSquares / referenceSquares).squareRoot())
  }

  /// The largest |v - w|; nil where a value is not finite.
  var largestDifference: Double? { finite(differenceSquares).map { _ in largest } }

  /// (v . w) / (||v|| ||w||); nil where that is not finite, as of zeros.
  var cosine: Double? {
    finite(products / (valueSquares.squareRoot() * referenceSquares.squareRoot())).map { min(max($0, -1), 1) }
  }

  private func finite(_ value: Double) -> Double? { value.isFinite ? value : nil }
}

extension Tensor {
  /// The elements of a contiguous float32 tensor; nil where there are none.
  fileprivate var floatPointer: UnsafeBufferPointer<Float>? {
    guard dtype == .float32, isContiguous, let pointer else { return nil }
    return UnsafeBufferPointer(start: UnsafePointer(pointer.assumingMemoryBound(to: Float.self)), count: count)
  }
}
