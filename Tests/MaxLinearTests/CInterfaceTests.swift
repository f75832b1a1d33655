import CHandles
import Foundation
import MaxLinearC
import Testing

@Suite("C interface")
struct CInterfaceTests {
  private let arguments = Arguments()

  private func run(
    _ layer: UnsafeMutablePointer<mxl_layer>?, _ x: [Float], _ xShape: [Int64], _ yShape: [Int64]
  ) -> [Float] {
    var x = arguments.tensor(x, xShape)
    let count = Int(yShape.reduce(1, *))
    var y = arguments.tensor([Float](repeating: 77, count: count), yShape)
    expectOK { mxl_layer_forward(layer, nil, &x, &y, $0) }
    guard let data = y.data?.assumingMemoryBound(to: Float.self) else { return [] }
    return Array(UnsafeBufferPointer(start: data, count: count))
  }

  @Test("creates, loads, prepares, runs, and reads back")
  func whole() throws {
    let layer = arguments.layer(inDim: 3, outDim: 2, hasBias: true)
    var count = 0
    expectOK { mxl_layer_entry_count(layer, &count, $0) }
    #expect(count == 2)
    var entry = mxl_entry()
    expectOK { mxl_layer_entry(layer, 1, &entry, $0) }
    #expect(String(cString: entry.name) == "bias" && entry.tensor.data == nil && entry.release == nil)
    #expect(entry.tensor.rank == 1 && entry.tensor.shape[0] == 2)
    let state = arguments.array([
      arguments.entry("weight", [1, 2, 3, 4, 5, 6], [2, 3]), arguments.entry("bias", [10, 20], [2]),
    ])
    expectOK { mxl_layer_load(layer, state, 2, MXL_LOAD_STRICT, $0) }
    var name: UnsafePointer<CChar>?
    expectStatus(MXL_NOT_PREPARED, "layer: is not prepared, expected mxl_layer_prepare before this call") {
      mxl_layer_kernel(layer, &name, $0)
    }
    expectOK { mxl_layer_prepare(layer, nil, $0) }
    expectOK { mxl_layer_prepare(layer, nil, $0) }
    expectOK { mxl_layer_kernel(layer, &name, $0) }
    #expect(name.map { String(cString: $0).hasPrefix("mxlk_linear_f32_f32_") } == true)
    #expect(run(layer, [1, 1, 1], [3], [2]) == [16, 35])
    #expect(run(layer, [1, 1, 1, 0, 0, 1], [2, 1, 3], [2, 1, 2]) == [16, 35, 13, 26])
    expectOK { mxl_layer_entry(layer, 0, &entry, $0) }
    let data = try #require(entry.tensor.data?.assumingMemoryBound(to: Float.self))
    #expect(String(cString: entry.name) == "weight" && entry.encoding == nil && entry.tensor.strides == nil)
    #expect((0..<6).map { data[$0] } == [1, 2, 3, 4, 5, 6])
    let release = try #require(entry.release)
    release(entry.owner)
    var memory = mxl_memory()
    memory.struct_size = UInt32(MemoryLayout<mxl_memory>.size)
    expectOK { mxl_layer_memory(layer, &memory, $0) }
    #expect(memory.packed > 0 && memory.source == 0 && memory.mapped == 0)
  }

