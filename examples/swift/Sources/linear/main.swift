// One Linear from Swift: y = x Wᵀ + b.
import MaxLinear

let layer = try LinearV2(inDim: 3, outDim: 2, dtype: .float32, hasBias: true)
try layer.loadStateDict([
  "weight": Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3]),
  "bias": Tensor([10, 20], shape: [2]),
])
let y = try layer(Tensor([1, 1, 1], shape: [3]))
print(try y.floats())  // [16.0, 35.0]
