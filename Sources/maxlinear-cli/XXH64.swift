/// The 64-bit hash of the XXH family, with seed 0: what `xxhsum -H1` and Python's `xxhash.xxh64` compute.
///
/// Four lanes take 8 bytes each of a stripe of 32, lane = rotl(lane + word · P2, 31) · P1; at the end they are mixed into one, and with
/// the number of bytes and those that are no whole stripe. https://github.com/Cyan4973/xxHash describes it.
struct XXH64 {
  private static let prime1: UInt64 = 0x9e37_79b1_85eb_ca87
  private static let prime2: UInt64 = 0xc2b2_ae3d_27d4_eb4f
  private static let prime3: UInt64 = 0x1656_67b1_9e37_79f9
  private static let prime4: UInt64 = 0x85eb_ca77_c2b2_ae63
  private static let prime5: UInt64 = 0x27d4_eb2f_1656_67c5
  private static let stripe = 32

  private var lane1 = prime1 &+ prime2
  private var lane2 = prime2
  private var lane3: UInt64 = 0
  private var lane4 = 0 &- prime1
  private var count = 0
  /// Fewer bytes than a stripe, which wait for more.
  private var waiting: [UInt8] = []

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    count += bytes.count
    var rest = bytes[...]
    if !waiting.isEmpty {
      let missing = rest.prefix(Self.stripe - waiting.count)
      waiting += missing
      rest = rest.dropFirst(missing.count)
      guard waiting.count == Self.stripe else { return }
      let whole = waiting
      waiting = []
      whole.withUnsafeBytes { takeStripes(of: $0) }
    }
    let stripes = rest.prefix(rest.count / Self.stripe * Self.stripe)
    takeStripes(of: UnsafeRawBufferPointer(rebasing: stripes))
    waiting = Array(rest.dropFirst(stripes.count))
  }

  private mutating func takeStripes(of bytes: UnsafeRawBufferPointer) {
    // In local variables the lanes stay in registers.
    var (first, second, third, fourth) = (lane1, lane2, lane3, lane4)
    for offset in stride(from: 0, to: bytes.count, by: Self.stripe) {
      first = Self.round(first, Self.word(bytes, offset))
      second = Self.round(second, Self.word(bytes, offset + 8))
      third = Self.round(third, Self.word(bytes, offset + 16))
      fourth = Self.round(fourth, Self.word(bytes, offset + 24))
    }
    (lane1, lane2, lane3, lane4) = (first, second, third, fourth)
  }

  /// The hash of all bytes so far.
  var value: UInt64 {
    var hash = Self.prime5
    if count >= Self.stripe {
      hash = Self.rotated(lane1, 1) &+ Self.rotated(lane2, 7) &+ Self.rotated(lane3, 12) &+ Self.rotated(lane4, 18)
      for lane in [lane1, lane2, lane3, lane4] {
        hash = (hash ^ Self.round(0, lane)) &* Self.prime1 &+ Self.prime4
      }
    }
    hash &+= UInt64(count)
    waiting.withUnsafeBytes { bytes in
      var offset = 0
      while offset + 8 <= bytes.count {
        hash = Self.rotated(hash ^ Self.round(0, Self.word(bytes, offset)), 27) &* Self.prime1 &+ Self.prime4
        offset += 8
      }
      if offset + 4 <= bytes.count {
        let half = UInt64(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
        hash = Self.rotated(hash ^ (half &* Self.prime1), 23) &* Self.prime2 &+ Self.prime3
        offset += 4
      }
      for byte in bytes[offset...] { hash = Self.rotated(hash ^ (UInt64(byte) &* Self.prime5), 11) &* Self.prime1 }
    }
    hash = (hash ^ (hash >> 33)) &* Self.prime2
    hash = (hash ^ (hash >> 29)) &* Self.prime3
    return hash ^ (hash >> 32)
  }

  /// 16 hexadecimal digits.
  var text: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
    UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
    rotated(lane &+ word &* prime2, 31) &* prime1
  }

  private static func rotated(_ word: UInt64, _ bits: UInt64) -> UInt64 { word << bits | word >> (64 - bits) }
}
