// maxlinear/version.h
import CMaxLinear

@_cdecl("mxl_version") @implementation
public func mxl_version() -> UInt32 {
  UInt32(MXL_VERSION_MAJOR << 16 | MXL_VERSION_MINOR << 8 | MXL_VERSION_PATCH)
}

@_cdecl("mxl_abi_version") @implementation
public func mxl_abi_version() -> UInt32 { UInt32(MXL_ABI_VERSION) }