  @Test("run options accumulate, and are checked")
  func runOptions() {
    let layer = arguments.layer(inDim: 1, outDim: 1)
    let state = arguments.array([arguments.entry("weight", [3], [1, 1])])
    expectOK { mxl_layer_load(layer, state, 1, 0, $0) }
    expectOK { mxl_layer_prepare(layer, nil, $0) }
    var x = arguments.tensor([2], [1])
    var y = arguments.tensor([100], [1])
    var options = mxl_run_options(
      struct_size: UInt32(MemoryLayout<mxl_run_options>.size), threads: 1, accumulate: 1)
    expectOK { mxl_layer_forward(layer, &options, &x, &y, $0) }
    #expect(y.data?.load(as: Float.self) == 106)
    options.accumulate = 2
    expectStatus(MXL_INVALID_ARGUMENT, "accumulate: is 2, expected 0 or 1") {
      mxl_layer_forward(layer, &options, &x, &y, $0)
    }
    options.accumulate = 0
    options.threads = -1
    expectStatus(MXL_INVALID_ARGUMENT, "threads: is -1, expected 1 to 1024, or 0 for the default") {
      mxl_layer_forward(layer, &options, &x, &y, $0)
    }
    options.struct_size = 8
    expectStatus(
      MXL_INVALID_ARGUMENT,
      "options: struct_size is 8, expected sizeof(mxl_run_options), at least 12 and a multiple of 4"
    ) {
      mxl_layer_forward(layer, &options, &x, &y, $0)
    }
    #expect(y.data?.load(as: Float.self) == 106)
  }

  @Test("NULL and junk handles are refused")
  func handles() {
    var x = arguments.tensor([2], [1])
    var y = arguments.tensor([100], [1])
    expectStatus(MXL_INVALID_HANDLE, "layer: is NULL, expected the handle of a layer") {
      mxl_layer_forward(nil, nil, &x, &y, $0)
    }
    expectStatus(MXL_INVALID_HANDLE, "layer: is NULL, expected the handle of a layer") {
      mxl_layer_prepare(nil, nil, $0)
    }
    let junk = arguments.array([mxl_layer(number: 1)])
    expectStatus(MXL_INVALID_HANDLE, "layer: is no handle, expected the handle of a layer") {
      mxl_layer_prepare(junk, nil, $0)
    }
    let other = arguments.array([mxl_weights(number: 1)])
    var count = 0
    expectStatus(MXL_INVALID_HANDLE, "weights: is no handle, expected the handle of a checkpoint") {
      mxl_weights_count(other, &count, $0)
    }
    expectStatus(MXL_INVALID_HANDLE, "weights: is NULL, expected the handle of a checkpoint") {
      mxl_weights_count(nil, &count, $0)
    }
    mxl_layer_retain(nil)
    mxl_layer_destroy(nil)
    mxl_layer_destroy(junk)
    mxl_weights_destroy(nil)
    let layer = arguments.layer(inDim: 1, outDim: 1)
    expectStatus(MXL_INVALID_ARGUMENT, "count: is NULL, expected a pointer") { mxl_layer_entry_count(layer, nil, $0) }
    expectStatus(MXL_INVALID_ARGUMENT, "options: is NULL, expected a pointer") { error in
      var made: UnsafeMutablePointer<mxl_layer>?
      return mxl_linear_create(nil, &made, error)
    }
  }

  @Test("a retained handle outlives one destroy")
  func retained() {
    var options = linearOptions(inDim: 1, outDim: 1)
    var layer: UnsafeMutablePointer<mxl_layer>?
    expectOK { mxl_linear_create(&options, &layer, $0) }
    mxl_layer_retain(layer)
    mxl_layer_destroy(layer)
    var count = 0
    expectOK { mxl_layer_entry_count(layer, &count, $0) }
    #expect(count == 1)
    mxl_layer_destroy(layer)
  }

