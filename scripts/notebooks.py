#!/usr/bin/env python3
"""Run notebooks from top to bottom and keep their outputs in them (`scripts/notebooks.py [NAME…]`; all without).

As root they build their labs and capture; else they read the captures that are kept. Runs by `.venv/bin/python`.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def run(path: Path, change: Callable[[nbformat.NotebookNode], None] | None = None) -> nbformat.NotebookNode:
    """The notebook, changed if so, with the outputs of a run from top to bottom.

    Raises CellExecutionError for a cell that fails.
    """
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    if change is not None:
        change(notebook)
    with tempfile.TemporaryDirectory(prefix="sniffkit-notebook-") as scratch:
        # Sockets in a directory of ours: no port that others could reach. At the end the kernel is killed, and what
        # it would have removed by itself goes with the directory.
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{scratch}/kernel")
        where = {"metadata": {"path": str(path.parent)}}
        client = NotebookClient(notebook, km=kernel, timeout=100, resources=where)
        client.execute(cleanup_kc=True, env={**os.environ, "TMPDIR": scratch})  # else a kernel of ours would stay
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when each cell ran: nothing to keep
        for output in cell.get("outputs", []):
            if output.output_type == "stream":  # a kernel's local name says nothing to others
                output.text = output.text.replace(platform.release(), platform.release().split("-")[0])
    return notebook


def main(names: list[str]) -> int:
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if names and path.stem not in names:
            continue
        start = time.monotonic()
        nbformat.write(run(path), path)  # type: ignore[no-untyped-call]
        print(f"{path.name}: {time.monotonic() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
