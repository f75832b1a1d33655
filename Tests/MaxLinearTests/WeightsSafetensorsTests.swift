import Testing

@testable import MaxLinear

/// A file that breaks one rule, and what the message says after the path.
private struct BadFile: Sendable, CustomTestStringConvertible {
  let rule: String
  let bytes: [UInt8]
  let message: String

  var testDescription: String { rule }

  init(_ rule: String, _ bytes: [UInt8], _ message: String) {
    self.rule = rule
    self.bytes = bytes
    self.message = message
  }

  init(_ rule: String, _ header: String, data: Int = 0, _ message: String) {
    self.init(rule, safetensors(header, data: [UInt8](repeating: 0, count: data)), message)
  }
}

private func entryText(_ members: String) -> String { "{\"a\":{\(members)}}" }

private let dtypeNames =
  "F64, F32, F16, BF16, F8_E5M2, F8_E4M3, F8_E8M0, F6_E2M3, F6_E3M2, F4, C64, I64, I32, I16, I8, U64, U32, U16, U8, BOOL"

private let badLengths: [BadFile] = [
  .init("empty file", [UInt8](), "is empty, expected a file with contents"),
  .init(
    "shorter than the length", [2, 0, 0, 0, 0, 0, 0],
    "has 7 bytes, expected 8 bytes of header length first"),
  .init("only a length", safetensors("", headerLength: 0), "the header begins with something else, expected \"{\""),
  .init(
    "a header of no bytes", safetensors("{}", headerLength: 0), "the header begins with something else, expected \"{\""),
  .init(
    "header longer than the file", safetensors("{}", headerLength: 3),
    "the header length is 3, expected at most the 2 bytes that follow in the file"),
  .init(
    "header of 100 MB that is not there", safetensors("{}", headerLength: 100_000_000),
    "the header length is 100000000, expected at most the 2 bytes that follow in the file"),
  .init(
    "header beyond 100 MB", safetensors("{}", headerLength: 100_000_001),
    "the header length is 100000001, expected at most 100000000"),
  .init(
    "header of 2^63", safetensors("{}", headerLength: 1 << 63),
    "the header length is 9223372036854775808, expected at most 100000000"),
  .init(
    "header of 2^64 - 1", safetensors("{}", headerLength: .max),
    "the header length is 18446744073709551615, expected at most 100000000"),
  .init(
    "Git LFS pointer", Array("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".utf8),
    "is a Git LFS pointer, expected the file itself: fetch it with git lfs pull"),
]

private let badJSON: [BadFile] = [
  .init("whitespace before the header", " {}", "the header begins with something else, expected \"{\""),
  .init("an array", "[]", "the header begins with something else, expected \"{\""),
  .init("cut off", "{\"a\":", "safetensors header: byte 5: the JSON text ends, expected a value"),
  .init("something after the object", "{}x", "safetensors header: byte 2: \"x\", expected the end of the JSON text"),
  .init("NUL as padding", "{}\u{0}", "safetensors header: byte 2: a byte 0x0, expected the end of the JSON text"),
  .init("two objects", "{}{}", "safetensors header: byte 2: \"{\", expected the end of the JSON text"),
  .init(
    "a name that is not UTF-8", safetensors(Array("{\"".utf8) + [0xff] + Array("\":{}}".utf8)),
    "safetensors header: byte 2: the string that begins here is something else, expected valid UTF-8"),
  .init("a lone surrogate", "{\"\\ud800\":{}}", "safetensors header: byte 4: a lone surrogate \\u escape"),
  .init(
    "a name twice", "{" + tensorText("a", "U8", [1], 0, 1) + "," + tensorText("a", "U8", [1], 1, 2) + "}", data: 2,
    "the key \"a\" comes twice, expected it once"),
  .init(
    "a name twice, once escaped",
    "{" + tensorText("a", "U8", [1], 0, 1) + "," + tensorText("\\u0061", "U8", [0], 1, 1)
      + "}", data: 1, "the key \"a\" comes twice, expected it once"),
  .init(
    "a tensor's key twice", entryText("\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]"), data: 1,
    "the key \"dtype\" comes twice, expected it once"),
  .init(
    "too deep", entryText("\"x\":" + String(repeating: "[", count: 100)),
    "objects and arrays nest deeper, expected at most 64 in one another"),
  .init(
    "metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}",
    "the key \"__metadata__\" comes twice, expected it once"),
  .init(
    "a metadata key twice", "{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}",
    "the key \"k\" comes twice, expected it once"),
  .init("metadata is null", "{\"__metadata__\":null}", "__metadata__ is something else, expected an object of strings"),
  .init(
    "metadata is an array", "{\"__metadata__\":[]}", "__metadata__ is something else, expected an object of strings"),
  .init(
    "metadata of a number", "{\"__metadata__\":{\"k\":1}}", "__metadata__: \"k\" is something else, expected a string"),
  .init(
    "metadata of an object", "{\"__metadata__\":{\"k\":{}}}", "__metadata__: \"k\" is something else, expected a string"
  ),
  .init(
    "metadata like a tensor", "{" + tensorText("__metadata__", "U8", [], 0, 1) + "}", data: 1,
    "__metadata__: \"shape\" is something else, expected a string"),
]

