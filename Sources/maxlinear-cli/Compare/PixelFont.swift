/// Letters of 5 by 7 pixels, for the names of tensors and numbers.
enum PixelFont {
  static let height = 7
  /// Pixels from a letter to the next.
  static let advance = 6

  /// A letter, and its 7 rows from the top, two hexadecimal digits each: bit 4 is the leftmost pixel.
  private static let table = """
    A 0e1111111f1111  B 1e11111e11111e  C 0e11101010110e  D 1e11111111111e  E 1f10101e10101f  F 1f10101e101010  G 0e11101713110f
    H 1111111f111111  I 0e04040404040e  J 0702020202120c  K 11121418141211  L 1010101010101f  M 111b1515111111  N 11191915131311
    O 0e11111111110e  P 1e11111e101010  Q 0e11111115120d  R 1e11111e141211  S 0f10100e01011e  T 1f040404040404  U 1111111111110e
    V 111111110a0a04  W 1111111515150a  X 110a0a040a0a11  Y 11110a04040404  Z 1f01020408101f
    a 00000e010f110f  b 10101e1111111e  c 00000e1110110e  d 01010f1111110f  e 00000e111f100e  f 0609081c080808  g 000f11110f010e
    h 10101e11111111  i 04000c0404040e  j 0200060202120c  k 10111214181412  l 0c04040404040e  m 00001a15151515  n 00001e11111111
    o 00000e1111110e  p 001e11111e1010  q 000f11110f0101  r 00001619101010  s 00000f100e011e  t 08081c08080906  u 0000111111130d
    v 00001111110a04  w 0000111115150a  x 0000110a040a11  y 001111110f010e  z 00001f0204081f
    0 0e11131519110e  1 040c040404040e  2 0e11010608101f  3 0e11010601110e  4 02060a121f0202  5 1f101e0101110e  6 0e10101e11110e
    7 1f010204040808  8 0e11110e11110e  9 0e11110f01010e  . 00000000000c0c  _ 0000000000001f  - 0000001f000000  * 00150e1f0e1500
    : 000c0c000c0c00  / 01010204081010  ( 02040808080402  ) 08040202020408
    """

  private static let letters: [Character: [UInt8]] = {
    var letters: [Character: [UInt8]] = [" ": Array(repeating: 0, count: height)]
    let words = table.split(whereSeparator: \.isWhitespace)
    for index in stride(from: 0, to: words.count - 1, by: 2) {
      guard let letter = words[index].first, let rows = UInt64(words[index + 1], radix: 16) else { continue }
      letters[letter] = (0..<height).map { UInt8(truncatingIfNeeded: rows >> UInt64(8 * (height - 1 - $0))) }
    }
    return letters
  }()

  /// Those that reach a row lower.
  private static let lower: Set<Character> = ["g", "p", "q", "y"]

  /// What stands for a letter that is not there.
  private static let unknown: [UInt8] = [0x1f, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1f]

  static func width(_ text: String, scale: Int) -> Int { text.count * advance * scale }

  static func draw(_ text: String, on picture: inout PNG, x: Int, y: Int, scale: Int, color: UInt8) {
    for (index, letter) in text.enumerated() {
      for (row, bits) in (letters[letter] ?? unknown).enumerated() {
        for column in 0..<5 where bits >> UInt8(4 - column) & 1 == 1 {
          let left = x + (index * advance + column) * scale
          let top = y + (lower.contains(letter) ? row + 1 : row) * scale
          picture.fill(x: left..<left + scale, y: top..<top + scale, color: color)
        }
      }
    }
  }
}