  @Test("options are checked field by field")
  func createOptions() {
    func refuse(
      _ status: mxl_status, _ text: String, sourceLocation: SourceLocation = #_sourceLocation,
      _ change: (inout mxl_linear_options) -> Void
    ) {
      var options = linearOptions(inDim: 2, outDim: 3)
      change(&options)
      var layer: UnsafeMutablePointer<mxl_layer>?
      expectStatus(status, text, sourceLocation: sourceLocation) { mxl_linear_create(&options, &layer, $0) }
      #expect(layer == nil, sourceLocation: sourceLocation)
    }
    refuse(
      MXL_INVALID_ARGUMENT,
      "options: struct_size is 0, expected sizeof(mxl_linear_options), at least 64 and a multiple of 8"
    ) {
      $0.struct_size = 0
    }
    refuse(MXL_INVALID_DTYPE, "dtype: is 99, expected an mxl_dtype") { $0.dtype = 99 }
    refuse(
      MXL_UNSUPPORTED,
      "dtype: dense float64 weights are not supported, expected float32, float16, bfloat16, float8_e4m3fn, float8_e5m2"
    ) {
      $0.dtype = MXL_FLOAT64.rawValue
    }
    refuse(MXL_INVALID_SHAPE, "in_dim: is -1, expected 1 or more") { $0.in_dim = -1 }
    refuse(MXL_INVALID_SHAPE, "out_dim: is 0, expected 1 or more") { $0.out_dim = 0 }
    refuse(MXL_INVALID_ARGUMENT, "has_bias: is 2, expected 0 or 1") { $0.has_bias = 2 }
    refuse(
      MXL_INVALID_ARGUMENT,
      "device: device type 77 with id 0, expected MXL_DEVICE_DEFAULT with id 0, MXL_DEVICE_CPU or MXL_DEVICE_CUDA"
    ) { $0.device.type = 77 }
    refuse(MXL_NO_DEVICE, "device: is gpu:2, expected cpu:0: no device plugin for GPUs is loaded") {
      $0.device = mxl_device(type: MXL_DEVICE_CUDA.rawValue, id: 2)
    }
    let encoding = arguments.string("Q9_X")
    refuse(
      MXL_UNSUPPORTED, "quantization_encoding: is \"Q9_X\", expected one of \(knownEncodings)"
    ) {
      $0.encoding = encoding
    }
    let invalid = UnsafePointer(arguments.array([CChar(bitPattern: 0xC3), 0 as CChar]))
    refuse(MXL_INVALID_ARGUMENT, "name: is other bytes, expected valid UTF-8") { $0.name = invalid }
    let clip = UnsafePointer(arguments.array([Float(0)]))
    refuse(
      MXL_INVALID_ARGUMENT,
      "clip_weight: is 0.0, expected a finite number above 0, or none to leave weights as they are"
    ) { $0.clip_weight = clip }
  }

  @Test("a larger options struct of a newer client is read as far as it is known")
  func largerOptions() {
    let size = MemoryLayout<mxl_linear_options>.size
    let memory = UnsafeMutableRawPointer.allocate(byteCount: size + 16, alignment: 8)
    defer { memory.deallocate() }
    memory.initializeMemory(as: UInt8.self, repeating: 0xFF, count: size + 16)
    var options = linearOptions(inDim: 2, outDim: 3)
    options.struct_size = UInt32(size + 16)
    memory.storeBytes(of: options, as: mxl_linear_options.self)
    var layer: UnsafeMutablePointer<mxl_layer>?
    expectOK { mxl_linear_create(memory.assumingMemoryBound(to: mxl_linear_options.self), &layer, $0) }
    mxl_layer_destroy(layer)
  }

