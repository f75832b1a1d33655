// maxlinear/types.h
import CHandles
import MaxLinear

@_cdecl("mxl_dtype_name") @implementation
public func mxl_dtype_name(_ dtype: Int32) -> UnsafePointer<CChar>! {
  (DType(rawValue: dtype)?.staticName ?? "unknown").cString
}

@_cdecl("mxl_dtype_bits") @implementation
public func mxl_dtype_bits(_ dtype: Int32) -> Int32 { Int32(DType(rawValue: dtype)?.bits ?? 0) }
