#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Errors as a picture: a row a kind of matrix, a column a layer, the colour by the logarithm of the error.
struct HeatMap {
  /// The number of a matrix's layer, nil where its name has none, and what the name says besides.
  private struct Place {
    let layer: Int?
    let before: String
    let after: String

    /// The first part of the name that is a number is the layer's.
    init(_ name: String) {
      let parts = name.split(separator: ".", omittingEmptySubsequences: false)
      let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
      let index = parts.firstIndex { Int($0) != nil && $0.utf8.allSatisfy { digits ~= $0 } }
      layer = index.flatMap { Int(parts[$0]) }
      before = index.map { parts[..<$0].joined(separator: ".") } ?? ""
      after = index.map { parts[($0 + 1)...].joined(separator: ".") } ?? name
    }
  }

  private struct Cell {
    let row: Int
    let column: Int
    let error: Double?
  }

  private let cells: [Cell]
  private let rowLabels: [String]
  /// nil stands for matrices of no layer.
  private let columns: [Int?]
  /// Whole powers of ten around all errors.
  private let decades: ClosedRange<Int>

  private static let colors = 200
  private static let white: UInt8 = 0
  private static let black: UInt8 = 1
  private static let gray: UInt8 = 2
  private static let firstColor: UInt8 = 3
  private static let margin = 16

  /// nil for no matrices.
  init?(_ matrices: [(name: String, error: Double?)]) {
    guard !matrices.isEmpty else { return nil }
    let places = matrices.map { Place($0.name) }
    let prefixes = Set(places.filter { $0.layer != nil }.map(\.before))
    func label(_ place: Place) -> String {
      place.layer != nil && prefixes.count > 1 ? "\(place.before).*.\(place.after)" : place.after
    }
    var rowLabels: [String] = []
    var rows: [String: Int] = [:]
    for place in places where rows[label(place)] == nil {
      rows[label(place)] = rowLabels.count
      rowLabels.append(label(place))
    }
    let layers = Set(places.compactMap(\.layer)).sorted()
    let columns: [Int?] = (places.contains { $0.layer == nil } ? [nil] : []) + layers.map { $0 }
    let positions = Dictionary(uniqueKeysWithValues: columns.enumerated().map { ($1, $0) })
    cells = zip(places, matrices).map { place, matrix in
      Cell(row: rows[label(place)] ?? 0, column: positions[place.layer] ?? 0, error: matrix.error)
    }
    let logarithms = matrices.compactMap(\.error).filter { $0 > 0 }.map { log10($0) }
    let lowest = Int((logarithms.min() ?? -1).rounded(.down))
    decades = lowest...max(Int((logarithms.max() ?? 0).rounded(.up)), lowest + 1)
    self.rowLabels = rowLabels.map(\.printable)
    self.columns = columns
  }

  /// The picture: the map, the layers' numbers above it, the scale below.
  var picture: PNG {
    // Small letters where there are many rows.
    let scale = rowLabels.count <= 64 ? 2 : 1
    let cell = (PixelFont.height + 4) * scale
    let longest = rowLabels.map { PixelFont.width($0, scale: scale) }.max() ?? 0
    let left = Self.margin + longest + 4 * scale
    let top = Self.margin + cell
    let title = "relative RMS"
    let legendWidth = max(columns.count * cell, 2 * PixelFont.width(title, scale: scale))
    let bottom = top + rowLabels.count * cell
    var picture = PNG(
      width: left + legendWidth + Self.margin, height: bottom + 3 * cell + Self.margin, palette: Self.palette)

    func draw(_ text: String, _ x: Int, _ y: Int) {
      PixelFont.draw(text, on: &picture, x: x, y: y, scale: scale, color: Self.black)
    }
    for (row, label) in rowLabels.enumerated() {
      draw(label, left - 4 * scale - PixelFont.width(label, scale: scale), top + row * cell + 2 * scale)
    }
    // As many numbers as have room.
    let widest = columns.map { PixelFont.width($0.map(String.init) ?? "-", scale: scale) }.max() ?? 1
    let every = (widest + 2 * scale + cell - 1) / cell
    for (column, layer) in columns.enumerated() where layer == nil || (layer ?? 0) % every == 0 {
      draw(layer.map(String.init) ?? "-", left + column * cell + 2 * scale, Self.margin)
    }
    for found in cells {
      let (x, y) = (left + found.column * cell, top + found.row * cell)
      picture.fill(x: x..<x + cell - 1, y: y..<y + cell - 1, color: color(found.error))
    }
    let legend = bottom + cell
    for x in 0..<legendWidth {
      let color = Self.firstColor + UInt8(x * Self.colors / legendWidth)
      picture.fill(x: left + x..<left + x + 1, y: legend..<legend + cell / 2, color: color)
    }
    let numbers = legend + cell / 2 + 2 * scale
    draw(formatted("1e%d", decades.lowerBound), left, numbers)
    let upper = formatted("1e%d", decades.upperBound)
    draw(upper, left + legendWidth - PixelFont.width(upper, scale: scale), numbers)
    draw(title, left + (legendWidth - PixelFont.width(title, scale: scale)) / 2, numbers)
    return picture
  }

  /// Gray for what is not finite; the lowest colour for no error at all.
  private func color(_ error: Double?) -> UInt8 {
    guard let error else { return Self.gray }
    guard error > 0 else { return Self.firstColor }
    let part = (log10(error) - Double(decades.lowerBound)) / Double(decades.count - 1)
    return Self.firstColor + UInt8(min(max(part, 0), 1) * Double(Self.colors - 1))
  }

  /// White, black, gray, then from dark blue by way of green to yellow, ever lighter.
  private static var palette: [(UInt8, UInt8, UInt8)] {
    let anchors: [(Double, Double, Double)] = [
      (40, 20, 90), (45, 75, 145), (30, 130, 140), (60, 180, 110), (160, 215, 65), (250, 235, 60),
    ]
    let scale = (0..<colors).map { index in
      let place = Double(index) / Double(colors - 1) * Double(anchors.count - 1)
      let first = min(Int(place), anchors.count - 2)
      let part = place - Double(first)
      func mix(_ low: Double, _ high: Double) -> UInt8 { UInt8(low * (1 - part) + high * part) }
      let (low, high) = (anchors[first], anchors[first + 1])
      return (mix(low.0, high.0), mix(low.1, high.1), mix(low.2, high.2))
    }
    return [(255, 255, 255), (0, 0, 0), (170, 170, 170)] + scale
  }
}
