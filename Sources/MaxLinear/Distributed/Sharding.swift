import Kernels

/// How a dimension is divided among devices: runs of whole units, their lengths differing by one unit at most, the longer ones first.
struct Sharding: Equatable {
  let ranges: [Range<Int>]

  /// - Parameters:
  ///   - unit: what is not divided: 1, or the 256 columns that share a scale where they are quantized.
  ///   - argument: what the dimension is called.
  ///   - noun: what the devices are called.
  /// - Throws: `.invalidArgument` when there are more devices than units.
  init(
    _ count: Int, unit: Int, devices: Int, argument: String, noun: String = "devices"
  ) throws(MaxLinearError) {
    let units = count / unit + (count % unit == 0 ? 0 : 1)
    guard devices <= units else {
      let each = unit == 1 ? "" : " of \(unit)"
      throw MaxLinearError(
        .invalidArgument,
        "\(noun): there are \(devices), expected at most \(units), as \(argument) = \(count) has so many units\(each)")
    }
    var begin = 0
    ranges = (0..<devices).map { device in
      let length = (units / devices + (device < units % devices ? 1 : 0)) * unit
      let end = min(begin + length, count)
      defer { begin = end }
      return begin..<end
    }
  }
}

/// The parts of a dimension that devices have, and which of them are here.
struct Shards {
  let ranges: [Range<Int>]
  /// The one that this process has, where the devices are ranks; nil for all.
  let rank: Int?

  init(_ ranges: [Range<Int>], rank: Int? = nil) {
    self.ranges = ranges
    self.rank = rank
  }

  /// Throws `.invalidShape` unless they divide that dimension of a weight, which may have been assigned since.
  func check(divide weight: Weight, dimension: Int) throws(MaxLinearError) {
    let count = ranges.last?.upperBound ?? 0
    guard weight.shape[dimension] == count else {
      throw MaxLinearError(
        .invalidShape,
        "\(weight.name): shape is \(weight.shape), expected \(count) \(dimension == 0 ? "outputs" : "inputs"), which the devices divide"
      )
    }
  }

  /// What this process has.
  var own: [Range<Int>] { rank.map { [ranges[$0]] } ?? ranges }
  /// The number of the first of them.
  var first: Int { rank ?? 0 }
}

extension DeviceRef {
  /// The devices of a distributed layer: CPU devices of this process, each a part of a call's threads. None means one.
  ///
  /// Throws `.noDevice` for a GPU, `.invalidArgument` for one that comes twice, a negative id, more than 64, or any beside a communicator, whose
  /// ranks are the devices.
  static func checked(
    distributed devices: [DeviceRef], beside communicator: Communicator? = nil
  ) throws(MaxLinearError) -> [DeviceRef] {
    guard communicator == nil || devices.isEmpty else {
      throw MaxLinearError(
        .invalidArgument,
        "devices: there are \(devices.count), expected none beside a communicator, whose ranks are the devices")
    }
    guard devices.count <= Int(MXLK_MOST_SHARDS) else {
      throw MaxLinearError(
        .invalidArgument, "devices: there are \(devices.count), expected at most \(MXLK_MOST_SHARDS) in one process")
    }
    var seen: Set<DeviceRef> = []
    for (index, device) in devices.enumerated() {
      guard device.kind == .cpu else { try device.check("devices[\(index)]"); continue }
      guard device.id >= 0 else {
        throw MaxLinearError(.invalidArgument, "devices[\(index)]: id is \(device.id), expected 0 or more")
      }
      guard seen.insert(device).inserted else {
        throw MaxLinearError(.invalidArgument, "devices[\(index)]: \(device) comes twice, expected each device once")
      }
    }
    return devices.isEmpty ? [.cpu()] : devices
  }
}
