"""The form of the library's messages: the argument, what came, and what was expected."""

import re

_FORM = re.compile(r"[^:]+: .*[^ ,:] ?[,:(]? expected .+", re.DOTALL)


def has_three_parts(message):
    """Whether a message is like "x: rank is 0, expected 1 or more"."""
    return _FORM.fullmatch(message) is not None
