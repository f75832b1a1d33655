import CHandles
import MaxLinear
import MaxLinearC
import Testing

@Suite("C interface of checkpoints")
struct CWeightsTests {
  @Test("a layer filled from a checkpoint's entry keeps the file mapped")
  func checkpointEntry() throws {
    let folder = try TemporaryFolder()
    let arguments = Arguments()
    let data = [1, 2, 3, 4, 5, 6].map(Float.init).withUnsafeBytes { Array($0) }
    let header = "{" + tensorText("x.weight", "F32", [2, 3], 0, data.count) + "}"
    let path = try folder.write("m.safetensors", safetensors(header, data: data))
    let paths = arguments.array([Optional(arguments.string(path))])
    var weights: UnsafeMutablePointer<mxl_weights>?
    expectOK { mxl_weights_open(paths, 1, &weights, $0) }
    var entry = mxl_entry()
    expectOK { mxl_weights_find(weights, arguments.string("x.weight"), &entry, $0) }
    entry.name = arguments.string("weight")
    let layer = arguments.layer(inDim: 3, outDim: 2)
    expectOK { mxl_layer_load(layer, &entry, 1, MXL_LOAD_STRICT, $0) }
    let mapped = UnsafeRawPointer(entry.tensor.data)
    #expect(FileMapping.mapped(at: mapped)?.path == path)
    mxl_weights_destroy(weights)
    try #require(FileMapping.mapped(at: mapped) != nil)
    var options = mxl_prepare_options()
    options.struct_size = UInt32(MemoryLayout<mxl_prepare_options>.size)
    options.pack = MXL_PACK_NEVER.rawValue
    expectOK { mxl_layer_prepare(layer, &options, $0) }
    var x = arguments.tensor([1, 1, 1], [3])
    var y = arguments.tensor([0, 0], [2])
    expectOK { mxl_layer_forward(layer, nil, &x, &y, $0) }
    #expect(y.data?.load(as: SIMD2<Float>.self) == [6, 15])
    mxl_layer_destroy(layer)
    #expect(FileMapping.mapped(at: mapped) == nil)
  }

  @Test("a checkpoint tells how it is quantized, as the files beside it say")
  func configInC() throws {
    let folder = try TemporaryFolder()
    let arguments = Arguments()
    let path = try folder.write("model.safetensors", safetensors("{}"))
    let paths = arguments.array([Optional(arguments.string(path))])
    var weights: UnsafeMutablePointer<mxl_weights>?
    expectOK { mxl_weights_open(paths, 1, &weights, $0) }
    defer { mxl_weights_destroy(weights) }
    var config = mxl_quantization()
    config.struct_size = UInt32(MemoryLayout<mxl_quantization>.size)
    config.bits = 77
    let nothing =
      "quantization_config: is missing, expected quantize_config.json, quant_config.json or config.json beside the checkpoint to say how it is "
      + "quantized by GPTQ or AWQ"
    expectStatus(MXL_MISSING_KEY, nothing) { mxl_weights_quantization(weights, &config, $0) }
    _ = try folder.write("quantize_config.json", "{\"bits\": 4, \"group_size\": 4294967296}")
    expectStatus(
      MXL_UNSUPPORTED, "quantization_config: group_size is 4294967296, expected at most \(Int32.max)"
    ) { mxl_weights_quantization(weights, &config, $0) }
    #expect(config.bits == 77)
    _ = try folder.write(
      "quantize_config.json",
      "{\"bits\": 3, \"group_size\": -1, \"desc_act\": true, \"checkpoint_format\": \"gptq_v2\"}")
    expectOK { mxl_weights_quantization(weights, &config, $0) }
    #expect(config.bits == 3 && config.group_size == -1 && config.desc_act == 1 && config.sym == 0)
    #expect(String(cString: config.quant_method) == "gptq")
    #expect(String(cString: config.checkpoint_format) == "gptq_v2")
  }
}
