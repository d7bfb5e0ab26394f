"""Traffic over time as a picture."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

from sniffkit.errors import SniffkitError
from sniffkit.packages import needed
from sniffkit.sinks import need_directory
from sniffkit.sinks.file import NewFile
from sniffkit.tables import check_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sniffkit.api import Capture

SUFFIXES = (".png", ".svg", ".pdf")
MAX_STEPS = 4000  # several a pixel; of more, some are drawn as one


def check_picture(path: str, inputs: Sequence[Any]) -> None:
    """Raises SniffkitError if there cannot be a picture of these captures at this path."""
    if os.path.splitext(path)[1].lower() not in SUFFIXES:
        raise SniffkitError(f"{path}: no picture format for this suffix; there are: {' '.join(SUFFIXES)}")
    need_directory(path)
    check_output(path, inputs)


def io_plot(capture: Capture, path: str, interval: float | None = None) -> None:
    """Frames and bytes a second over time, one step an interval (s), to a PNG, SVG or PDF file.

    interval: as of `Stats.io`; several are one step where there are over MAX_STEPS.
    Raises SniffkitError for another suffix or a capture without a time, OutputError where the file cannot be written,
    MissingToolError if there is no matplotlib.
    """
    check_picture(path, capture.inputs)
    figures = needed("matplotlib.figure")
    import numpy as np

    rows = capture.stats.io(interval).to_arrow()
    if rows.num_rows == 0:
        raise SniffkitError("nothing to draw: there are no frames with a time")
    start = rows["start"].to_numpy()
    width = start[1] if len(start) > 1 else interval or 1.0
    firsts = np.arange(0, len(start), -(-len(start) // MAX_STEPS))
    edges = np.append(start[firsts], start[-1] + width)
    step = width * (firsts[1] if len(firsts) > 1 else 1)
    figure = figures.Figure(figsize=(9, 5), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    for panel, name, unit, scale in zip(panels, ("frames", "bytes"), ("frames/s", "kB/s"), (1, 1000), strict=True):
        values = np.add.reduceat(rows[name].to_numpy(), firsts) / np.diff(edges) / scale
        panel.stairs(values, edges, fill=True, alpha=0.35, color="tab:blue")
        panel.stairs(values, edges, color="tab:blue", linewidth=1)
        panel.set_ylabel(unit)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
    panels[0].set_title(f"Traffic, {step:g} s steps")
    panels[1].set_xlabel("seconds after the first frame")
    panels[1].set_xlim(edges[0], edges[-1])
    picture = io.BytesIO()
    figure.savefig(picture, format=os.path.splitext(path)[1][1:].lower(), dpi=120)
    with NewFile(path) as file:
        file.write(picture.getvalue())
