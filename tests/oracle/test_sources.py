"""Every frame of the reference captures, as the Rust source reads it, against tshark: count, time, lengths, interface.

The corpus is read in place (`../shared/corpus`); see its README for what the reference answers mean.
"""

import gzip
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from core_example import RUNS_CARGO, core_example
from setting import SHARED

CORPUS = SHARED / "corpus"

pytestmark = RUNS_CARGO

# LinkType::CUSTOM_BLOCK: tshark gives custom blocks a frame without an interface.
CUSTOM_BLOCK = "1073744813"

# Files where reading differs from tshark, and why.
EXCEPTIONS = {
    "libtrace--5_packets.erf.pcap": "not a pcap file but bare Endace ERF records, a format that is not read",
    "ndpi--fuzz-2021-06-07-c6c72a0a56.pcap": "microseconds beyond a second: tshark's 32-bit fields overflow",
    "tcpdump--rx_serviceid_oobr.pcap": "microseconds beyond a second: tshark's 32-bit fields overflow",
    "tcpflow--bug8.pcap": "8,915,240 microseconds: tshark's 32-bit nanoseconds overflow",
}

# Files that tshark calls damaged, and that are read whole.
READABLE = {
    "python-pcapng--test007.ntar": "a block length without its padding, the same at both ends of the padded block",
}


@dataclass
class Dump:
    """What the source said of one file."""

    frames: list[list[str]] = field(default_factory=list)
    link_types: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    error: str | None = None


@pytest.fixture(scope="module")
def dumps() -> dict[str, Dump]:
    lines = core_example("dump_frames", sorted((CORPUS / "captures").iterdir()))
    dumps: dict[str, Dump] = {}
    for kind, *values in (line.split("\t") for line in lines):
        if kind == "file":
            dump = dumps[Path(values[0]).name] = Dump()
        elif kind == "frame":
            dump.frames.append(values)
        elif kind == "interface":
            dump.link_types[values[0]] = values[1]
        elif kind == "warning":
            dump.warnings.append(values[1])
        else:
            dump.error = values[0]
    return dumps


def reference(name: str) -> dict[str, Any]:
    with gzip.open(CORPUS / "reference" / f"{name}.json.gz", "rt") as text:
        answer: dict[str, Any] = json.load(text)
        return answer


def sections(path: Path) -> int:
    """Number of sections of a pcapng file, 0 for pcap."""
    data = path.read_bytes()
    if data[:4] != b"\n\r\r\n":
        return 0
    count, at, order = 0, 0, "<I"
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\n\r\r\n":
            count += 1
            order = "<I" if data[at + 8] == 0x4D else ">I"
        at += struct.unpack_from(order, data, at + 4)[0]
    return count


def differences(path: Path, answer: dict[str, Any], dump: Dump) -> Iterator[str]:
    if dump.error or dump.warnings:
        yield f"error {dump.error}, warnings {dump.warnings}"
    if len(dump.frames) != answer["packet_count"]:
        yield f"{len(dump.frames)} frames, tshark has {answer['packet_count']}"
    several = sections(path) > 1
    for expected, frame in zip(answer["packets"], dump.frames, strict=False):
        number, time, wire_len, cap_len, interface = expected[:5]
        if frame[0] != str(number):
            yield f"frame {number} is numbered {frame[0]}"
        if frame[1] != (time or "-") and (frame[1] == "-" or not time or Decimal(frame[1]) != Decimal(time)):
            yield f"frame {number}: time {frame[1]}, tshark {time}"
        if frame[2:4] != [str(wire_len), str(cap_len)]:
            yield f"frame {number}: lengths {frame[2:4]}, tshark {[wire_len, cap_len]}"
        custom = dump.link_types[frame[4]] == CUSTOM_BLOCK
        # tshark counts from 0 in every section (and not in pcap files), the source over all of them.
        if sections(path) and (interface is None) != custom:
            yield f"frame {number}: interface {frame[4]}, tshark {interface}"
        if interface is not None and not several:
            before = sum(dump.link_types[str(i)] == CUSTOM_BLOCK for i in range(int(frame[4])))
            if int(frame[4]) - before != interface:
                yield f"frame {number}: interface {frame[4]}, tshark {interface}"


def test_clean_files_agree_with_tshark(dumps: dict[str, Dump]) -> None:
    clean, wrong = 0, {}
    for name, dump in dumps.items():
        answer = reference(name)
        if answer["clean"]:
            clean += 1
            if found := list(differences(CORPUS / "captures" / name, answer, dump)):
                wrong[name] = found
    print(f"{clean - len(wrong)} of {clean} clean files agree")
    for name, found in wrong.items():
        print(f"{name}: {EXCEPTIONS.get(name, 'NOT EXPLAINED')}: {found[:3]}")
    assert clean > 300
    assert {name: found[:5] for name, found in wrong.items() if name not in EXCEPTIONS} == {}
    assert set(wrong) == {name for name in EXCEPTIONS if name in dumps}, "an exception that is none any more"


def test_damaged_files_give_the_frames_before_and_one_warning(dumps: dict[str, Dump]) -> None:
    damaged = 0
    for name, dump in dumps.items():
        answer = reference(name)
        if answer["clean"] or not any("cut short" in e or "damaged" in e for e in answer["tshark_err"]):
            continue
        damaged += 1
        assert dump.error is None, name
        if name in READABLE:
            assert (len(dump.frames), dump.warnings) == (1, []), name
            continue
        assert len(dump.warnings) == 1, (name, dump.warnings)
        assert len(dump.frames) == answer["packet_count"], name
    assert damaged >= 3


def test_the_wrong_format_is_named(dumps: dict[str, Dump]) -> None:
    dump = dumps["libtrace--5_packets.erf.pcap"]
    assert dump.error is not None
    assert "not a capture: it starts with 00 47 2f 00" in dump.error
    assert dump.frames == []
