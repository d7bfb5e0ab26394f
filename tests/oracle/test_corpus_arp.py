"""The `arp` table of the reference captures against tshark's answers, and what it finds odd in them."""

from __future__ import annotations

import gzip
import json
import warnings
from pathlib import Path
from typing import Any

import pytest

import sniffkit as sk

# Files with a difference that stays, and why.
EXCEPTIONS = {
    "tcpdump--ipoib.pcap": "IP over InfiniBand (LINKTYPE 242), a link layer that is not decoded",
}

# Every finding but `new` in the corpus: file → findings, and why they are right.
FINDINGS: dict[str, dict[str, int]] = {}


def answer(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The rows in the shape of `reference.py`'s answer."""
    counts = {1: 0, 2: 0}
    for row in rows:
        counts[row["opcode"]] = counts.get(row["opcode"], 0) + 1
    stations: dict[str, list[str]] = {}
    for row in rows:
        if row["src_ip"] and row["src_hw"] and row["src_hw"] not in stations.setdefault(row["src_ip"], []):
            stations[row["src_ip"]].append(row["src_hw"])
    requests, replies = counts.pop(1), counts.pop(2)
    gratuitous = sum(row["gratuitous"] for row in rows)
    return {
        "req": requests,
        "rep": replies,
        "other": sum(counts.values()),
        "gratuitous": gratuitous,
        "ip_macs": stations,
    }


@pytest.fixture(scope="module")
def tables(corpus: Path) -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """File → tshark's answer and our rows, for clean files in which either sees ARP."""
    found = {}
    for path in sorted((corpus / "reference").glob("*.json.gz")):
        name = path.name.removesuffix(".json.gz")
        reference = json.loads(gzip.decompress(path.read_bytes()))
        if not reference["clean"]:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sk.CaptureWarning)
            try:
                rows = sk.open(corpus / "captures" / name).arp().to_arrow().to_pylist()
            except sk.CaptureFileError:
                rows = []  # not a format that is read: tests/oracle/test_sources.py has the list
        expected = reference["arp"]
        if rows or expected["req"] + expected["rep"] + expected["other"]:
            found[name] = (expected, rows)
    assert len(found) > 10
    return found


def test_the_table_says_what_tshark_says(tables: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]) -> None:
    wrong = {}
    for name, (expected, rows) in tables.items():
        got = answer(rows)
        if different := {key: (got[key], expected[key]) for key in got if got[key] != expected[key]}:
            wrong[name] = different
    total = sum(len(rows) for _, rows in tables.values())
    print(f"\n{len(tables) - len(wrong)} of {len(tables)} files, {total} messages, agree with tshark")
    assert {name: found for name, found in wrong.items() if name not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) <= set(wrong), "a file listed as an exception agrees by now: take it from the list"


def test_duplicate_addresses_are_found(tables: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]) -> None:
    for name, (expected, rows) in tables.items():
        found = {row["frame_number"] for row in rows if {"changed", "conflict", "flip-flop"} & set(row["findings"])}
        assert bool(found) == bool(expected["dup_addr_frames"]), name


def test_findings_in_ordinary_captures(tables: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]) -> None:
    found: dict[str, dict[str, int]] = {}
    for name, (_, rows) in tables.items():
        for row in rows:
            for finding in row["findings"]:
                if finding != "new":
                    of_file = found.setdefault(name, {})
                    of_file[finding] = of_file.get(finding, 0) + 1
    assert found == FINDINGS
