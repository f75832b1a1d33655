/// What went wrong in a call: a status to act on, and a message that names the argument, what came and what was
/// expected.
///
/// Every error the library throws is one of these. The C interface returns the same status as its number.
public struct MaxLinearError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of error. Raw values are those of `mxl_status`.
  public enum Status: Int32, Sendable, CaseIterable {
    /// A value outside its range, or one that is missing.
    case invalidArgument = 100
    /// A rank, dimension or stride that does not fit, or whose product overflows.
    case invalidShape = 110
    /// A dtype the operation does not take.
    case invalidDType = 120
    /// A handle of another type, a destroyed one, or none at all.
    case invalidHandle = 130
    /// A state dict or checkpoint lacks a tensor.
    case missingKey = 200
    /// A strict state dict has a tensor the layer does not.
    case unexpectedKey = 210
    /// Prepared or called before the weights were loaded.
    case notLoaded = 300
    /// Called before it was prepared (C only: in Swift the first call prepares).
    case notPrepared = 310
    /// A change to a prepared layer that did not ask to replace.
    case alreadyPrepared = 320
    /// Well formed, but not something this library does.
    case unsupported = 400
    /// A device this process does not have.
    case noDevice = 410
    /// The operating system refused to open, read or map a file.
    case io = 500
    /// A file breaks the rules of its format.
    case invalidFile = 510
    /// Processes that share a layer do not agree, or one of them has failed, ended or not come in time.
    case communication = 520
    /// Memory or an operating system resource ran out.
    case outOfMemory = 600
    /// A defect of the library.
    case `internal` = 900
  }

  /// What kind of failure it was, with the numbers of `mxl_status`.
  public let status: Status
  /// The argument, what came, and what was expected.
  public let message: String

  /// An error of a module or linear of one's own, reported as the library reports its own.
  public init(_ status: Status, _ message: String) {
    self.status = status
    self.message = message
  }

  /// The message.
  public var description: String { message }
}
