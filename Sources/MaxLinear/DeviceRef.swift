import CMaxLinear

/// Where a layer computes. There is the CPU; other devices would come with a plugin.
public struct DeviceRef: Hashable, Sendable, CustomStringConvertible {
  enum Kind: Hashable, Sendable { case cpu, gpu }

  let kind: Kind
  public let id: Int

  public static func cpu(id: Int = 0) -> DeviceRef { DeviceRef(kind: .cpu, id: id) }
  public static func gpu(id: Int = 0) -> DeviceRef { DeviceRef(kind: .gpu, id: id) }

  public var description: String { "\(kind):\(id)" }

  /// Throws `.noDevice` when this process does not have the device.
  func check(_ argument: String) throws {
    guard kind == .cpu else {
      throw MaxLinearError(
        .noDevice, "\(argument): \(self) needs a device plugin for GPUs, and none is loaded; expected the CPU")
    }
    guard id == 0 else {
      throw MaxLinearError(.noDevice, "\(argument): this process has no \(self), expected cpu:0")
    }
  }
}
