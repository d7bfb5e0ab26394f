"""Tables of many captures: one stream in time order, several workers, a Parquet data set that can be taken up again."""

from __future__ import annotations

from sniffkit.dataset.job import Summary
from sniffkit.dataset.making import make

__all__ = ["Summary", "make"]
