"""Frames of random stacks against tshark, layer by layer, column by column and as flows: combinations of any kind."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import stacks
from core_example import RUNS_CARGO, core_example
from test_corpus_packets import differences
from test_corpus_tables import flow_differences, packet_differences

pytestmark = [*RUNS_CARGO, pytest.mark.oracle]

FRAMES = 1500


def reference(corpus: Path) -> ModuleType:
    """What made the kept answers."""
    spec = importlib.util.spec_from_file_location("reference", corpus / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("link", "seed"), [*((link, 1) for link in stacks.LINKS), ("ethernet", 2)])
def test_tshark_sees_the_same_layers(corpus: Path, tmp_path: Path, link: str, seed: int) -> None:
    capture = tmp_path / "stacks.pcap"
    stacks.write(capture, link, seed, FRAMES)
    answer = reference(corpus).reference(str(capture), objects=False)
    assert answer["packet_count"] == FRAMES
    lines = [row.partition("\t") for row in core_example("canonical_lines", [capture])]
    got = {int(number): line for number, _, line in lines if number not in ("file", "error")}
    different = differences(answer, got)
    assert not different, "\n".join(different[:5])
    unsure = {*answer["misaligned_frames"], *answer["malformed_frames"]}  # what is only named holds no such protocol
    assert len(unsure) < FRAMES * 0.15
    in_columns = [text for text in packet_differences(answer, capture) if int(text.split()[1]) not in unsure]
    assert not in_columns, "\n".join(in_columns[:5])
    assert not flow_differences(answer, capture)
