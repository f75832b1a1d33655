// The dynamic product's one file: it links the exports with a static Swift runtime, the version script and the soname.
@_exported import MaxLinearC
