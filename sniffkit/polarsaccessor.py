"""`.sk` on polars frames of flows or packets: as `sniffkit.accessor` on pandas frames, the answers are polars frames.

What is named like another column of the answer (a host `sender`, a value `ts`) is `sender_2` there.

`Table.to_polars()` loads it; for frames from elsewhere: `import sniffkit.polarsaccessor`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import polars as pl

from sniffkit.errors import SniffkitError
from sniffkit.frames import shown, to_pandas

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@pl.api.register_dataframe_namespace("sk")
class SniffkitNamespace:
    """Answers about a table of flows or packets. Errors and units: as `sniffkit.accessor.SniffkitAccessor`."""

    def __init__(self, frame: pl.DataFrame) -> None:
        import pyarrow as pa

        # Of other columns too, for the error that names what is missing; they are few next to the rows of an answer.
        try:
            table = frame.to_arrow()
        except pa.ArrowInvalid as error:  # Int128
            raise SniffkitError(f"a column of a type that Arrow has not: {' '.join(str(error).split())}") from None
        self._pandas: Any = to_pandas(table).sk

    def top(self, by: str | Sequence[str], n: int = 10, measure: str = "bytes") -> pl.DataFrame:
        """The `n` largest values of `by` with `rows`, `measure` and `share` of the whole, largest first."""
        return plain(self._pandas.top(by, n, measure))

    def timeline(self, step: str = "1s", by: str | None = None, measure: str = "bytes") -> pl.DataFrame:
        """`measure` per `step` of time (column `ts`); with `by` one column for each of its values, `null` for none."""
        return plain(self._pandas.timeline(step, by, measure))

    def matrix(self, measure: str = "bytes") -> pl.DataFrame:
        """Who sent how much to whom: one row a `sender`, one column a receiver."""
        return plain(self._pandas.matrix(measure))

    def plot_timeline(self, *args: Any, **options: Any) -> Axes:
        """As of a pandas frame."""
        axes: Axes = self._pandas.plot_timeline(*args, **options)
        return axes

    def plot_top(self, *args: Any, **options: Any) -> Axes:
        """As of a pandas frame."""
        axes: Axes = self._pandas.plot_top(*args, **options)
        return axes

    def plot_matrix(self, *args: Any, **options: Any) -> Axes:
        """As of a pandas frame."""
        axes: Axes = self._pandas.plot_matrix(*args, **options)
        return axes


def plain(answer: Any) -> pl.DataFrame:
    """A pandas frame or series with its index as columns; of those with the same name the later get `_2`, `_3`, …"""
    import pandas as pd

    if answer.ndim == 1:
        answer = answer.to_frame()
    index = answer.index.to_frame(index=False)
    names: dict[str, None] = {}  # in this order
    for name in (*index.columns, *map(str, shown(answer.columns))):
        tries = (name if number == 1 else f"{name}_{number}" for number in count(1))
        names[next(one for one in tries if one not in names)] = None
    whole = pd.concat([index, answer.reset_index(drop=True)], axis=1)
    frame = pl.from_pandas(whole.set_axis(list(names), axis=1))
    assert isinstance(frame, pl.DataFrame)
    return frame
