import CMaxLinear
import Kernels

/// This process's end of a plugin's communicator. Used by one thread at a time.
///
/// Unchecked: the functions are static, the plugin's object lives as long as this one, and `Communicator` holds threads apart.
final class Collectives: @unchecked Sendable {
  let rank: Int
  let size: Int
  private let functions: mxl_communicator_kind
  private let object: UnsafeMutableRawPointer?

  init(
    _ kind: UnsafePointer<mxl_communicator_kind>, native: UnsafeRawPointer?
  ) throws(MaxLinearError) {
    let functions = kind.pointee
    var made: UnsafeMutableRawPointer?
    try Self.checked("create") { functions.create?(kind, native, &made, $0) }
    self.functions = functions
    object = made
    rank = Int(functions.rank?(made) ?? -1)
    size = Int(functions.size?(made) ?? -1)
    guard size >= 1, size <= 1 << 20, 0..<size ~= rank else {
      throw MaxLinearError(
        .internal, "\(String(cString: functions.name)): has rank \(rank) of \(size) processes, expected 0 to size - 1")
    }
  }

  deinit { functions.destroy?(object) }

  /// Runs one of the plugin's functions.
  private static func checked(
    _ name: StaticString, _ call: (UnsafeMutablePointer<mxl_error>) -> mxl_status?
  ) throws(MaxLinearError) {
    var error = mxl_error()
    error.struct_size = UInt32(MemoryLayout<mxl_error>.size)
    guard let status = withUnsafeMutablePointer(to: &error, call) else {
      throw MaxLinearError(.internal, "communicator: has no \(name), expected one")
    }
    guard status != MXL_OK else { return }
    let message = withUnsafeBytes(of: &error.message) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    throw MaxLinearError(
      MaxLinearError.Status(rawValue: Int32(status.rawValue)) ?? .communication,
      message.isEmpty ? "communicator: \(name) failed with status \(status.rawValue)" : message)
  }

  /// Gathers parts that follow one another, each `counts[rank]` times `unit` bytes; this rank's lies in its place.
  func gather(
    _ memory: UnsafeMutableRawPointer?, counts: [Int], unit: Int
  ) throws(MaxLinearError) {
    guard size > 1 else { return }
    var offset = 0
    let offsets = counts.map { count in
      defer { offset += count * unit }
      return offset
    }
    try Self.checked("allgather") { functions.allgather?(object, nil, memory, counts.map { $0 * unit }, offsets, $0) }
  }

  /// Floats become their sums over the ranks, in their order.
  func sum(_ values: Tensor) throws(MaxLinearError) {
    guard size > 1 else { return }
    if functions.allreduce != nil {
      return try Self.checked("allreduce") {
        functions.allreduce?(object, MXL_FLOAT32.rawValue, values.pointer, values.count, $0)
      }
    }
    let parts = try Tensor(uninitialized: [size, values.count], dtype: .float32, purpose: "ranks' results")
    guard let to = parts.pointer, let from = values.pointer else { return }
    (to + rank * values.byteCount).copyMemory(from: from, byteCount: values.byteCount)
    try gather(to, counts: Array(repeating: values.count, count: size), unit: 4)
    mxlk_sum_parts(to, Int32(size), Int64(values.count), from)
  }

  /// What each rank states.
  func exchange(_ own: Statement) throws(MaxLinearError) -> [Statement] {
    var bytes = [UInt8](repeating: 0, count: size * Statement.byteCount)
    bytes.replaceSubrange(rank * Statement.byteCount..<(rank + 1) * Statement.byteCount, with: own.bytes)
    var failure: MaxLinearError?
    bytes.withUnsafeMutableBytes { memory in
      do throws(MaxLinearError) {
        try gather(memory.baseAddress, counts: Array(repeating: Statement.byteCount, count: size), unit: 1)
      } catch { failure = error }
    }
    if let failure { throw failure }
    return (0..<size).map { Statement(bytes[$0 * Statement.byteCount..<($0 + 1) * Statement.byteCount]) }
  }

  /// Makes the other ranks' calls fail.
  func end(because message: String) {
    let function = functions.abort
    message.withCString { function?(object, $0) }
  }
}
