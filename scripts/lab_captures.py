"""Make the captures beside docs/labs/*.yaml: what each lab's check puts on its wires, all points in one file.

    scripts/lab_captures.py [NAME…]

Run as root. A lab whose kinds this machine's kernel lacks is run under User-Mode Linux (scripts/uml_run.py).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LABS = ROOT / "docs" / "labs"


def make(path: Path, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Check a lab and keep what was captured."""
    name = path.relative_to(ROOT)
    command = [
        *prefix,
        sys.executable,
        "-m",
        "sniffkit",
        "lab",
        "check",
        str(name),
        "-w",
        str(name.with_suffix(".pcapng")),
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def main(names: list[str]) -> int:
    failed = 0
    for path in sorted(LABS.glob("*.yaml")):
        if names and path.stem not in names:
            continue
        done = make(path)
        if "lacks it" in done.stderr:
            done = make(path, (sys.executable, "scripts/uml_run.py"))
        size = path.with_suffix(".pcapng").stat().st_size if path.with_suffix(".pcapng").exists() else 0
        print(f"{path.stem}: {'made' if done.returncode == 0 else 'FAILED'}, {size} bytes")
        if done.returncode:
            print(done.stdout + done.stderr)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
