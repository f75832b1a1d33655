#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A folder that holds one checkpoint: an index of safetensors files, or safetensors files, or a GGUF file, whole or split.
enum CheckpointFolder {
  private static let index = ".safetensors.index.json"

  /// The paths that stand for the folder; nil when the path is no folder.
  ///
  /// Throws `.io` for a folder that cannot be read, `.invalidFile` for one without a checkpoint, or with more than one.
  static func paths(in path: String) throws(MaxLinearError) -> [String]? {
    var information = stat()
    guard !path.utf8.contains(0), stat(path, &information) == 0, information.st_mode & S_IFMT == S_IFDIR else {
      return nil
    }
    let names = try names(in: path)
    func ending(_ suffix: String) -> [String] { names.filter { $0.hasSuffix(suffix) } }
    let (indexes, safetensors, gguf) = (ending(index), ending(".safetensors"), ending(".gguf"))
    let found: [String]
    if !indexes.isEmpty {
      found = indexes
    } else if !safetensors.isEmpty {
      found = []
    } else {
      // The first of a split stands for its parts.
      let parts = gguf.first.flatMap { SplitFiles.paths(from: $0) }
      found = parts.map { Set($0) == Set(gguf) } == true ? [gguf[0]] : gguf
    }
    guard found.count <= 1 else {
      throw MaxLinearError(
        .invalidFile, "\(path): the folder has \(found.joined(separator: ", ")), expected one of them: name it")
    }
    let chosen = found.isEmpty ? safetensors : found
    guard !chosen.isEmpty else {
      throw MaxLinearError(
        .invalidFile, "\(path): the folder has no checkpoint, expected a *\(index), *.safetensors or *.gguf")
    }
    let folder = path.utf8.last == UInt8(ascii: "/") ? path : path + "/"
    return chosen.map { folder + $0 }
  }

  /// In the order of their bytes, without hidden files.
  private static func names(in path: String) throws(MaxLinearError) -> [String] {
    guard let folder = opendir(path) else {
      let reason = strerror(errno).map { String(cString: $0) } ?? "unknown error"
      throw MaxLinearError(.io, "\(path): cannot read the folder: \(reason)")
    }
    defer { _ = closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
        name.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: name.pointee)) {
          String(cString: $0)
        }
      }
      if name.utf8.first != UInt8(ascii: ".") { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}
