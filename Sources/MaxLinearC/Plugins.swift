// maxlinear/plugin.h
import CHandles
import MaxLinear

@_cdecl("mxl_plugin_load") @implementation
public func mxl_plugin_load(_ path: UnsafePointer<CChar>!, _ error: UnsafeMutablePointer<mxl_error>!) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in try Plugin.load(checking: requiredText(path, "path")) }
}
