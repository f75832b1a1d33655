// The gated MLP of a checkpoint's layer, GGUF or safetensors.
//
// mlp CHECKPOINT LAYER ROWS X Y [THREADS]: reads ROWS rows of float32 from the file X, writes those of y to the file Y.
import Foundation
import MaxLinear

let arguments = CommandLine.arguments
guard arguments.count >= 6, let layer = Int(arguments[2]), let rows = Int(arguments[3]), rows > 0 else {
  FileHandle.standardError.write(Data("usage: mlp CHECKPOINT LAYER ROWS X Y [THREADS]\n".utf8))
  exit(2)
}
let mlp = try MLPV2.fromWeights(Weights.open([arguments[1]]), layer: layer)
let bytes = try Data(contentsOf: URL(fileURLWithPath: arguments[4]))
let x = bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
let prepared = try mlp.prepared()
let threads = arguments.count > 6 ? Int(arguments[6]) ?? 0 : 0
let y = try prepared(Tensor(x, shape: [rows, x.count / rows]), threads: threads).floats()
try y.withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: arguments[5])) }
