"""Every notebook runs from top to bottom in a kernel of its own, and ends with the answer that it is kept with."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from captures import web_mix
from captures.wire import pcap
from scripts.notebooks import NOTEBOOKS, run

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))

# Notebook → what its answer must be.
ENDS = {
    "01-first-capture": r"net1 reaches net2: 10 of 10 pings were answered\.\nMedian round trip: \d+ µs\.\n",
    "02-flows-in-pandas": (
        r"10\.0\.0\.13 and 10\.0\.1\.80 carry most: 23,831 bytes, 28% of all\.\n"
        r"32 TCP connections, 32 closed in order; 2 datagrams got no answer\.\n"
    ),
    "03-http-and-dns": (
        r"api\.shop\.test /search is slow: 576 ms in the median, 846 ms at the 95th percentile\.\n"
        r"api\.shop\.test /pay fails: 33% of its requests get a 5xx\.\n"
        r"10\.0\.0\.12 asks for names that do not exist \(5 times\), and 2 questions got no answer\.\n"
    ),
    "04-vlan-vxlan": (
        r"Frames that crossed from one VLAN to the other: 0\.\n"
        r"VXLAN adds 50 bytes to every frame: 98 become 148\.\n"
    ),
    "05-sql-at-scale": (r"http carries most: [\d,]{6,} of [\d,]{7,} bytes, in \d+ of \d+ flows of 3\d captures\.\n"),
    "discovery": (
        r"Offered and used: 198\.51\.100\.2 port 80\.\nOffered, and used by nobody: 10\.0\.0\.1 port 53\.\n"
        r"Used, and not found by the scan: 198\.51\.100\.3 port 80\.\n"
    ),
}
NOT_ROOT = "import os\nos.geteuid = lambda: 1000"


def answer(notebook: nbformat.NotebookNode) -> str:
    """What the last cell that printed something printed."""
    texts = [o.text for c in notebook.cells if c.cell_type == "code" for o in c.outputs if o.output_type == "stream"]
    return str(texts[-1]) if texts else ""


# Notebooks that read kept captures: what they show is what they are kept with, but for what MEASURED finds.
ALIKE = ("02-flows-in-pandas", "03-http-and-dns", "05-sql-at-scale")
MEASURED = r"[\d,]+ bytes, read in \d+ ms"


def shown(notebook: nbformat.NotebookNode) -> list[str]:
    """The texts that the cells show."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    texts = [output.text if output.output_type == "stream" else output.data["text/plain"] for output in outputs]
    return [re.sub(MEASURED, "", text) for text in texts]


def ran(path: Path, before: str = "") -> nbformat.NotebookNode:
    """A notebook that is run now."""

    def change(notebook: nbformat.NotebookNode) -> None:
        for cell in notebook.cells:
            # A cell that fails must not leave its lab behind.
            cell.source = cell.source.replace("lab.up();", "import atexit; atexit.register(lab.down); lab.up();")
        if before:
            notebook.cells.insert(0, nbformat.v4.new_code_cell(before))

    return run(path, change)


def test_every_notebook_has_an_answer() -> None:
    assert [path.stem for path in PATHS] == sorted(ENDS)


def test_the_script_gives_the_capture_that_they_read() -> None:
    assert web_mix.FILE.read_bytes() == pcap(web_mix.frames())


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path) -> None:
    notebook = ran(path)
    assert re.fullmatch(ENDS[path.stem], answer(notebook))
    if path.stem in ALIKE:
        assert shown(notebook) == shown(nbformat.read(path, as_version=4)), (
            "scripts/notebooks.py keeps what it shows now"
        )


@pytest.mark.parametrize("name", ["01-first-capture", "04-vlan-vxlan"])
def test_a_notebook_runs_without_root(name: str) -> None:
    expected = ENDS[name].replace("10 of 10", "1 of 1")
    assert re.fullmatch(expected, answer(ran(NOTEBOOKS / f"{name}.ipynb", NOT_ROOT)))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_its_figures_and_its_answer(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert [output for output in outputs if "image/png" in output.get("data", {})]
    assert re.fullmatch(ENDS[path.stem], answer(notebook))
    text = notebook.cells[0].source.splitlines()[0]
    assert text.startswith("# ")
    assert text.endswith("?"), "a notebook begins with a question"
