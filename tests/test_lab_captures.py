"""The captures beside the examples: each carries its lab and shows what the lab's expectations see on the wire."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import sniffkit as sk
from sniffkit.errors import LabError
from sniffkit.lab import parse
from sniffkit.lab.capturing import comment
from sniffkit.lab.describe import to_yaml
from sniffkit.lab.graph import text
from sniffkit.lab.plan import plan
from sniffkit.lab.report import interfaces, load

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
    assert to_yaml(load(str(made))) == to_yaml(spec, redact=True), f"the lab has changed since: {again}"
    capture = sk.open(made)
    for one in spec.expect:
        for point, filter in one.get("sees", {}).items():
            rows = capture.packets(columns=["netns", "interface"], filter=filter or None).to_arrow().to_pylist()
            seen = {f"{row['netns']}/{row['interface']}" if row["netns"] else row["interface"] for row in rows}
            assert point in seen, f"{again}: {filter!r} matches nothing at {point}"


def test_captures_carry_no_keys() -> None:
    spec = parse(ROOT / "docs" / "labs" / "macsec.yaml")
    keys = [key for one in spec.interfaces.values() for key in (one.data.get("key"),) if key]
    assert len(keys) == 2
    said = comment(spec) or ""
    data = (ROOT / "docs" / "labs" / "macsec.pcapng").read_bytes()
    for key in keys:
        assert key in to_yaml(spec), "the lab's own record has them"
        assert key not in said
        assert key.encode() not in data
    again = load(str(ROOT / "docs" / "labs" / "macsec.pcapng"))
    assert again.interfaces["h1", "macsec0"].data["key"] == "redacted"
    assert "macsec0" in text(again)
    with pytest.raises(LabError, match="h1/macsec0: its keys were left out of the capture"):
        plan(again)


def test_a_drawing_on_standard_output_is_text(called: Callable[..., tuple[int, str, str]]) -> None:
    path = str(ROOT / "docs" / "labs" / "nat.yaml")
    assert called("lab", "graph", path, "-o", "-") == called("lab", "graph", path) == (0, text(load(path)), "")


def test_what_an_interface_does_not_have_is_null() -> None:
    ends = {"report-a/e": None, "report-b/e": None}
    rows = interfaces(parse({"links": [ends, {"report-b/d": {"kind": "dummy"}}]}))
    assert [(row["leads_to"], row["details"]) for row in rows] == [
        ("report-b/e", None),
        ("report-a/e", None),
        (None, None),
    ]
