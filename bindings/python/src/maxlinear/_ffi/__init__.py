"""The C interface as ctypes sees it. Private: the public names are those of the other modules."""
