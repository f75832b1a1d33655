/// How a state dict is taken in; see `Module.loadStateDict`.
package struct LoadOptions: Sendable {
  package var strict: Bool
  package var replace: Bool
  package var overrideQuantizationEncoding: Bool

  package init(strict: Bool = false, replace: Bool = false, overrideQuantizationEncoding: Bool = false) {
    self.strict = strict
    self.replace = replace
    self.overrideQuantizationEncoding = overrideQuantizationEncoding
  }
}
