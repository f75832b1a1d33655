import CHandles
import Testing

@testable import MaxLinear
@testable import MaxLinearC

/// A layer whose preparing nobody wrote, as no layer outside the library can be.
private final class Bare: Layer {}

@Suite("Every status")
struct StatusTests {
  private static func loaded() throws -> LinearV2 {
    let layer = try LinearV2(inDim: 3, outDim: 2, dtype: .float32)
    try layer.loadStateDict(["weight": Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])])
    return layer
  }

  private static func prepared() throws -> LinearV2 {
    let layer = try loaded()
    try layer.prepared()
    return layer
  }

  /// One row for all: 2^58 bytes, more than any address space has.
  private static func beyondMemory() throws {
    let row: [Float] = [0, 0, 0, 0]
    try row.withUnsafeBytes { bytes in
      let tensor = try Tensor(
        pointer: bytes.baseAddress, dtype: .float32, shape: [1 << 54, 4], strides: [0, 1], owner: nil)
      let layer = try LinearV2(inDim: 4, outDim: 1 << 54, dtype: .float32)
      try layer.loadStateDict(StateDict([WeightData(name: "weight", tensor: tensor, encoding: nil, storage: .borrow)]))
      try layer.prepared()
    }
  }

  /// A C call's error as Swift's.
  private static func thrown(_ call: (UnsafeMutablePointer<mxl_error>) -> mxl_status) throws {
    var error = newError()
    let status = call(&error)
    if status == MXL_OK { return }
    throw MaxLinearError(MaxLinearError.Status(rawValue: Int32(status.rawValue)) ?? .internal, message(error))
  }

  private static func cause(_ status: MaxLinearError.Status) throws {
    switch status {
    case .invalidArgument: try Threads.set(0)
    case .invalidShape: _ = try loaded()(Tensor([1, 2], shape: [2]))
    case .invalidDType: _ = try loaded()(Tensor(elements: [1, 2, 3] as [Int32]))
    case .invalidHandle: try thrown { mxl_layer_prepare(nil, nil, $0) }
    case .missingKey: try loaded().loadStateDict(StateDict([]))
    case .unexpectedKey:
      let one = try Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])
      try loaded().loadStateDict(["weight": one, "other": one], strict: true)
    case .notLoaded: try LinearV2(inDim: 3, outDim: 2, dtype: .float32).prepared()
    // In Swift the first call prepares.
    case .notPrepared:
      let handle = try LayerHandle.create(try LinearV2(inDim: 3, outDim: 2, dtype: .float32))
      defer { mxl_layer_destroy(handle) }
      var name: UnsafePointer<CChar>?
      try thrown { mxl_layer_kernel(handle, &name, $0) }
    case .alreadyPrepared: try prepared().prepared(PrepareOptions(packing: .never))
    case .unsupported: _ = try QuantizationEncoding("Q9")
    case .noDevice: _ = try LinearV2(inDim: 3, outDim: 2, dtype: .float32, device: .gpu())
    case .io: _ = try Weights.open(["/no/such/file"])
    case .invalidFile:
      let folder = try TemporaryFolder()
      _ = try Weights.open([folder.write("junk.gguf", Array("junk".utf8))])
    // What two ranks state, without the ranks: those are in Tests/DistributedTests.
    case .communication:
      let facts = [Fact("rows", 1)]
      try Statement.compare([Statement(.call, facts, nil), Statement(.call, [Fact("rows", 2)], nil)], facts: facts)
    case .outOfMemory: try beyondMemory()
    // No call may cause it: a layer of the test's own does, here and through C.
    case .internal:
      let handle = try LayerHandle.create(Bare())
      defer { mxl_layer_destroy(handle) }
      try thrown { mxl_layer_prepare(handle, nil, $0) }
    }
  }

  @Test("is caused, with a message of three parts", arguments: MaxLinearError.Status.allCases)
  func status(_ status: MaxLinearError.Status) {
    do {
      try Self.cause(status)
      Issue.record("\(status): nothing was thrown")
    } catch let error as MaxLinearError {
      #expect(error.status == status && hasThreeParts(error.message), "\(error.status): \(error.message)")
    } catch {
      Issue.record("\(status): \(error)")
    }
  }

  @Test("has a number of C's, and the other way round")
  func numbers() {
    let named = (Int32(0)...1000).filter { String(cString: mxl_status_name(mxl_status(rawValue: $0))) != "MXL_UNKNOWN" }
    #expect(named == [0] + MaxLinearError.Status.allCases.map(\.rawValue).sorted())
  }
}
