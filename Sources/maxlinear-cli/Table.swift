/// Rows of columns, each as wide as its widest cell. The first column is aligned to the left, and so are those named.
struct Table {
  private let widths: [Int]
  private let isLeft: [Bool]

  /// `cells` are what will be printed, or its longest; the header is one of them.
  init(cells: [[String]], leftColumns: Set<Int> = [0]) {
    let columns = cells.map(\.count).max() ?? 0
    widths = (0..<columns).map { column in cells.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    isLeft = (0..<columns).map { leftColumns.contains($0) }
  }

  func line(_ cells: [String]) -> String {
    var line = ""
    for (column, cell) in cells.enumerated() {
      let space = String(repeating: " ", count: max(0, widths[column] - cell.count))
      let isLast = column == cells.count - 1
      line += isLeft[column] ? cell + (isLast ? "" : space) : space + cell
      if !isLast { line += "  " }
    }
    return line
  }
}
