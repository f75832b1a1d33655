import Testing

/// A JSON text, and whether a strict reader takes it.
struct JSONCase: Sendable, CustomTestStringConvertible {
  let bytes: [UInt8]
  let isValid: Bool
  /// Whether Python's json takes it too; unlike `isValid` only where our reader is stricter on purpose.
  let isValidInPython: Bool

  /// Whether skipping the value takes it although reading does not: skipping converts no number.
  var isSkippable: Bool

  init(_ bytes: [UInt8], isValid: Bool, isValidInPython: Bool? = nil) {
    self.bytes = bytes
    isSkippable = isValid
    self.isValid = isValid
    self.isValidInPython = isValidInPython ?? isValid
  }

  var testDescription: String { String(decoding: bytes.prefix(60), as: UTF8.self).debugDescription }

  static func accept(_ text: String) -> JSONCase { JSONCase(Array(text.utf8), isValid: true) }
  static func reject(_ text: String) -> JSONCase { JSONCase(Array(text.utf8), isValid: false) }
  /// What Python takes and our reader does not.
  static func stricter(_ text: String) -> JSONCase {
    JSONCase(Array(text.utf8), isValid: false, isValidInPython: true)
  }
  /// A number beyond the range of a double, or too long to be converted.
  static func beyondDouble(_ text: String) -> JSONCase {
    var json = stricter(text)
    json.isSkippable = true
    return json
  }
}

private func quoted(_ bytes: [UInt8]) -> [UInt8] { [0x22] + bytes + [0x22] }

private func nested(_ depth: Int) -> String {
  String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
}

/// An object of that many keys k0, k1, ..., and perhaps one of them again.
private func objectText(keys: Int, andThen again: Int? = nil) -> String {
  "{" + (Array(0..<keys) + (again.map { [$0] } ?? [])).map { "\"k\($0)\":\($0)" }.joined(separator: ",") + "}"
}

/// All of it.
let jsonCorpus: [JSONCase] = validTexts + invalidTexts + stricterTexts + byteTexts

private let validTexts: [JSONCase] = [
  // Values and whitespace.
  .accept("null"), .accept("true"), .accept("false"), .accept("0"), .accept("\"\""), .accept("[]"), .accept("{}"),
  .accept(" \t\r\n[ \t\r\n] \t\r\n"), .accept(" {\n\"a\" : [ 1 , 2 ] ,\t\"b\":null } "), .accept("[null,true,false]"),
  .accept("[[],{},[[]],[{}]]"), .accept("{\"\":0}"), .accept("{\"a\":{\"a\":{\"a\":1}}}"),
  .accept("[{\"a\":1},{\"a\":2}]"), .accept("{\"a\":1,\"A\":2}"), .accept("{\"a\":1,\"a \":2}"),
  .accept("{\"a\":[1,2,{\"b\":\"c\"}],\"d\":-1.5e-3}"), .accept(nested(64)),
  // Numbers.
  .accept("-0"), .accept("-1"), .accept("10"), .accept("1234567890"), .accept("9223372036854775807"),
  .accept("-9223372036854775808"), .accept("9223372036854775808"), .accept("-9223372036854775809"),
  .accept("123456789012345678901234567890"), .accept("0.5"), .accept("-0.0"), .accept("1.0"), .accept("1e3"),
  .accept("1E3"), .accept("1e+3"), .accept("1e-3"), .accept("1.5E+10"), .accept("0e0"), .accept("0.1e-7"),
  .accept("1e007"), .accept("1e-999"), .accept("4.9406564584124654e-324"), .accept("1.7976931348623157e308"),
  .accept("0.1000000000000000055511151231257827"), .accept("2.2250738585072011e-308"), .accept("[1,-2,3.5]"),
  // Strings.
  .accept("\"a\""), .accept("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), .accept("\"\\u0041\\u00e9\\u20AC\\uFFFF\""),
  .accept("\"\\u0000\""), .accept("\"a\\u0000b\""), .accept("\"\\ud834\\udd1e\""), .accept("\"\\uD834\\uDD1E!\""),
  .accept("\"\\udbff\\udfff\""), .accept("\"é€𝄞\""), .accept("\"\u{7f}\""), .accept("\"\u{2028}\u{2029}\""),
  .accept("\"/\""), .accept("\"\\\\u0041\""), .accept("\"{[,]}:\""), .accept("{\"\\u0061\":1,\"b\":2}"),
  // The same letter as one scalar and as two: different keys, though Swift's strings are equal.
  .accept("{\"\u{e9}\":1,\"e\u{301}\":2}"), .accept("\"\u{10ffff}\u{fffe}\""), .accept("\"\u{feff}\""),
  // 13 keys and more are told apart in another way than fewer.
  .accept(objectText(keys: 40)), .accept(objectText(keys: 12)), .accept(objectText(keys: 13)),
]

