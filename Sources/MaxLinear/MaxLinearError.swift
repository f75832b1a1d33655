/// What went wrong, as a status that programs test and a message that people read.
///
/// The message names the argument, what came and what was expected:
/// `x: last dimension is 4095, expected in_dim = 4096`.
public struct MaxLinearError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The status codes of the C interface (`mxl_status`).
  public enum Status: Int32, Sendable, CaseIterable {
    case invalidArgument = 100
    case invalidShape = 110
    case invalidDType = 120
    case invalidHandle = 130
    case missingKey = 200
    case unexpectedKey = 210
    case notLoaded = 300
    case notPrepared = 310
    case alreadyPrepared = 320
    case unsupported = 400
    case noDevice = 410
    case io = 500
    case invalidFile = 510
    case outOfMemory = 600
    case `internal` = 900
  }

  public let status: Status
  public let message: String

  public init(_ status: Status, _ message: String) {
    self.status = status
    self.message = message
  }

  public var description: String { message }
}