private let badEntries: [BadFile] = [
  .init("null", "{\"a\":null}", "tensor \"a\": is something else, expected an object with dtype, shape, data_offsets"),
  .init(
    "an array", "{\"a\":[\"U8\",[],[0,1]]}", data: 1,
    "tensor \"a\": is something else, expected an object with dtype, shape, data_offsets"),
  .init("no dtype", entryText("\"shape\":[],\"data_offsets\":[0,1]"), data: 1, "tensor \"a\": has no dtype"),
  .init("no shape", entryText("\"dtype\":\"U8\",\"data_offsets\":[0,1]"), data: 1, "tensor \"a\": has no shape"),
  .init("no offsets", entryText("\"dtype\":\"U8\",\"shape\":[]"), data: 1, "tensor \"a\": has no data_offsets"),
  .init("dtype is a number", entryText("\"dtype\":8"), "tensor \"a\": dtype is something else, expected a string"),
  .init(
    "unknown dtype", "{" + tensorText("a", "F33", [], 0, 1) + "}", data: 1,
    "tensor \"a\": dtype is \"F33\", expected one of \(dtypeNames)"),
  .init(
    "dtype in lower case", "{" + tensorText("a", "f32", [], 0, 4) + "}", data: 4,
    "tensor \"a\": dtype is \"f32\", expected one of \(dtypeNames)"),
  .init("shape is a number", entryText("\"shape\":2"), "tensor \"a\": shape is something else, expected an array"),
  .init(
    "shape of a string", entryText("\"shape\":[\"2\"]"), "tensor \"a\": shape[0] is something else, expected a number"),
  .init("negative dimension", entryText("\"shape\":[2,-2]"), "tensor \"a\": shape[1] is -2, expected 0 or more"),
  .init("fraction", entryText("\"shape\":[2.0]"), "a fraction or exponent, expected an integer"),
  .init("exponent", entryText("\"shape\":[1e2]"), "a fraction or exponent, expected an integer"),
  .init("dimension of 2^63", entryText("\"shape\":[9223372036854775808]"), "an integer, expected one of 64 bits"),
  .init("dimension of 2^64", entryText("\"shape\":[18446744073709551616]"), "an integer, expected one of 64 bits"),
  .init(
    "offsets is an object", entryText("\"data_offsets\":{}"),
    "tensor \"a\": data_offsets is something else, expected an array"),
  .init(
    "one offset", entryText("\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0]"), data: 1,
    "tensor \"a\": data_offsets has 1 numbers, expected 2: begin and end"),
  .init(
    "three offsets", entryText("\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1,1]"), data: 1,
    "tensor \"a\": data_offsets has 3 numbers, expected 2: begin and end"),
  .init(
    "negative offset", entryText("\"data_offsets\":[-1,0]"), "tensor \"a\": data_offsets[0] is -1, expected 0 or more"),
  .init(
    "name with NUL", "{" + tensorText("a\\u0000b", "U8", [], 0, 1) + "}", data: 1, "the name has a NUL byte"),
]

