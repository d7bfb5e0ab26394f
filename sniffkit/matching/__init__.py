"""The same packet at several places: which frame of one capture is which of another.

`sightings` reads captures as columns of numbers, `keys` says what stays the same on the way, `nearest` pairs rows of
one key by time, `pairs` those with the same ends, `rewritten` those whose addresses or ports a NAT changed;
`simultaneous` puts sightings of one time in the order of their way.
"""

from __future__ import annotations

from numbers import Real
from typing import Any, TypeAlias

from sniffkit.errors import SniffkitError

# A numpy array; numpy is imported where it is used.
Array: TypeAlias = Any


def window_ns(seconds: float) -> int:
    """How far apart packets may be that nothing but time tells apart, in ns. Raises SniffkitError if it cannot be."""
    if not isinstance(seconds, Real):
        raise SniffkitError(f"window is a number of seconds, not {seconds!r}")
    if not 0 < seconds < 1e6:
        raise SniffkitError(f"window {seconds:g}: it must be above 0 s, and below 1e6")
    return round(seconds * 1e9)
