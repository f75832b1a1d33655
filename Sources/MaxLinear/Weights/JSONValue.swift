/// A JSON value as a tree, for texts that are small, such as a model's config.json.
enum JSONValue: Sendable {
  struct Member: Sendable {
    let key: String
    let value: JSONValue
  }

  case object([Member])
  case array([JSONValue])
  case string(String)
  case integer(Int)
  /// A number with a fraction or an exponent, or an integer beyond 64 bits.
  case number(Double)
  case bool(Bool)
  case null

  /// Reads a whole text: one value and nothing after it.
  init(reading bytes: UnsafeRawBufferPointer, source: String, dialect: JSONReader.Dialect = .strict) throws {
    var reader = JSONReader(bytes, source: source, dialect: dialect)
    self = try reader.readValue()
    try reader.finish()
  }

  /// The member of that key, compared byte by byte, the last of several; nil when there is none or this is no object. Looks at each member.
  subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.key.utf8.elementsEqual(key.utf8) }?.value
  }
}
