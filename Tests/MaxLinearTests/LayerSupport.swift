import Foundation
import Testing

@testable import MaxLinear

/// Checks that the call throws this status with this message.
func expectError(
  _ status: MaxLinearError.Status, _ message: String, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) {
  do {
    try body()
    Issue.record("nothing was thrown, expected: \(message)", sourceLocation: sourceLocation)
  } catch let error as MaxLinearError {
    #expect(error == MaxLinearError(status, message), sourceLocation: sourceLocation)
    #expect(hasThreeParts(error.message), "\(error.message)", sourceLocation: sourceLocation)
  } catch {
    Issue.record("another error was thrown: \(error)", sourceLocation: sourceLocation)
  }
}

/// Whether a message names the argument, what came and what was expected: "x: rank is 0, expected 1 or more".
func hasThreeParts(_ message: String) -> Bool {
  message.wholeMatch(of: /[^:]+: .*[^ ,:] ?[,:(]? expected .+/.dotMatchesNewlines()) != nil
}

/// Values in -1 to 1 that are the same in each run.
func randomFloats(_ count: Int, seed: UInt64) -> [Float] {
  var generator = SeededGenerator(seed: seed)
  return (0..<count).map { _ in Float.random(in: -1...1, using: &generator) }
}

func randomTensor(_ shape: [Int], seed: UInt64) throws -> Tensor {
  try Tensor(randomFloats(shape.reduce(1, *), seed: seed), shape: shape)
}

/// x clamp(W)ᵀ + b in double precision; x is rows of inDim.
func reference(
  _ x: [Float], _ weight: [Float], _ bias: [Float]?, inDim: Int, outDim: Int, clip: Float? = nil
) -> [Double] {
  let weight = weight.map { value in Double(clip.map { min(max(value, -$0), $0) } ?? value) }
  var y: [Double] = []
  for row in 0..<x.count / inDim {
    for column in 0..<outDim {
      var sum = bias.map { Double($0[column]) } ?? 0
      for k in 0..<inDim { sum += Double(x[row * inDim + k]) * weight[column * inDim + k] }
      y.append(sum)
    }
  }
  return y
}

/// ‖y − reference‖ / ‖reference‖.
func relativeError(_ y: [Float], _ reference: [Double]) -> Double {
  guard y.count == reference.count else { return .infinity }
  let difference = zip(y, reference).reduce(0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
  let norm = reference.reduce(0) { $0 + $1 * $1 }
  return norm > 0 ? (difference / norm).squareRoot() : difference.squareRoot()
}

/// The bits of values, so that tests compare NaNs and signs of zero too.
func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

func bits(_ tensor: Tensor) throws -> [UInt32] { bits(try tensor.floats()) }

/// A loaded LinearV2 of random weights, and what it was made of.
struct TestLayer {
  let layer: LinearV2
  let weight: Tensor
  let bias: Tensor?
  let inDim: Int
  let outDim: Int

  init(inDim: Int, outDim: Int, hasBias: Bool = true, clip: Float? = nil, seed: UInt64 = 1) throws {
    self.inDim = inDim
    self.outDim = outDim
    weight = try randomTensor([outDim, inDim], seed: seed)
    bias = hasBias ? try randomTensor([outDim], seed: seed + 1) : nil
    layer = try LinearV2(inDim: inDim, outDim: outDim, dtype: .float32, hasBias: hasBias, clipWeight: clip)
    try layer.loadStateDict(state)
  }

  var state: StateDict {
    StateDict(
      [WeightData(name: "weight", tensor: weight)] + (bias.map { [WeightData(name: "bias", tensor: $0)] } ?? []))
  }

  func reference(_ x: [Float]) throws -> [Double] {
    MaxLinearTests.reference(
      x, try weight.floats(), try bias?.floats(), inDim: inDim, outDim: outDim, clip: layer.clipWeight)
  }
}

/// As messages list them.
var knownEncodings: String { (QuantizationEncoding.all + [.gptq]).map(\.name).joined(separator: ", ") }
