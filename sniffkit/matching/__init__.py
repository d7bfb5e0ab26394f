"""The same packet at several places: which frame of one capture is which of another.

`sightings` reads captures as columns of numbers, `keys` says what stays the same on the way, `nearest` pairs rows of
one key by time, `pairs` those with the same ends, `rewritten` those whose addresses or ports a NAT changed.
"""

from __future__ import annotations

from typing import Any, TypeAlias

# A numpy array; numpy is imported where it is used.
Array: TypeAlias = Any