private let badData: [BadFile] = [
  .init(
    "begin after end", "{" + tensorText("a", "U8", [1], 2, 1) + "}", data: 2,
    "tensor \"a\": data_offsets are [2, 1], expected the begin before the end"),
  .init(
    "end past the file", "{" + tensorText("a", "U8", [3], 0, 3) + "}", data: 2,
    "tensor \"a\": data_offsets are [0, 3], expected them within the file's 2 bytes of data"),
  .init(
    "end at 2^63 - 1", "{" + tensorText("a", "U8", [.max], 0, .max) + "}", data: 2,
    "tensor \"a\": data_offsets are [0, 9223372036854775807], expected them within the file's 2 bytes of data"),
  .init(
    "an empty tensor past the file", "{" + tensorText("a", "U8", [0], 9, 9) + "}", data: 2,
    "tensor \"a\": data_offsets are [9, 9], expected them within the file's 2 bytes of data"),
  .init(
    "size too small", "{" + tensorText("a", "F32", [2, 3], 0, 20) + "}", data: 20,
    "tensor \"a\": data_offsets are [0, 20], 20 bytes, expected the 24 that shape [2, 3] of float32 takes"),
  .init(
    "size too large", "{" + tensorText("a", "BF16", [2], 0, 8) + "}", data: 8,
    "tensor \"a\": data_offsets are [0, 8], 8 bytes, expected the 4 that shape [2] of bfloat16 takes"),
  .init(
    "0-d is one element", "{" + tensorText("a", "F32", [], 0, 0) + "}",
    "tensor \"a\": data_offsets are [0, 0], 0 bytes, expected the 4 that shape [] of float32 takes"),
  .init(
    "product overflows", "{" + tensorText("a", "U8", [1 << 32, 1 << 32], 0, 0) + "}",
    "tensor \"a\": shape is [4294967296, 4294967296] of uint8, expected one that memory can hold"),
  .init(
    "product wraps to 0", "{" + tensorText("a", "F32", [1 << 62, 4], 0, 0) + "}",
    "tensor \"a\": shape is [4611686018427387904, 4] of float32, expected one that memory can hold"),
  .init(
    "bits overflow", "{" + tensorText("a", "F64", [1 << 58], 0, 0) + "}",
    "tensor \"a\": shape is [288230376151711744] of float64, expected one that memory can hold"),
  .init(
    "overflow before a zero", "{" + tensorText("a", "U8", [.max, .max, 0], 0, 0) + "}",
    "tensor \"a\": shape is [9223372036854775807, 9223372036854775807, 0] of uint8, expected one that memory can hold"),
  .init(
    "overflow after a zero", "{" + tensorText("a", "U8", [0, .max, .max], 0, 0) + "}",
    "tensor \"a\": shape is [0, 9223372036854775807, 9223372036854775807] of uint8, expected one that memory can hold"),
  .init(
    "4 bits, odd", "{" + tensorText("a", "F4", [3], 0, 2) + "}", data: 2,
    "tensor \"a\": shape is [3] of float4_e2m1fn, 12 bits, expected whole bytes"),
  .init(
    "6 bits, 2 elements", "{" + tensorText("a", "F6_E3M2", [2], 0, 2) + "}", data: 2,
    "tensor \"a\": shape is [2] of float6_e3m2fn, 12 bits, expected whole bytes"),
  .init(
    "hole at the beginning", "{" + tensorText("a", "U8", [1], 1, 2) + "}", data: 2,
    "tensor \"a\": begins at byte 1 of the data and leaves a hole of 1 bytes after the beginning of the data"),
  .init(
    "hole between", "{" + tensorText("a", "U8", [1], 0, 1) + "," + tensorText("b", "U8", [1], 3, 4) + "}", data: 4,
    "tensor \"b\": begins at byte 3 of the data and leaves a hole of 2 bytes after tensor \"a\", expected its end, 1"),
  .init(
    "hole at the end", "{" + tensorText("a", "U8", [1], 0, 1) + "}", data: 2,
    "the tensors cover 1 bytes of data, expected the file's 2"),
  .init("data without tensors", "{}", data: 1, "the tensors cover 0 bytes of data, expected the file's 1"),
  .init(
    "overlap", "{" + tensorText("a", "U8", [2], 0, 2) + "," + tensorText("b", "U8", [2], 1, 3) + "}", data: 3,
    "tensor \"b\": begins at byte 1 of the data and overlaps tensor \"a\", expected its end, 2"),
  .init(
    "the same bytes twice", "{" + tensorText("a", "U8", [2], 0, 2) + "," + tensorText("b", "U8", [2], 0, 2) + "}",
    data: 2,
    "tensor \"b\": begins at byte 0 of the data and overlaps tensor \"a\", expected its end, 2"),
  .init(
    "one inside another", "{" + tensorText("a", "U8", [4], 0, 4) + "," + tensorText("b", "U8", [0], 2, 2) + "}",
    data: 4,
    "tensor \"b\": begins at byte 2 of the data and overlaps tensor \"a\", expected its end, 4"),
]

