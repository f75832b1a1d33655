import MaxLinear

/// Reads a `.npy` file as the command does; what could be read is written, read again and must be the same.
///
/// - Returns: The status of reading; -1 where the second file holds something else.
@_cdecl("fuzz_npy")
public func fuzzNPY(_ path: UnsafePointer<CChar>, _ again: UnsafePointer<CChar>) -> Int32 {
  do {
    let first = try NPY.read(String(cString: path))
    try NPY.write(first, to: String(cString: again))
    let second = try NPY.read(String(cString: again))
    return first.shape == second.shape && first.dtype == second.dtype && bytes(first) == bytes(second) ? 0 : -1
  } catch let error as MaxLinearError {
    return error.status.rawValue
  } catch {
    return -1
  }
}

private func bytes(_ tensor: Tensor) -> [UInt8] {
  withExtendedLifetime(tensor.owner) { Array(UnsafeRawBufferPointer(start: tensor.pointer, count: tensor.byteCount)) }
}