  @Test("messages are cut between characters where an error struct is small, and nothing is written behind it")
  func smallErrors() {
    let layer = arguments.layer(inDim: 1, outDim: 1)
    let state = arguments.array([arguments.entry("x", [3], [1, 1])])
    for size in [0, 4, 7, 8, 9, 12, 20, 512, 4096] as [UInt32] {
      let memory = UnsafeMutableRawPointer.allocate(byteCount: 600, alignment: 8)
      defer { memory.deallocate() }
      memory.initializeMemory(as: UInt8.self, repeating: 0xAA, count: 600)
      memory.storeBytes(of: size, as: UInt32.self)
      let error = memory.assumingMemoryBound(to: mxl_error.self)
      #expect(mxl_layer_load(layer, state, 1, 0, error) == MXL_MISSING_KEY)
      let full = "weight: missing, expected it in the state dict"
      let reach = Int(min(size, 512))
      #expect((max(reach, 4)..<600).allSatisfy { memory.load(fromByteOffset: $0, as: UInt8.self) == 0xAA })
      if reach >= 8 { #expect(error.pointee.status == MXL_MISSING_KEY) }
      if reach > 8 {
        #expect(String(cString: (memory + 8).assumingMemoryBound(to: CChar.self)) == full.prefix(reach - 9))
      }
    }
    let named = arguments.array([arguments.entry("ää", [3], [1, 1])])
    for (size, expected) in [(9, ""), (10, ""), (11, "ä"), (12, "ä"), (13, "ää"), (14, "ää:")] {
      var error = newError()
      error.struct_size = UInt32(size)
      let twice = arguments.array([named[0], named[0], arguments.entry("weight", [1], [1, 1])])
      #expect(mxl_layer_load(layer, twice, 3, 0, &error) == MXL_INVALID_ARGUMENT)
      #expect(message(error) == expected)
    }
  }

  @Test("entries are checked before anything is read")
  func entries() {
    let layer = arguments.layer(inDim: 3, outDim: 2)
    func refuse(
      _ status: mxl_status, _ text: String, sourceLocation: SourceLocation = #_sourceLocation,
      _ change: (inout mxl_entry) -> Void
    ) {
      var entry = arguments.entry("weight", [1, 2, 3, 4, 5, 6], [2, 3])
      change(&entry)
      expectStatus(status, text, sourceLocation: sourceLocation) { mxl_layer_load(layer, &entry, 1, 0, $0) }
    }
    refuse(MXL_INVALID_ARGUMENT, "entries[0].name: is NULL, expected a string") { $0.name = nil }
    refuse(MXL_INVALID_ARGUMENT, "entries[0] (weight): storage is 9, expected an mxl_storage") { $0.storage = 9 }
    refuse(MXL_INVALID_DTYPE, "entries[0] (weight): dtype is 12345, expected an mxl_dtype") {
      $0.tensor.dtype = 12345
    }
    refuse(MXL_INVALID_SHAPE, "entries[0] (weight): rank is -1, expected 0 to 16") { $0.tensor.rank = -1 }
    refuse(MXL_INVALID_SHAPE, "entries[0] (weight): rank is 2147483647, expected 0 to 16") { $0.tensor.rank = .max }
    refuse(MXL_INVALID_ARGUMENT, "entries[0] (weight): shape is NULL, expected 2 dimensions") { $0.tensor.shape = nil }
    refuse(MXL_INVALID_ARGUMENT, "entries[0] (weight): data is NULL, expected 6 elements") { $0.tensor.data = nil }
    refuse(MXL_INVALID_SHAPE, "weight: shape is [6], expected [2, 3]") {
      $0.tensor.shape = UnsafePointer(arguments.array([6]))
      $0.tensor.rank = 1
    }
    refuse(MXL_INVALID_SHAPE, "entries[0] (weight): dimension 1 is -3, expected 0 or more") {
      $0.tensor.shape = UnsafePointer(arguments.array([2, -3]))
    }
    refuse(
      MXL_NO_DEVICE,
      "entries[0] (weight): is gpu:0, expected cpu:0: no device plugin for GPUs is loaded"
    ) { $0.tensor.device.type = MXL_DEVICE_CUDA.rawValue }
    expectStatus(MXL_INVALID_ARGUMENT, "entries: is NULL, expected 1 entries") { mxl_layer_load(layer, nil, 1, 0, $0) }
    expectStatus(
      MXL_INVALID_ARGUMENT,
      "flags: is 8, expected MXL_LOAD_* ored together, or 0"
    ) { mxl_layer_load(layer, nil, 0, 8, $0) }
    expectStatus(
      MXL_NOT_LOADED, "weight: not loaded, expected a state dict that is loaded before the layer is prepared or called"
    ) {
      mxl_layer_prepare(layer, nil, $0)
    }
    var entry = mxl_entry()
    expectStatus(MXL_INVALID_ARGUMENT, "index: is 1, expected less than the 1 entries") {
      mxl_layer_entry(layer, 1, &entry, $0)
    }
  }

  @Test("a borrowed entry's release is called once, and never by a call that fails")
  func release() {
    let counter = Counter()
    let layer = arguments.layer(inDim: 1, outDim: 1)
    func entry(_ name: String, _ storage: mxl_storage) -> mxl_entry {
      var entry = arguments.entry(name, [3], [1, 1])
      entry.storage = Int32(storage.rawValue)
      entry.owner = Unmanaged.passUnretained(counter).toOpaque()
      entry.release = { owner in
        if let owner { Unmanaged<Counter>.fromOpaque(owner).takeUnretainedValue().add() }
      }
      return entry
    }
    let wrong = arguments.array([entry("weigh", MXL_STORAGE_BORROW)])
    #expect(mxl_layer_load(layer, wrong, 1, 0, nil) == MXL_MISSING_KEY)
    #expect(counter.value == 0)
    let copied = arguments.array([entry("weight", MXL_STORAGE_COPY), entry("other", MXL_STORAGE_BORROW)])
    #expect(mxl_layer_load(layer, copied, 2, MXL_LOAD_STRICT, nil) == MXL_UNEXPECTED_KEY)
    #expect(counter.value == 0)
    #expect(mxl_layer_load(layer, copied, 2, 0, nil) == MXL_OK)
    #expect(counter.value == 2)
    let borrowed = arguments.array([entry("weight", MXL_STORAGE_BORROW)])
    #expect(mxl_layer_load(layer, borrowed, 1, 0, nil) == MXL_OK)
    #expect(counter.value == 2)
    #expect(mxl_layer_load(layer, borrowed, 1, MXL_LOAD_REPLACE, nil) == MXL_OK)
    #expect(counter.value == 3)
    #expect(mxl_layer_prepare(layer, nil, nil) == MXL_OK)
    #expect(counter.value == 4)
    #expect(mxl_layer_load(layer, borrowed, 1, 0, nil) == MXL_ALREADY_PREPARED)
    #expect(counter.value == 4)
    withExtendedLifetime(counter) {}
  }

  /// A layer that its own weights' release function asks for its memory.
  private final class Asking {
    var layer: UnsafeMutablePointer<mxl_layer>?
    var answers: [mxl_status] = []

    func ask() {
      var memory = mxl_memory()
      memory.struct_size = UInt32(MemoryLayout<mxl_memory>.size)
      answers.append(mxl_layer_memory(layer, &memory, nil))
    }
  }

  @Test("release may call the library: no lock is held", arguments: [MXL_PACK_ALWAYS, MXL_PACK_NEVER])
  func releaseCallsBack(_ pack: mxl_pack) {
    let asking = Asking()
    asking.layer = arguments.layer(inDim: 1, outDim: 1)
    var entry = arguments.entry("weight", [3], [1, 1])
    entry.storage = Int32(MXL_STORAGE_BORROW.rawValue)
    entry.owner = Unmanaged.passUnretained(asking).toOpaque()
    entry.release = { owner in
      if let owner { Unmanaged<Asking>.fromOpaque(owner).takeUnretainedValue().ask() }
    }
    var options = mxl_prepare_options()
    options.struct_size = UInt32(MemoryLayout<mxl_prepare_options>.size)
    options.pack = pack.rawValue
    expectOK { mxl_layer_load(asking.layer, &entry, 1, 0, $0) }
    expectOK { mxl_layer_prepare(asking.layer, &options, $0) }
    expectOK { mxl_layer_load(asking.layer, &entry, 1, MXL_LOAD_REPLACE, $0) }
    #expect(asking.answers == Array(repeating: MXL_OK, count: pack == MXL_PACK_ALWAYS ? 2 : 1))
    var plain = arguments.entry("weight", [4], [1, 1])
    expectOK { mxl_layer_load(asking.layer, &plain, 1, MXL_LOAD_REPLACE, $0) }
    #expect(asking.answers == [MXL_OK, MXL_OK])
  }

  @Test("Linear takes a weight and a bias")
  func v1() {
    var weight = arguments.entry("", [1, 2, 3, 4, 5, 6], [2, 3])
    var bias = arguments.entry("", [10, 20], [2])
    weight.name = nil
    bias.name = nil
    var options = mxl_linear_v1_options()
    options.struct_size = UInt32(MemoryLayout<mxl_linear_v1_options>.size)
    var layer: UnsafeMutablePointer<mxl_layer>?
    expectStatus(MXL_INVALID_ARGUMENT, "weight: is NULL, expected a pointer") {
      mxl_linear_v1_create(&options, &layer, $0)
    }
    options.weight = UnsafePointer(arguments.array([weight]))
    options.bias = UnsafePointer(arguments.array([bias]))
    options.in_features = 2
    options.out_features = 4
    expectStatus(
      MXL_INVALID_SHAPE, "weight: shape is [2, 3], expected in_features = 2 and out_features = 4 in either order"
    ) { mxl_linear_v1_create(&options, &layer, $0) }
    options.out_features = 3
    options.dtype = MXL_FLOAT16.rawValue
    expectStatus(MXL_INVALID_DTYPE, "weight: dtype is float32, expected float16") {
      mxl_linear_v1_create(&options, &layer, $0)
    }
    options.dtype = MXL_DTYPE_NONE.rawValue
    #expect(layer == nil)
    expectOK { mxl_linear_v1_create(&options, &layer, $0) }
    expectOK { mxl_layer_prepare(layer, nil, $0) }
    #expect(run(layer, [1, 1, 1], [3], [2]) == [16, 35])
    mxl_layer_destroy(layer)
  }

  @Test("forwards of other threads go on while a handle's weights are replaced")
  func replaceWhileRunning() {
    let layer = arguments.layer(inDim: 64, outDim: 64)
    let states = [1, 2].map { value in
      arguments.array([arguments.entry("weight", [Float](repeating: Float(value), count: 64 * 64), [64, 64])])
    }
    expectOK { mxl_layer_load(layer, states[0], 1, 0, $0) }
    expectOK { mxl_layer_prepare(layer, nil, $0) }
    let handle = UInt(bitPattern: layer)
    let stop = Counter()
    let wrong = Counter()
    let done = Counter()
    for _ in 0..<3 {
      Thread.detachNewThread {
        let arguments = Arguments()
        var x = arguments.tensor([Float](repeating: 1, count: 64), [64])
        var y = arguments.tensor([Float](repeating: 0, count: 64), [64])
        let layer = UnsafeMutablePointer<mxl_layer>(bitPattern: handle)
        repeat {
          let status = mxl_layer_forward(layer, nil, &x, &y, nil)
          let values = (0..<64).map { y.data?.load(fromByteOffset: 4 * $0, as: Float.self) }
          if status != MXL_OK || Set(values).count != 1 || ![64, 128].contains(values[0]) { wrong.add() }
        } while stop.value == 0
        done.add()
      }
    }
    for round in 0..<200 { expectOK { mxl_layer_load(layer, states[round % 2], 1, MXL_LOAD_REPLACE, $0) } }
    stop.add()
    while done.value < 3 { usleep(1000) }
    #expect(wrong.value == 0)
    #expect(run(layer, [Float](repeating: 1, count: 64), [64], [64])[0] == 128)
  }

  @Test("checkpoints open, list, find, and fill layers that outlive them")
  func checkpoints() throws {
    let folder = try TemporaryFolder()
    let data = ([1, 2, 3, 4, 5, 6] as [Float]).withUnsafeBytes { Array($0) }
    let path = try folder.write(
      "m.safetensors", safetensors("{" + tensorText("a.weight", "F32", [2, 3], 0, 24) + "}", data: data))
    let paths = arguments.array([arguments.string(path) as UnsafePointer<CChar>?])
    var weights: UnsafeMutablePointer<mxl_weights>?
    expectOK { mxl_weights_open(paths, 1, &weights, $0) }
    var count = 0
    expectOK { mxl_weights_count(weights, &count, $0) }
    #expect(count == 1)
    var entry = mxl_entry()
    var again = mxl_entry()
    expectOK { mxl_weights_entry(weights, 0, &entry, $0) }
    expectOK { mxl_weights_find(weights, arguments.string("a.weight"), &again, $0) }
    #expect(entry.name == again.name && entry.tensor.data == again.tensor.data && entry.release == nil)
    #expect(entry.storage == Int32(MXL_STORAGE_MAP.rawValue) && entry.tensor.rank == 2 && entry.tensor.shape[1] == 3)
    expectStatus(MXL_MISSING_KEY, "a.weigth: missing, expected it in the checkpoint; the nearest key is \"a.weight\"") {
      mxl_weights_find(weights, arguments.string("a.weigth"), &again, $0)
    }
    expectStatus(MXL_INVALID_ARGUMENT, "index: is 1, expected less than the 1 tensors") {
      mxl_weights_entry(weights, 1, &again, $0)
    }
    var mapped: UInt64 = 0
    var resident: UInt64 = 0
    expectOK { mxl_weights_memory(weights, &mapped, &resident, $0) }
    expectOK { mxl_weights_memory(weights, nil, nil, $0) }
    #expect(mapped > 24 && resident <= mapped)
    let layer = arguments.layer(inDim: 3, outDim: 2)
    expectOK { mxl_layer_load_weights(layer, weights, arguments.string("a."), MXL_LOAD_STRICT, $0) }
    mxl_weights_destroy(weights)
    expectOK { mxl_layer_prepare(layer, nil, $0) }
    #expect(run(layer, [1, 1, 1], [3], [2]) == [6, 15])
    expectStatus(MXL_INVALID_ARGUMENT, "count: is 0, expected at least one path") {
      mxl_weights_open(paths, 0, &weights, $0)
    }
    let missing = arguments.array([nil as UnsafePointer<CChar>?])
    expectStatus(MXL_INVALID_ARGUMENT, "paths[0]: is NULL, expected a string") {
      mxl_weights_open(missing, 1, &weights, $0)
    }
    #expect(
      mxl_weights_open(arguments.array([arguments.string("/nowhere") as UnsafePointer<CChar>?]), 1, &weights, nil)
        == MXL_IO)
  }

