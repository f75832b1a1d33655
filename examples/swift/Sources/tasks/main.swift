// One prepared layer in several tasks at once: `PreparedLayer` and `Tensor` are Sendable, and Swift 6 checks it.
import MaxLinear

let layer = try LinearV2(inDim: 128, outDim: 256, dtype: .float32)
try layer.loadStateDict(["weight": Tensor([Float](repeating: 1, count: 256 * 128), shape: [256, 128])])
let prepared = try layer.prepared()
let sum = try await withThrowingTaskGroup(of: Float.self) { group in
  for value in 0..<8 {
    group.addTask {
      let x = try Tensor([Float](repeating: Float(value), count: 128), shape: [128])
      return try prepared(x, threads: 1).floats().reduce(0, +)
    }
  }
  var sum: Float = 0
  for try await part in group { sum += part }
  return sum
}
print(sum)  // 917504.0
