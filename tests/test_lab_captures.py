"""The captures beside the examples: each carries its lab and shows what the lab's expectations see on the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

import sniffkit as sk
from sniffkit.lab import parse
from sniffkit.lab.describe import to_yaml
from sniffkit.lab.report import load

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "docs" / "labs").glob("*.yaml"))
MAX_BYTES = 300_000


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_capture_of_an_example(path: Path) -> None:
    made = path.with_suffix(".pcapng")
    again = f"run scripts/lab_captures.py {path.stem}"
    assert made.is_file(), again
    assert made.stat().st_size < MAX_BYTES
    spec = parse(path)
    assert to_yaml(load(str(made))) == to_yaml(spec), f"the lab has changed since: {again}"
    capture = sk.open(made)
    for one in spec.expect:
        for point, filter in one.get("sees", {}).items():
            rows = capture.packets(columns=["netns", "interface"], filter=filter or None).to_arrow().to_pylist()
            seen = {f"{row['netns']}/{row['interface']}" if row["netns"] else row["interface"] for row in rows}
            assert point in seen, f"{again}: {filter!r} matches nothing at {point}"