@Suite struct WeightsSafetensorsTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func open(_ header: String, data: [UInt8] = []) throws -> Weights {
    try Weights.open([folder.write("model.safetensors", safetensors(header, data: data))])
  }

  @Test(arguments: badLengths + badJSON + badEntries + badData)
  private func refuses(_ file: BadFile) throws {
    let path = try folder.write("model.safetensors", file.bytes)
    let error = try #require(thrownError { _ = try Weights.open([path]) })
    #expect(error.status == .invalidFile)
    #expect(error.message.hasPrefix("\(path): "))
    #expect(error.message.contains(file.message), "\(error.message)")
  }

  @Test(arguments: ["F8_E4M3FNUZ", "F8_E5M2FNUZ"])
  func unsupportedDType(_ dtype: String) throws {
    let error = thrownError { _ = try open("{" + tensorText("a", dtype, [1], 0, 1) + "}", data: [0]) }
    #expect(error?.status == .unsupported)
    #expect(error?.message.hasSuffix("tensor \"a\": dtype is \(dtype), expected one that is supported") == true)
  }

  @Test func rankIsLimited() throws {
    let ones = [Int](repeating: 1, count: 17)
    let weights = try open("{" + tensorText("a", "U8", Array(ones.dropLast()), 0, 1) + "}", data: [7])
    #expect(weights["a"]?.tensor.shape.count == 16)
    let error = thrownError { _ = try open("{" + tensorText("a", "U8", ones, 0, 1) + "}", data: [7]) }
    #expect(error?.status == .unsupported)
    #expect(error?.message.hasSuffix("tensor \"a\": has 17 dimensions, expected at most 16") == true)
  }

  /// One tensor of each dtype, eight elements, laid one after the other and so mostly unaligned.
  @Test func readsEachDType() throws {
    let dtypes: [(String, DType, Int)] = [
      ("BOOL", .bool, 8), ("F4", .float4E2M1, 4), ("F6_E2M3", .float6E2M3, 6), ("F6_E3M2", .float6E3M2, 6),
      ("U8", .uint8, 8), ("I8", .int8, 8), ("F8_E5M2", .float8E5M2, 8), ("F8_E4M3", .float8E4M3, 8),
      ("F8_E8M0", .float8E8M0, 8), ("U16", .uint16, 16), ("I16", .int16, 16), ("F16", .float16, 16),
      ("BF16", .bfloat16, 16), ("U32", .uint32, 32), ("I32", .int32, 32), ("F32", .float32, 32),
      ("C64", .complex64, 64),
      ("U64", .uint64, 64), ("I64", .int64, 64), ("F64", .float64, 64),
    ]
    var texts: [String] = []
    var begins: [Int] = []
    var end = 1
    texts.append(tensorText("pad", "U8", [1], 0, 1))
    for (name, _, bits) in dtypes {
      begins.append(end)
      texts.append(tensorText(name, name, [2, 4], end, end + bits))
      end += bits
    }
    let data = (0..<end).map { UInt8(truncatingIfNeeded: $0 &* 37) }
    let weights = try open("{" + texts.joined(separator: ",") + "}", data: data)
    #expect(weights.count == dtypes.count + 1)
    #expect(weights.names == ["pad"] + dtypes.map(\.0))
    for ((name, dtype, bytes), begin) in zip(dtypes, begins) {
      let tensor = try #require(weights[name]?.tensor)
      #expect(tensor.dtype == dtype)
      #expect(tensor.shape == [2, 4])
      #expect(contents(tensor, count: bytes) == Array(data[begin..<begin + bytes]), "\(name)")
    }
  }

  @Test func acceptsWhatTheFormatAllows() throws {
    #expect(try open("{}").count == 0)
    #expect(try open("{\"__metadata__\":{}}").metadata.isEmpty)
    #expect(try open("{\"__metadata__\":{\"k\":\"v\",\"\":\"\"}}").metadata == ["k": "v", "": ""])
    #expect(try open("{}   \t\r\n ").count == 0)
    // Metadata may come after a tensor, and a tensor may have other keys, which are checked as JSON.
    let entry = "\"extra\":{\"deep\":[1,null]},\"data_offsets\":[0,2],\"shape\":[2],\"dtype\":\"U8\""
    let weights = try open("{\"a\":{\(entry)},\"__metadata__\":{\"format\":\"pt\"}}", data: [1, 2])
    #expect(weights.metadata == ["format": "pt"])
    #expect(weights["a"]?.tensor.shape == [2])
    // An empty name, and names that Swift's == does not tell apart.
    let names =
      "{" + tensorText("", "U8", [], 0, 1) + "," + tensorText("\u{e9}", "U8", [], 1, 2) + ","
      + tensorText("e\u{301}", "U8", [], 2, 3) + "}"
    let three = try open(names, data: [1, 2, 3])
    #expect(three[""].map { contents($0.tensor, count: 1) } == [1])
    #expect(three["\u{e9}"].map { contents($0.tensor, count: 1) } == [2])
    #expect(three["e\u{301}"].map { contents($0.tensor, count: 1) } == [3])
    #expect(three["e"] == nil)
  }

  @Test func acceptsScalarsAndEmptyTensors() throws {
    let header =
      "{" + tensorText("end", "F32", [0, 5], 6, 6) + "," + tensorText("scalar", "F16", [], 0, 2) + ","
      + tensorText("begin", "F32", [3, 0], 0, 0) + "," + tensorText("between", "F4", [0], 2, 2) + ","
      + tensorText("four", "U32", [1, 1], 2, 6) + "}"
    let weights = try open(header, data: [1, 2, 3, 4, 5, 6])
    #expect(weights.names == ["begin", "scalar", "between", "four", "end"])
    #expect(weights["scalar"]?.tensor.shape == [])
    #expect(weights["begin"]?.tensor.shape == [3, 0])
    #expect(weights["four"].map { contents($0.tensor, count: 4) } == [3, 4, 5, 6])
    #expect(weights.entry(at: 4)?.name == "end")
    #expect(weights.entry(at: 5) == nil)
    #expect(weights.entry(at: -1) == nil)
  }

  /// The data's order decides, not the header's.
  @Test func listsInTheOrderOfTheData() throws {
    let header = "{" + tensorText("a", "U8", [1], 1, 2) + "," + tensorText("b", "U8", [1], 0, 1) + "}"
    #expect(try open(header, data: [0, 0]).names == ["b", "a"])
  }

  @Test func manyTensors() throws {
    let count = 100_000
    let texts = (0..<count).map {
      tensorText("model.layers.\($0 / 9).mlp.weight.\($0)", "F16", [1], $0 * 2, $0 * 2 + 2)
    }
    let bytes = safetensors(
      "{" + texts.joined(separator: ",") + "}", data: [UInt8](repeating: 0, count: count * 2))
    let path = try folder.write("many.safetensors", bytes)
    var weights: Weights?
    let duration = try ContinuousClock().measure { weights = try Weights.open([path]) }
    #expect(weights?.count == count)
    #expect(weights?["model.layers.11111.mlp.weight.99999"] != nil)
    #expect(duration < .seconds(20))
  }

  /// Seeded mutations of a header: any outcome but a crash, and what opens keeps the format's promises.
  @Test func mutationsNeverCrash() throws {
    let header = Array(
      ("{\"__metadata__\":{\"format\":\"pt\"}," + tensorText("a", "F32", [2, 3], 0, 24) + ","
        + tensorText("b.weight", "BF16", [4], 24, 32) + "," + tensorText("c", "U8", [0], 32, 32) + "} ").utf8)
    let data = [UInt8](repeating: 1, count: 32)
    var random = SeededGenerator(seed: 11)
    var opened = 0
    for round in 0..<5_000 {
      var bytes: [UInt8]
      if round % 2 == 0 {
        // The header changes and its length is right.
        bytes = safetensors(random.mutate(header), data: data)
      } else {
        // Anything changes, the length too.
        bytes = random.mutate(safetensors(header, data: data))
      }
      let path = try folder.write("mutated.safetensors", bytes)
      guard let weights = try? Weights.open([path]) else { continue }
      opened += 1
      var covered = 0
      for item in weights.items() {
        let tensor = item.tensor
        let count = tensor.shape.reduce(1, *) * tensor.dtype.bits / 8
        _ = contents(tensor, count: count)
        covered += count
      }
      #expect(covered <= bytes.count - 8)
    }
    // Some mutations, such as another letter in a name, leave a valid file.
    #expect(opened > 0)
    #expect(opened < 5_000)
  }
}
