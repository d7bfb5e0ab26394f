"""What analysts ask a flow or packet table for, on pandas: `frame.sk.top("orig_h")`, `.sk.timeline()`, `.sk.matrix()`.

The accessor is there on every DataFrame once one was made by `to_pandas()`, or after `import sniffkit.accessor`. It
takes tables of flows and of packets, whole or filtered, and never changes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from sniffkit.errors import SniffkitError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What a row weighs, by measure: the columns that are added up, for flows and for packets.
MEASURES = {
    "bytes": (("orig_bytes", "resp_bytes"), ("frame_len",)),
    "payload": (("orig_payload_bytes", "resp_payload_bytes"), ("payload_len",)),
    "packets": (("orig_pkts", "resp_pkts"), ()),
}


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
        if not columns:
            return pd.Series(1, index=self._frame.index, dtype="int64", name=measure)
        return self._frame[list(columns)].fillna(0).sum(axis=1).astype("int64").rename(measure)

    def top(self, by: str | Sequence[str], n: int = 10, measure: str = "bytes") -> pd.DataFrame:
        """The `n` heaviest values of a column (or of several together): rows, measure, share of all."""
        names = [by] if isinstance(by, str) else list(by)
        self._need(names)
        weight = self.weight(measure)
        keys = [self._frame[name].astype(object) for name in names]
        sums = weight.groupby(keys, dropna=False).agg(["size", "sum"])
        sums.columns = pd.Index(["rows", measure])
        total = int(weight.sum())
        sums["share"] = sums[measure] / total if total else 0.0
        return sums.sort_values([measure, "rows"], ascending=False, kind="stable").head(n)

    def timeline(
        self, step: str = "1s", by: str | None = None, measure: str = "bytes"
    ) -> pd.DataFrame | pd.Series[Any]:
        """The measure per time step (a pandas offset: `1s`, `100ms`), 0 where no row is; a column per value of `by`.

        A flow counts whole at its start.
        """
        self._need(["ts"] if by is None else ["ts", by])
        check_step(step, self._frame["ts"])
        weight = self.weight(measure)
        times = self._frame["ts"]
        if by is None:
            series = pd.Series(weight.to_numpy(), index=pd.DatetimeIndex(times), name=measure)
            return series[series.index.notna()].resample(step).sum()
        long = pd.DataFrame({"ts": times, by: self._frame[by].astype(object), measure: weight})
        wide = long.dropna(subset=["ts"]).pivot_table(
            index="ts", columns=by, values=measure, aggfunc="sum", fill_value=0
        )
        return wide.resample(step).sum()

    def matrix(self, measure: str = "bytes") -> pd.DataFrame:
        """Who sent how much to whom: rows are senders, columns receivers."""
        frame = self._frame
        if not self._is_flows:
            self._need(["ip_src", "ip_dst"])
            ends = pd.DataFrame({"a": frame["ip_src"], "b": frame["ip_dst"], "n": self.weight(measure)})
        else:
            up, down = MEASURES[measure][0] if measure in MEASURES else ("", "")
            self._need([up, down])
            ends = pd.concat([
                pd.DataFrame({"a": frame["orig_h"], "b": frame["resp_h"], "n": frame[up]}),
                pd.DataFrame({"a": frame["resp_h"], "b": frame["orig_h"], "n": frame[down]}),
            ])  # fmt: skip
        ends["a"], ends["b"] = ends["a"].astype(object), ends["b"].astype(object)
        table = ends.dropna().pivot_table(index="a", columns="b", values="n", aggfunc="sum", fill_value=0)
        return table.astype("int64").rename_axis(index="sender", columns="receiver")

    def plot_timeline(
        self, step: str = "1s", by: str | None = None, measure: str = "bytes", ax: Axes | None = None
    ) -> Axes:
        """`timeline` as a step plot, stacked by `by`; times in UTC."""
        lines = self.timeline(step, by, measure)
        axes: Axes = lines.plot(kind="line", drawstyle="steps-post", ax=ax if ax is not None else new_axes())
        axes.set_ylabel(f"{measure} per {step}")
        axes.set_xlabel("time (UTC)")
        axes.set_ylim(bottom=0)
        return axes

    def plot_top(self, by: str | Sequence[str], n: int = 10, measure: str = "bytes", ax: Axes | None = None) -> Axes:
        """`top` as horizontal bars, the heaviest on top."""
        bars = self.top(by, n, measure)[measure].iloc[::-1]
        axes: Axes = bars.plot(kind="barh", ax=ax if ax is not None else new_axes())
        axes.set_xlabel(measure)
        return axes

    def plot_matrix(self, measure: str = "bytes", ax: Axes | None = None) -> Axes:
        """`matrix` as an image: the darker, the more; logarithmic, since few pairs carry most."""
        from matplotlib.colors import LogNorm

        table = self.matrix(measure)
        if ax is None:
            ax = new_axes()
        image = ax.imshow(table.to_numpy().clip(min=0) + 1, norm=LogNorm(), cmap="Blues")
        ax.set_xticks(range(len(table.columns)), list(table.columns), rotation=90)
        ax.set_yticks(range(len(table.index)), list(table.index))
        ax.set_xlabel("receiver")
        ax.set_ylabel("sender")
        ax.figure.colorbar(image, ax=ax, label=f"{measure} + 1")
        return ax

    def _need(self, names: Sequence[str]) -> None:
        missing = [name for name in names if name not in self._frame.columns]
        if missing:
            raise SniffkitError(f"no column {missing[0]!r}; there are: {' '.join(map(str, self._frame.columns))}")


def check_step(step: str, times: pd.Series[Any]) -> None:
    """Raises SniffkitError for a step that pandas does not know, or that gives more rows than anybody plots."""
    from sniffkit.stats.io import MAX_ROWS

    try:
        offset = pd.tseries.frequencies.to_offset(step)
    except ValueError:
        raise SniffkitError(f"step {step!r} is no time that pandas knows, as 100ms 1s 5min 1h 1D") from None
    try:
        length = getattr(offset, "nanos", None)
    except ValueError:
        length = None  # months are not all as long
    span = times.max() - times.min()
    if length is not None and not pd.isna(span) and (length <= 0 or span / pd.Timedelta(length, "ns") > MAX_ROWS):
        raise SniffkitError(f"step {step} gives more than {MAX_ROWS} rows: the table spans {span}")


def new_axes() -> Axes:
    """Axes of a figure of their own; pandas would draw over the last picture."""
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]
