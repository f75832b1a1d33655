import Kernels

/// A plugin of this process: a shared library that brings encodings, kernels and communicators. It stays until the process ends.
///
///     try Plugin.load(path: "log6.so")
///     let layer = try QLinear(weight: blocks, quantizationEncoding: QuantizationEncoding("LOG6"))
///
/// Those that the environment variable `MAXLINEAR_PLUGIN_PATH` names (files and folders, divided by ":") are loaded before the first use
/// of an encoding; `failures` has what went wrong with them.
public struct Plugin: Sendable {
  /// What a plugin has logged.
  public struct Message: Sendable {
    /// "error", "warning" or "info".
    public let level: String
    /// What the plugin said.
    public let text: String
  }

  /// A path of `MAXLINEAR_PLUGIN_PATH` that could not be loaded.
  public struct Failure: Sendable {
    /// What the variable names.
    public let path: String
    /// Why it could not be loaded.
    public let reason: String
  }

  /// What the plugin calls itself.
  public let name: String
  /// "" for plugin zero, which is built in.
  public let path: String
  /// The version of the plugin interface that it was compiled with, such as "1.0".
  public let abiVersion: String
  /// The names of the encodings it brings.
  public let encodings: [String]
  /// The kernel rows, with those that the library adds to the plugin's encodings.
  public let kernels: [String]
  /// The names of the kinds of communicators it brings.
  public let communicators: [String]
  /// The last few messages, oldest first.
  public let messages: [Message]

  /// All plugins, in the order they were loaded, plugin zero first.
  public static var loaded: [Plugin] {
    (0..<mxlk_plugin_count()).compactMap { mxlk_plugin_at($0) }.map { Plugin($0.pointee) }
  }

  /// What `MAXLINEAR_PLUGIN_PATH` names and could not be loaded.
  public static var failures: [Failure] {
    (0..<mxlk_plugin_failure_count()).compactMap { mxlk_plugin_failure_at($0) }.map {
      Failure(path: String(cString: $0.pointee.path), reason: String(cString: $0.pointee.reason))
    }
  }

  /// Loads a plugin and registers all it brings, or nothing when it fails; one that is there already is left as it is. Running layers are
  /// not disturbed, what is prepared afterwards finds the new encodings and kernels. A plugin is code: load none that you do not trust.
  ///
  /// - Throws: `.io` when there is no such file; `.invalidFile` when it is no plugin or breaks the rules of maxlinear/plugin.h;
  ///   `.unsupported` for another major version or a plugin that cannot work here; `.invalidArgument` when a name is there already;
  ///   `.outOfMemory`.
  public static func load(path: String) throws { try load(checking: path) }

  /// `load` with the error's type.
  package static func load(checking path: String) throws(MaxLinearError) {
    guard !path.utf8.contains(0) else {
      throw MaxLinearError(.invalidArgument, "path: is \(path) with a NUL byte, expected a path")
    }
    guard !path.isEmpty else { throw MaxLinearError(.io, "path: is empty, expected that of a plugin") }
    var reason = [CChar](repeating: 0, count: 504)
    let code = path.withCString { mxlk_plugin_load($0, &reason, reason.count) }
    guard code != MXL_OK else { return }
    let status = MaxLinearError.Status(rawValue: Int32(code.rawValue)) ?? .internal
    throw MaxLinearError(status, "\(path): \(reason.withUnsafeBufferPointer(Self.text))")
  }

  private init(_ plugin: mxlk_plugin) {
    name = String(cString: plugin.name)
    path = plugin.path.map { String(cString: $0) } ?? ""
    abiVersion = "\(plugin.abi_major).\(plugin.abi_minor)"
    encodings = (0..<plugin.encoding_count).compactMap { plugin.encodings[$0] }.map { String(cString: $0.pointee.name) }
    kernels = (0..<plugin.row_count).compactMap { plugin.rows[$0] }.map { String(cString: $0.pointee.name) }
    communicators = (0..<plugin.communicator_count).compactMap { plugin.communicators[$0] }
      .map { String(cString: $0.pointee.name) }
    messages = (0..<mxlk_plugin_log(plugin.host, .max, nil, 0, nil)).map { Self.message($0, of: plugin.host) }
  }

  private static func message(_ index: Int, of host: UnsafePointer<mxl_host>?) -> Message {
    var bytes = [CChar](repeating: 0, count: 256)
    var level: Int32 = 0
    _ = mxlk_plugin_log(host, index, &bytes, bytes.count, &level)
    let name =
      switch mxl_log_level(rawValue: level) {
      case MXL_LOG_ERROR: "error"
      case MXL_LOG_WARNING: "warning"
      default: "info"
      }
    return Message(level: name, text: bytes.withUnsafeBufferPointer(Self.text))
  }

  /// Bytes up to NUL, mended where they are no UTF-8.
  private static func text(_ bytes: UnsafeBufferPointer<CChar>) -> String {
    bytes.baseAddress.map { String(cString: $0) } ?? ""
  }

  var json: JSONText {
    func list(_ values: [String]) -> JSONText { .array(values.map(JSONText.string)) }
    return .object([
      ("name", .string(name)),
      ("path", .string(path)),
      ("abi_version", .string(abiVersion)),
      ("encodings", list(encodings)),
      ("kernels", list(kernels)),
      ("communicators", list(communicators)),
      (
        "messages",
        .array(messages.map { .object([("level", .string($0.level)), ("text", .string($0.text))]) })
      ),
    ])
  }
}

extension Plugin.Failure {
  var json: JSONText { .object([("path", .string(path)), ("reason", .string(reason))]) }
}
