// The gated MLP of a checkpoint's layer, divided among the processes of an MPI program.
//
// mpirun -n 4 ranks CHECKPOINT LAYER ROWS X Y PLUGIN: reads ROWS rows of float32 from the file X; rank 0 writes those of y to the file Y. PLUGIN is
// plugins/mpi, which initializes MPI: this program needs none of it.
import Foundation
import MaxLinear

let arguments = CommandLine.arguments
guard arguments.count == 7, let number = Int(arguments[2]), let rows = Int(arguments[3]), rows > 0 else {
  FileHandle.standardError.write(Data("usage: mpirun -n N ranks CHECKPOINT LAYER ROWS X Y PLUGIN\n".utf8))
  exit(2)
}
try Plugin.load(path: arguments[6])
let communicator = try Communicator("mpi")
let mlp: PreparedLayer
do {
  let weights = try Weights.open([arguments[1]])
  mlp = try DistributedMLP.fromWeights(
    weights, layer: number, reduce: false, communicator: communicator
  ).prepared()
} catch {
  communicator.end(because: "\(error)")  // or the others would wait for this rank
  throw error
}
let bytes = try Data(contentsOf: URL(fileURLWithPath: arguments[4]))
let values = bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
let y = try mlp(Tensor(values, shape: [rows, values.count / rows]))
if communicator.rank == 0 {
  let result = try y.floats()
  try result.withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: arguments[5])) }
}