  @Test("names, numbers and info")
  func constants() throws {
    #expect(mxl_version() == 0x0000_0100 && mxl_abi_version() == 0)
    #expect(String(cString: mxl_status_name(MXL_INVALID_SHAPE)) == "MXL_INVALID_SHAPE")
    #expect(String(cString: mxl_status_name(mxl_status(rawValue: 12345))) == "MXL_UNKNOWN")
    #expect(
      String(cString: mxl_dtype_name(MXL_BFLOAT16.rawValue)) == "bfloat16" && mxl_dtype_bits(MXL_INT64.rawValue) == 64)
    #expect(String(cString: mxl_dtype_name(99)) == "unknown" && mxl_dtype_bits(99) == 0)
    #expect(mxl_threads() >= 1)
    expectStatus(MXL_INVALID_ARGUMENT, "threads: is 0, expected 1 to 1024") { mxl_set_threads(0, $0) }
    var length = 0
    expectOK { mxl_info(nil, 0, &length, $0) }
    let text = UnsafeMutablePointer<CChar>.allocate(capacity: length + 1)
    defer { text.deallocate() }
    expectOK { mxl_info(text, length + 1, &length, $0) }
    #expect(String(cString: text).utf8.count == length)
    expectStatus(MXL_INVALID_ARGUMENT, "capacity: is \(length), expected \(length + 1) bytes or more") {
      mxl_info(text, length, &length, $0)
    }
    expectStatus(MXL_INVALID_ARGUMENT, "text: is NULL, expected 5 bytes") { mxl_info(nil, 5, &length, $0) }
  }
}
