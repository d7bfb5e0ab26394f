"""What analysts ask a flow or packet table for, on pandas: `frame.sk.top("orig_h")`, `.sk.timeline()`, `.sk.matrix()`.

The accessor is there on every DataFrame once one was made by `to_pandas()`, or after `import sniffkit.accessor`. It
takes tables of flows and of packets, whole or filtered, and never changes them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from sniffkit.errors import SniffkitError
from sniffkit.frames import shown
from sniffkit.packages import needed
from sniffkit.points import within

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What a row weighs, by measure: the columns that are added up, for flows and for packets.
MEASURES = {
    "bytes": (("orig_bytes", "resp_bytes"), ("frame_len",)),
    "payload": (("orig_payload_bytes", "resp_payload_bytes"), ("payload_len",)),
    "packets": (("orig_pkts", "resp_pkts"), ()),
}
LONGEST = 60  # letters of a label in a picture
MAX_CELLS = 10_000_000  # of an answer as wide as there are hosts or values; 80 MB


@pd.api.extensions.register_dataframe_accessor("sk")
class SniffkitAccessor:
    """Methods of `DataFrame.sk`."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._is_flows = "orig_h" in frame.columns
        if not self._is_flows and "frame_number" not in frame.columns and "ip_src" not in frame.columns:
            raise AttributeError("`.sk` is for tables of flows or packets (no orig_h, ip_src or frame_number column)")

    def weight(self, measure: str = "bytes") -> pd.Series[Any]:
        """What each row weighs: `bytes` on the wire, `payload` bytes or `packets`, both directions together."""
        if measure not in MEASURES:
            raise SniffkitError(f"no measure {measure!r}; there are: {' '.join(MEASURES)}")
        columns = MEASURES[measure][0 if self._is_flows else 1]
        missing = [name for name in columns if name not in self._frame.columns]
        if missing:
            raise SniffkitError(f"measure {measure!r} needs the columns {' '.join(missing)}")
        self._need(columns)
        if not columns:
            return pd.Series(1, index=self._frame.index, dtype="int64", name=measure)
        counts = self._frame[list(columns)]
        for name in columns:
            if not pd.api.types.is_numeric_dtype(counts[name]):
                counts = counts.astype({name: object})
        counts = counts.fillna(0)
        try:
            if any(pd.api.types.is_complex_dtype(kind) for kind in counts.dtypes):
                raise TypeError
            total = float(counts.astype("float64").abs().sum().sum())
            whole = counts.astype("int64") if total < 2**63 else None
        except (TypeError, ValueError):
            raise SniffkitError(f"measure {measure!r}: {' and '.join(columns)} must be numbers") from None
        if whole is None:
            raise SniffkitError(f"measure {measure!r}: {total:g} in all is more than int64 holds")
        return whole.sum(axis=1).rename(measure)

    def top(self, by: str | Sequence[str], n: int = 10, measure: str = "bytes") -> pd.DataFrame:
        """The `n` heaviest values of a column (or of several together): rows, measure, share of all.

        Rows without a value are a value of their own, null.
        """
        within("n", n, 0)
        keys = self._keys(by)
        weight = self.weight(measure)
        import numpy as np

        sums = weight.groupby(keys, dropna=False).agg(["size", "sum"])  # integers stay those they are
        sums.columns = pd.Index(["rows", measure])
        total = int(weight.sum())
        sums["share"] = sums[measure] / total if total else 0.0
        # Not by names: what it is by may have one of these, too.
        return sums.iloc[np.lexsort((-sums["rows"], -sums[measure]))].head(n)

    def timeline(
        self, step: str = "1s", by: str | None = None, measure: str = "bytes"
    ) -> pd.DataFrame | pd.Series[Any]:
        """The measure per time step (a pandas offset: `1s`, `100ms`), 0 where no row is; a column per value of `by`.

        A flow counts whole at its start. The last column is of rows without a value. Raises SniffkitError for more than
        MAX_CELLS cells.
        """
        self._need(["ts"])
        weight = self.weight(measure)
        timed = self._frame["ts"].notna().to_numpy()
        try:
            times = pd.DatetimeIndex(self._frame["ts"][timed], name="ts")
        except (TypeError, ValueError) as error:
            raise SniffkitError(f"ts has no times: {' '.join(str(error).split())}") from None
        check_step(step, times)
        series = pd.Series(weight[timed].to_numpy(), index=times, name=measure)
        try:
            whole = series.resample(step).sum()
        except (OverflowError, ValueError):  # a step begins or ends beyond what int64 holds
            span = f"{times.min()} to {times.max()}"
            raise SniffkitError(f"step {step}: of {span}, there are steps beyond the times that pandas has") from None
        if by is None:
            return whole
        if not isinstance(by, str):
            raise SniffkitError(f"by is the name of a column, not {by!r}")
        key = self._keys(by)[0][timed]
        groups = key.groupby(key, dropna=False)
        values = groups.size().index.rename(by)
        check_cells(len(whole), len(values))
        sums = series.groupby([pd.Grouper(freq=step), groups.ngroup().to_numpy()]).sum().unstack(fill_value=0)
        return sums.reindex(whole.index, fill_value=0).set_axis(values, axis=1)

    def matrix(self, measure: str = "bytes") -> pd.DataFrame:
        """Who sent how much to whom: rows are senders, columns receivers. Raises SniffkitError for more than MAX_CELLS
        cells.
        """
        import numpy as np

        frame, weight = self._frame, self.weight(measure)
        if not self._is_flows:
            self._need(["ip_src", "ip_dst"])
            ends = pd.DataFrame({"a": frame["ip_src"], "b": frame["ip_dst"], "n": weight})
        else:
            self._need(["orig_h", "resp_h"])
            up, down = MEASURES[measure][0]
            ends = pd.concat([
                pd.DataFrame({"a": frame["orig_h"], "b": frame["resp_h"], "n": frame[up]}),
                pd.DataFrame({"a": frame["resp_h"], "b": frame["orig_h"], "n": frame[down]}),
            ])  # fmt: skip
        ends = ends.dropna()
        rows, senders = pd.factorize(ends["a"].astype(object), sort=True)
        columns, receivers = pd.factorize(ends["b"].astype(object), sort=True)
        check_cells(len(senders), len(receivers))
        cells = np.zeros((len(senders), len(receivers)), "int64")
        np.add.at(cells, (rows, columns), ends["n"].to_numpy("int64"))
        return pd.DataFrame(cells, pd.Index(senders, name="sender"), pd.Index(receivers, name="receiver"))

    def plot_timeline(
        self, step: str = "1s", by: str | None = None, measure: str = "bytes", ax: Axes | None = None
    ) -> Axes:
        """`timeline` as a step plot, a line per value of `by`; times in UTC."""
        lines: Any = self.timeline(step, by, measure)
        if len(lines) == 0:
            raise SniffkitError("nothing to draw: no row has a time")
        if isinstance(lines, pd.DataFrame):
            lines.columns = as_written(shown(lines.columns))
        with contextlib.suppress(OverflowError, pd.errors.OutOfBoundsDatetime):  # pandas has no time behind it
            # The last step lasts as long as the others; of a single one there would be no line.
            lines = pd.concat([lines, lines.iloc[-1:].set_axis(lines.index[-1:].shift(1))])
        if lines.index.tz is not None:
            lines.index = lines.index.tz_convert(None)  # UTC; times with a zone are drawn one by one
        # pandas' own axis is of periods, of which it counts out all in a view: for one time alone, in several years.
        axes: Axes = lines.plot(
            kind="line", drawstyle="steps-post", x_compat=True, ax=ax if ax is not None else new_axes()
        )
        dates = needed("matplotlib.dates")
        axes.xaxis.set_major_locator(dates.AutoDateLocator())
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
        axes.set_ylabel(f"{measure} per {step}")
        axes.set_xlabel("time (UTC)")
        axes.set_ylim(bottom=0)
        return axes

    def plot_top(self, by: str | Sequence[str], n: int = 10, measure: str = "bytes", ax: Axes | None = None) -> Axes:
        """`top` as horizontal bars, the heaviest on top."""
        bars = self.top(by, n, measure)[measure].iloc[::-1]
        if len(bars) == 0:
            raise SniffkitError("nothing to draw: there are no rows")
        bars.index = as_written(shown(bars.index))
        axes: Axes = bars.plot(kind="barh", ax=ax if ax is not None else new_axes())
        axes.set_xlabel(measure)
        return axes

    def plot_matrix(self, measure: str = "bytes", ax: Axes | None = None) -> Axes:
        """`matrix` as an image: the darker, the more; logarithmic, since few pairs carry most."""
        table = self.matrix(measure)
        if table.empty:
            raise SniffkitError("nothing to draw: no row has two addresses")
        if ax is None:
            ax = new_axes()
        image = ax.imshow(table.to_numpy().clip(min=0) + 1, norm="log", cmap="Blues")
        ax.set_xticks(range(len(table.columns)), list(as_written(table.columns)), rotation=90)
        ax.set_yticks(range(len(table.index)), list(as_written(table.index)))
        ax.set_xlabel("receiver")
        ax.set_ylabel("sender")
        ax.figure.colorbar(image, ax=ax, label=f"{measure} + 1")
        return ax

    def _keys(self, by: str | Sequence[str]) -> list[pd.Series[Any]]:
        """The columns to group by. Categories become what they stand for, or each that no row has would be a group."""
        try:
            names = [by] if isinstance(by, str) else list(by)
        except TypeError:
            names = []
        if not names or not all(isinstance(name, str) for name in names):
            raise SniffkitError(f"by is the name of a column, or a list of names, not {by!r}")
        self._need(names)
        keys = [self._frame[name] for name in names]
        for name, key in zip(names, keys, strict=True):
            there = key.dropna()
            if len(there) and not pd.api.types.is_hashable(there.iloc[0]):
                raise SniffkitError(f"{name} has lists: take frame.explode({name!r}), which has a row for each value")
        return [key.astype(object) if isinstance(key.dtype, pd.CategoricalDtype) else key for key in keys]

    def _need(self, names: Sequence[str]) -> None:
        there = list(self._frame.columns)
        for name in names:
            if name not in there:
                raise SniffkitError(f"no column {name!r}; there are: {' '.join(map(str, there))}")
            if there.count(name) > 1:
                raise SniffkitError(f"{there.count(name)} columns are named {name!r}: rename all but one")