private let invalidTexts: [JSONCase] = [
  // Structure.
  .reject(""), .reject(" "), .reject("["), .reject("]"), .reject("{"), .reject("}"), .reject("[1"), .reject("[1,"),
  .reject("[1,]"), .reject("[,1]"), .reject("[,]"), .reject("[1 2]"), .reject("[1,,2]"), .reject("[1}"),
  .reject("{]"), .reject("[)"), .reject("{\"a\"}"), .reject("{\"a\":}"), .reject("{\"a\":1,}"), .reject("{,}"),
  .reject("{,\"a\":1}"), .reject("{\"a\":1 \"b\":2}"), .reject("{\"a\" 1}"), .reject("{\"a\"::1}"), .reject("{a:1}"),
  .reject("{'a':1}"), .reject("{1:1}"), .reject("{null:1}"), .reject("{\"a\":1"), .reject("{\"a\":1,"),
  .reject("{\"a\""), .reject("{\"a\":"), .reject("{\"a\":1]"), .reject("[\"a\":1]"), .reject("{[]:1}"),
  .reject("{\"a\":1,,\"b\":2}"), .reject("[[1],"), .reject("[{}"), .reject("{\"a\":[1}"),
  // Trailing garbage.
  .reject("[]x"), .reject("{}{}"), .reject("1 2"), .reject("[],"), .reject("null,"), .reject("\"a\"\"b\""),
  .reject("{}}"), .reject("[]]"), .reject("{}\u{0}"), .reject("{}#"), .reject("1 // one"), .reject("/* */1"),
  // Words.
  .reject("nul"), .reject("nulll"), .reject("Null"), .reject("TRUE"), .reject("tru"), .reject("truee"),
  .reject("fals"), .reject("[n]"), .reject("[t"), .reject("undefined"), .reject("[nullnull]"), .reject("nan"),
  // Numbers that JSON does not have.
  .reject("-"), .reject("+1"), .reject("01"), .reject("-01"), .reject("00"), .reject("1."), .reject(".5"),
  .reject("-.5"), .reject("1.e3"), .reject("1e"), .reject("1e+"), .reject("1E-"), .reject("1e1.5"), .reject("0x10"),
  .reject("1_000"), .reject("1,000"), .reject("--1"), .reject("1-"), .reject("1e5e5"), .reject("- 1"),
  .reject("0 .5"), .reject("1a"), .reject("\u{ff11}"), .reject("[1.2.3]"), .reject("inf"), .reject("2."),
  // Strings that JSON does not have.
  .reject("\""), .reject("\"a"), .reject("\"\\\""), .reject("\"\\"), .reject("\"\\a\""), .reject("\"\\x41\""),
  .reject("\"\\'\""), .reject("\"\\0\""), .reject("\"\\u\""), .reject("\"\\u12\""), .reject("\"\\u123\""),
  .reject("\"\\u123g\""), .reject("\"\\U0041\""), .reject("\"\\u004\u{ff11}\""), .reject("\"\\u+041\""),
  .reject("\"\\u 041\""), .reject("\"a\nb\""), .reject("\"a\tb\""), .reject("\"\u{0}\""), .reject("\"\u{1f}\""),
  .reject("'a'"), .reject("\"\\\u{0}\""), .reject("\"\\ud834\\u\""), .reject("\"\\ud834\\udd1\""),
  .reject("\u{feff}[]"), .reject("[\u{a0}1]"), .reject("[\u{c}]"), .reject("[\u{b}1]"), .reject("\u{2028}1"),
  .reject(String(repeating: "[", count: 100_000)), .reject(String(repeating: "{\"\":", count: 100_000)),
]

