import CMaxLinear
import MaxLinear

/// The strings last as long as the process.
private struct StatusName: Sendable {
  nonisolated(unsafe) let text: UnsafePointer<CChar>

  init(_ text: StaticString) {
    self.text = UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
  }
}

private let names: [Int32: StatusName] = [
  0: StatusName("MXL_OK"), 100: StatusName("MXL_INVALID_ARGUMENT"), 110: StatusName("MXL_INVALID_SHAPE"),
  120: StatusName("MXL_INVALID_DTYPE"), 130: StatusName("MXL_INVALID_HANDLE"), 200: StatusName("MXL_MISSING_KEY"),
  210: StatusName("MXL_UNEXPECTED_KEY"), 300: StatusName("MXL_NOT_LOADED"), 310: StatusName("MXL_NOT_PREPARED"),
  320: StatusName("MXL_ALREADY_PREPARED"), 400: StatusName("MXL_UNSUPPORTED"), 410: StatusName("MXL_NO_DEVICE"),
  500: StatusName("MXL_IO"), 510: StatusName("MXL_INVALID_FILE"), 600: StatusName("MXL_OUT_OF_MEMORY"),
  900: StatusName("MXL_INTERNAL"),
]

private let unknown = StatusName("MXL_UNKNOWN")

@_cdecl("mxl_status_name") @implementation
public func mxl_status_name(_ status: mxl_status) -> UnsafePointer<CChar>! {
  (names[status.rawValue] ?? unknown).text
}
