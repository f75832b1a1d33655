import CMaxLinear
import MaxLinear

/// Copies of the dtypes' names that last as long as the process.
private struct DTypeNames: Sendable {
  nonisolated(unsafe) let names: [Int32: UnsafePointer<CChar>]
  nonisolated(unsafe) let unknown: UnsafePointer<CChar>

  init() {
    names = Dictionary(uniqueKeysWithValues: DType.allCases.map { ($0.rawValue, DTypeNames.lasting($0.name)) })
    unknown = DTypeNames.lasting("unknown")
  }

  private static func lasting(_ text: String) -> UnsafePointer<CChar> {
    let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.utf8.count + 1)
    for (index, byte) in (Array(text.utf8) + [0]).enumerated() { copy[index] = CChar(bitPattern: byte) }
    return UnsafePointer(copy)
  }
}

private let dtypeNames = DTypeNames()

@_cdecl("mxl_dtype_name") @implementation
public func mxl_dtype_name(_ dtype: Int32) -> UnsafePointer<CChar>! { dtypeNames.names[dtype] ?? dtypeNames.unknown }

@_cdecl("mxl_dtype_bits") @implementation
public func mxl_dtype_bits(_ dtype: Int32) -> Int32 { DType(rawValue: dtype).map { Int32($0.bits) } ?? 0 }