private let stricterTexts: [JSONCase] = [
  .stricter("NaN"), .stricter("Infinity"), .stricter("-Infinity"), .stricter("[NaN]"), .stricter("{\"a\":NaN}"),
  .stricter("{\"a\":1,\"a\":1}"), .stricter("{\"a\":1,\"\\u0061\":2}"), .stricter("{\"a\":1,\"b\":{},\"a\":[]}"),
  .stricter("[{\"b\":{\"x\":0,\"x\":0}}]"), .stricter("{\"\":1,\"\":1}"),
  .stricter("\"\\ud800\""), .stricter("\"\\udc00\""), .stricter("\"\\ud800\\ud800\""), .stricter("\"\\udd1e\\ud834\""),
  .stricter("\"\\ud834x\""), .stricter("\"\\ud834\\n\""), .stricter("\"\\ud834\\u0041\""), .stricter("{\"\\udfff\":1}"),
  .beyondDouble("1e999"), .beyondDouble("-1e999"), .beyondDouble("[1e309]"),
  .beyondDouble("0." + String(repeating: "0", count: 2000) + "1"),
  .beyondDouble("1" + String(repeating: "0", count: 2000)),
  .stricter(nested(65)),
  .stricter(String(repeating: "{\"a\":", count: 65) + "1" + String(repeating: "}", count: 65)),
  .stricter(objectText(keys: 40, andThen: 0)), .stricter(objectText(keys: 40, andThen: 39)),
  .stricter(objectText(keys: 12, andThen: 11)), .stricter(objectText(keys: 13, andThen: 12)),
]

private let byteTexts: [JSONCase] =
  [
    // UTF-8: lone continuation bytes, truncated and overlong sequences, surrogates, beyond U+10FFFF, bytes never used.
    [0x80], [0xbf], [0xc3], [0xe2, 0x82], [0xf0, 0x9d, 0x84], [0xc0, 0xaf], [0xc1, 0x81], [0xe0, 0x80, 0xaf],
    [0xf0, 0x80, 0x80, 0xaf], [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf], [0xf4, 0x90, 0x80, 0x80],
    [0xf8, 0x88, 0x80, 0x80],
    [0xfe], [0xff], [0xc3, 0x28], [0x61, 0xe9, 0x62], [0x5c, 0x6e, 0xff], [0x5c, 0x6e, 0xe2, 0x82],
  ].map { JSONCase(quoted($0), isValid: false) } + [
    JSONCase([0xff], isValid: false), JSONCase([0x5b, 0xff, 0x5d], isValid: false),
    JSONCase([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d], isValid: false),
    // UTF-16, which a reader of bytes could guess.
    JSONCase([0x31, 0x00], isValid: false), JSONCase([0xff, 0xfe, 0x31, 0x00], isValid: false),
    // A sequence of each length.
    JSONCase(quoted([0x24, 0xc2, 0xa2, 0xe2, 0x82, 0xac, 0xf0, 0x90, 0x8d, 0x88]), isValid: true),
    JSONCase(quoted([0x5c, 0x74, 0xc2, 0xa2, 0xe2, 0x82, 0xac, 0xf0, 0x90, 0x8d, 0x88]), isValid: true),
  ]
