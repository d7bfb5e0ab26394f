"""Two captures of the same traffic against each other: before and after, or both sides of a hop."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from sniffkit.api import Capture
from sniffkit.errors import SniffkitError
from sniffkit.matching import window_ns
from sniffkit.matching.pairs import WINDOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from sniffkit.comparison.found import Found
    from sniffkit.tables import Result

# section -> what it shows; methods of `Diff`. `sniffkit diff` prints them in this order.
SECTIONS = {
    "summary": "Packets in both and in only one, loss and delay each way",
    "flows": "Flows",
    "packets": "Packets in only one",
    "changes": "Fields that differ in packets of both",
}


class Diff:
    """What differs between captures a and b; each section is a table. Both are read when the first one is asked for.

    Delays are ns from the point that a packet passes first to the other, less `clock_offset` where there is one.
    """

    def __init__(
        self,
        a: Capture,
        b: Capture,
        points: tuple[str | None, str | None] = (None, None),
        window: float = WINDOW / 1e9,
        filter: str | None = None,
    ) -> None:
        if not isinstance(b, Capture):
            raise SniffkitError(f"the other one is a capture, as sk.open gives it, not {b!r}")
        if not (isinstance(points, (tuple, list)) and len(points) == 2):
            raise SniffkitError(f"points are two, one of each capture, NS/IF or None, not {points!r}")
        for one in points:
            if not (one is None or isinstance(one, str)):
                raise SniffkitError(f"a point is NS/IF or None, not {one!r}")
        self._sources = ((a, points[0]), (b, points[1]))
        self._window = window_ns(window)
        self._filter = filter

    @cached_property
    def found(self) -> Found:
        """Both captures' frames, and which of one is which of the other."""
        from sniffkit.comparison.found import find

        return find(self._sources, self._window, self._filter)

    @property
    def clock_offset(self) -> int | None:
        """How much b's clock is ahead of a's, ns; None where nothing says that they differ."""
        return self.found.offset

    def summary(self) -> Result:
        """Rows `a > b`, `b > a`, `?` (way not known) and `all`: packets, loss, delay."""
        from sniffkit.comparison.sections import summary

        return self._section(summary)

    def flows(self) -> Result:
        """One row a flow: packets of each side, loss and delay each way; `b_…` where a NAT changed its ends."""
        from sniffkit.comparison.sections import flows

        return self._section(flows)

    def packets(self) -> Result:
        """One row a packet that only one side has, in order of time."""
        from sniffkit.comparison.sections import packets

        return self._section(packets)

    def changes(self) -> Result:
        """One row a field that differs in packets of both: in how many, and the most frequent change."""
        from sniffkit.comparison.changes import changes

        return self._section(changes)

    def matches(self) -> Result:
        """One row a packet of both sides: its frame numbers, times and delay."""
        from sniffkit.comparison.sections import matches

        return self._section(matches)

    def _section(self, make: Callable[[Found], Result]) -> Result:
        made = make(self.found)
        made.inputs = [one for capture, _ in self._sources for one in capture.inputs]
        return made

    def __repr__(self) -> str:
        return "<sniffkit diff: .summary() .flows() .packets() .changes() .matches()>"
