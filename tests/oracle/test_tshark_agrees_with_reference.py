"""The tshark of this machine against the kept answers of tshark: where these disagree, comparisons mean little."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest

CLEAN_SAMPLE = 20  # files; each costs one tshark start


def clean_references(corpus: Path) -> list[Path]:
    """Every n-th clean file of the corpus, so that the sample spreads over all kinds."""
    names = sorted((corpus / "reference").glob("*.json.gz"))
    return names[:: max(1, len(names) // CLEAN_SAMPLE)]


@pytest.mark.oracle
def test_packet_counts_of_a_sample(corpus: Path) -> None:
    compared = 0
    for reference in clean_references(corpus):
        answer = json.loads(gzip.decompress(reference.read_bytes()))
        if not answer["clean"]:
            continue
        capture = corpus / "captures" / reference.name.removesuffix(".json.gz")
        tshark = ["tshark", "-n", "-r", str(capture), "-T", "fields", "-e", "frame.number"]
        listed = subprocess.run(tshark, check=True, capture_output=True, text=True).stdout.split()
        assert len(listed) == answer["packet_count"], capture.name
        compared += 1
    assert compared >= CLEAN_SAMPLE // 2
