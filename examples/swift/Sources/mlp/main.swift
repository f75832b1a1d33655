// The gated MLP of a checkpoint's layer, GGUF, safetensors or GPTQ.
//
// mlp CHECKPOINT LAYER ROWS X Y [THREADS [DEVICES]]: reads ROWS rows of float32 from the file X, writes those of y to the file Y; divided among
// DEVICES CPU devices, the y of each in turn.
import Foundation
import MaxLinear

let arguments = CommandLine.arguments
guard arguments.count >= 6, let number = Int(arguments[2]), let rows = Int(arguments[3]), rows > 0 else {
  FileHandle.standardError.write(Data("usage: mlp CHECKPOINT LAYER ROWS X Y [THREADS [DEVICES]]\n".utf8))
  exit(2)
}
let threads = arguments.count > 6 ? Int(arguments[6]) ?? 0 : 0
let devices = arguments.count > 7 ? Int(arguments[7]) ?? 0 : 0
let bytes = try Data(contentsOf: URL(fileURLWithPath: arguments[4]))
let values = bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
let x = try Tensor(values, shape: [rows, values.count / rows])
let weights = try Weights.open([arguments[1]])
let ys: [Tensor]
if devices > 0 {
  let cpus = (0..<devices).map { DeviceRef.cpu(id: $0) }
  let mlp = try DistributedMLP.fromWeights(weights, layer: number, devices: cpus).prepared()
  ys = try mlp(devices: cpus.map { _ in x }, threads: threads)
} else {
  ys = [try MLPV2.fromWeights(weights, layer: number).prepared()(x, threads: threads)]
}
let result = try ys.flatMap { try $0.floats() }
try result.withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: arguments[5])) }
