"""Every notebook runs from top to bottom, in a process of its own, and ends with what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# Notebook → what to print at its end, and what that must be.
ENDS = {
    "discovery": (
        "shown.to_csv(index=False)",
        'ip,port,what\n10.0.0.1,53,"offered, not used"\n198.51.100.2,80,offered and used\n'
        '198.51.100.3,80,"used, not found"\n',
    )
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    shown, expected = ENDS.get(path.stem, ("''", ""))
    # A cell that fails must not leave its lab behind.
    code = "import atexit\n" + code.replace("lab.up();", "atexit.register(lab.down); lab.up()")
    command = [sys.executable, "-c", f"{code}\nprint({shown}, end='')"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, expected), done.stderr[-3000:]