def check_step(step: str, times: pd.DatetimeIndex) -> None:
    """Raises SniffkitError for a step that pandas does not know, or that gives more rows than anybody plots."""
    from sniffkit.stats.io import MAX_ROWS

    try:
        offset = pd.tseries.frequencies.to_offset(step)
    except (ValueError, TypeError):
        offset = None
    if offset is None:
        raise SniffkitError(f"step {step!r} is no time that pandas knows, as 100ms 1s 5min 1h 1D")
    if offset.n <= 0:
        raise SniffkitError(f"step {step}: it must be above 0")
    try:
        length = getattr(offset, "nanos", None)
    except ValueError:
        length = None  # months are not all as long
    if length is None or times.empty:
        return
    # Not as a Timedelta, which holds 292 years.
    span = (int(times.asi8.max()) - int(times.asi8.min())) * int(pd.Timedelta(1, times.unit).as_unit("ns").value)
    if span / length > MAX_ROWS:
        raise SniffkitError(f"step {step} gives more than {MAX_ROWS} rows: the table spans {span / 1e9:.9g} s")


def check_cells(rows: int, columns: int) -> None:
    """Raises SniffkitError for an answer of more cells than memory should be taken for."""
    if rows * columns > MAX_CELLS:
        raise SniffkitError(f"{rows} rows of {columns} columns are too many: filter the frame, or take `top`")


def as_written(labels: pd.Index[Any]) -> pd.Index[Any]:
    """Labels of a picture as they are, if not too long: between two dollars matplotlib would read a formula."""
    from sniffkit.sinks.screen import printable

    texts = [f"({', '.join(map(str, one))})" if labels.nlevels > 1 else str(one) for one in labels]
    seen = [printable(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…") for text in texts]
    return pd.Index([text.replace("$", r"\$") for text in seen], name=",".join(map(str, labels.names)))


def new_axes() -> Axes:
    """Axes of a figure of their own; pandas would draw over the last picture."""
    axes: Axes = needed("matplotlib.pyplot").subplots(layout="constrained")[1]
    return axes
