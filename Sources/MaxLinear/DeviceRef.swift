import CMaxLinear

/// Where a layer lives and computes. A name only: whether the process has the device is checked where one is used.
public struct DeviceRef: Hashable, Sendable, CustomStringConvertible {
  /// The kinds of device, with DLPack's numbers.
  public enum Kind: Int32, Sendable {
    /// CPU devices of this process.
    case cpu = 1
    /// GPUs, of which there are none: layers refuse them with `.noDevice`.
    case gpu = 2
  }

  /// What kind of device it is.
  public let kind: Kind
  /// Its number among those of its kind, from 0.
  public let id: Int

  /// The CPU, or, for layers on several devices, the part of a call's threads with that number. A layer on one device takes id 0 alone.
  public static func cpu(id: Int = 0) -> DeviceRef { DeviceRef(kind: .cpu, id: id) }

  /// A GPU, which would need a device plugin: layers throw `.noDevice`.
  public static func gpu(id: Int = 0) -> DeviceRef { DeviceRef(kind: .gpu, id: id) }

  /// The kind and the number, such as "cpu:0".
  public var description: String { "\(kind == .cpu ? "cpu" : "gpu"):\(id)" }

  /// Throws `.noDevice`, naming the device plugin that is missing, unless this is the CPU with id 0.
  func check(_ argument: String) throws(MaxLinearError) {
    guard self != .cpu() else { return }
    let missing = kind == .cpu ? "further CPU devices" : "GPUs"
    throw MaxLinearError(
      .noDevice, "\(argument): is \(self), expected cpu:0: no device plugin for \(missing) is loaded")
  }

  private init(kind: Kind, id: Int) {
    self.kind = kind
    self.id = id
  }

  /// The device that a C struct names. `MXL_DEVICE_DEFAULT` is the CPU, whatever its id field holds in a zeroed struct.
  package init(_ device: mxl_device, argument: String) throws(MaxLinearError) {
    switch device.type {
    case MXL_DEVICE_DEFAULT.rawValue where device.id == 0, MXL_DEVICE_CPU.rawValue:
      self = .cpu(id: Int(device.id))
    case MXL_DEVICE_CUDA.rawValue:
      self = .gpu(id: Int(device.id))
    default:
      throw MaxLinearError(
        .invalidArgument,
        "\(argument): device type \(device.type) with id \(device.id), expected MXL_DEVICE_DEFAULT with id 0, "
          + "MXL_DEVICE_CPU or MXL_DEVICE_CUDA")
    }
  }

  package var cDevice: mxl_device { mxl_device(type: kind.rawValue, id: Int32(clamping: id)) }
}
