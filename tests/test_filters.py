"""Capture filters on files of link types other than Ethernet, and on files that mix them."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import pytest
from commandline import run

import sniffkit as sk
from sniffkit import _core

TCP4 = bytes.fromhex("4500002800010000400600000102030405060708") + struct.pack(
    "!HHIIBBHHH", 9, 80, 1, 2, 80, 2, 9, 0, 0
)
UDP6 = (
    struct.pack("!IHBB", 6 << 28, 8, 17, 64) + bytes(15) + b"\1" + bytes(15) + b"\1" + struct.pack("!HHHH", 9, 53, 8, 0)
)
ETHERNET = b"\2\0\0\0\0\1\2\0\0\0\0\2\x81\0\0\5\x08\0" + TCP4
COOKED = struct.pack("!HHH8sH", 0, 1, 6, b"\2\0\0\0\0\1\0\0", 0x0800) + TCP4
RAW, SLL = 101, 113


def pcap(link_type: int, *frames: bytes, order: str = "<") -> bytes:
    out = struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link_type)
    return out + b"".join(struct.pack(order + "IIII", 1, 0, len(one), len(one)) + one for one in frames)


def block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))


def interface(link_type: int) -> bytes:
    return block(1, struct.pack("<HHI", link_type, 0, 262144))


def packet(index: int, frame: bytes) -> bytes:
    return block(6, struct.pack("<IIIII", index, 0, 1, len(frame), len(frame)) + frame)


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
# Ethernet comes late, behind a frame that the filter cannot judge.
MIXED = SECTION + interface(SLL) + packet(0, COOKED) * 2 + interface(1) + packet(1, ETHERNET)
UNFIT = 'filter "vlan": no frame of link type 113 matches: no VLAN support for Linux cooked v1 at column 1 ("vlan")'


def numbers(data: bytes, filter: str) -> list[int]:
    """The frames that match: lines and rows are of the same ones."""
    text = "".join(_core.read_text([io.BytesIO(data)], "fields", fields=["frame.number"], filter=filter)).split()
    rows = sk.open(io.BytesIO(data)).packets(["frame_number"], filter=filter).to_arrow()["frame_number"].to_pylist()
    assert rows == [int(one) for one in text]
    return rows


@pytest.mark.parametrize(
    ("link_type", "order", "family"), [(0, "<", "<"), (0, ">", ">"), (0, "<", ">"), (108, "<", ">"), (109, ">", ">")]
)
def test_families_of_loopback_are_those_of_any_system_in_its_byte_order(
    link_type: int, order: str, family: str
) -> None:
    more = bytes(8 if link_type == 109 else 0)  # LINKTYPE_ENC: SPI, flags
    frames = [(2, TCP4), (24, UDP6), (28, UDP6), (30, UDP6)]
    data = pcap(link_type, *(struct.pack(family + "I", one) + more + rest for one, rest in frames), order=order)
    if link_type != 109:  # which is not decoded
        assert numbers(data, "ip6") == [2, 3, 4]
    found = {one: "".join(_core.read_text([io.BytesIO(data)], time="none", filter=one)) for one in ("ip", "ip6", "tcp")}
    assert [len(text.splitlines()) for text in found.values()] == [1, 3, 1]
    for filter, count in (("not ip6", 1), ("udp port 53", 3), ("host ::1", 3), ("tcp port 80", 1), ("ip or ip6", 4)):
        assert len("".join(_core.read_text([io.BytesIO(data)], filter=filter)).splitlines()) == count, filter


@pytest.mark.parametrize(("link_type", "head"), [(12, b""), (14, b""), (RAW, b""), (100, b"\xaa\xaa\3\0\0\0")])
def test_link_types_have_the_numbers_of_files(link_type: int, head: bytes) -> None:
    types = [b"\x08\0", b"\x86\xdd"] if head else [b"", b""]
    data = pcap(link_type, head + types[0] + TCP4, head + types[1] + UDP6)
    assert [numbers(data, one) for one in ("less 1000", "tcp", "udp port 53", "ip6")] == [[1, 2], [1], [2], [2]]


@pytest.mark.parametrize(
    ("link_type", "frame", "filter", "why"),
    [
        (SLL, COOKED, "not vlan", 'no VLAN support for Linux cooked v1 at column 5 ("vlan")'),
        (SLL, COOKED, "port 80 or vlan", 'no VLAN support for Linux cooked v1 at column 12 ("vlan")'),
        (RAW, TCP4, "not ether broadcast", 'not a broadcast link at column 11 ("broadcast"), on Raw IP'),
        (0, b"\2\0\0\0" + TCP4, "vlan", 'no VLAN support for BSD loopback at column 1 ("vlan")'),
        (300, TCP4, "tcp", "unknown data link type 300"),
    ],
    ids=["not", "or", "no broadcasts", "loopback", "unknown"],
)
def test_what_makes_no_sense_for_the_only_link_type_is_an_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], link_type: int, frame: bytes, filter: str, why: str
) -> None:
    path = str(tmp_path / "x.pcap")
    Path(path).write_bytes(pcap(link_type, frame))
    for command in (["read", path, filter], *([name, path, "-f", filter] for name in ("packets", "flows", "http"))):
        code, out, err = run(capfd, *command)
        assert (code, out, err.count("\n")) == (2, "", 1), command
        assert err.startswith(f'sniffkit: bad filter "{filter}": {why}')
    for source in (
        path,
        io.BytesIO(pcap(link_type, frame)),
        io.BytesIO(SECTION + interface(link_type) + packet(0, frame)),
    ):
        with pytest.raises(sk.FilterError) as error:
            sk.open(source).flows(filter=filter).to_arrow()
        assert why in str(error.value)
    Path(path).write_bytes(pcap(link_type))
    assert run(capfd, "read", path, filter)[0] == 2


def test_where_one_link_type_fits_the_others_are_told_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cooked, ethernet, mixed = (str(tmp_path / name) for name in ("a.pcap", "b.pcap", "c.pcapng"))
    Path(cooked).write_bytes(pcap(SLL, COOKED, COOKED))
    Path(ethernet).write_bytes(pcap(1, ETHERNET))
    Path(mixed).write_bytes(MIXED)
    for files in ([cooked, ethernet], [ethernet, cooked], [mixed]):
        for command, shown in (
            (["read", *files, "vlan"], "1.2.3.4"),
            (["packets", *files, "-f", "vlan", "--columns", "vlan_id"], "5"),
            (["flows", *files, "-f", "vlan"], "1.2.3.4"),
            (["follow", *files, "vlan"], ""),  # nobody said anything
        ):
            code, out, err = run(capfd, *command)
            assert (code, shown in out, err) == (1, True, f"sniffkit: {UNFIT}\n"), command
        with pytest.warns(sk.CaptureWarning) as told:
            assert sk.open(files).packets(filter="vlan").to_arrow()["vlan_id"].to_pylist() == [[5]]
        assert [str(one.message) for one in told] == [UNFIT]
    with pytest.warns(sk.CaptureWarning) as told:
        assert sk.open([cooked, ethernet]).packets(filter="vlan").to_parquet(tmp_path / "x.parquet") == 1
    assert [str(one.message) for one in told] == [UNFIT]


def test_only_frames_that_come_are_told_of() -> None:
    quiet = SECTION + interface(1) + interface(SLL) + packet(0, ETHERNET) + block(0xBAD, struct.pack("<I", 7) + b"abcd")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert numbers(quiet, "vlan") == [1]


def test_a_data_set_tells_what_its_filter_cannot_judge(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap(SLL, COOKED))
    with pytest.warns(sk.CaptureWarning):
        made = sk.open([tmp_path / "a.pcap"]).to_dataset(tmp_path / "out", filter="vlan", workers=1)
    assert (made.rows, made.skipped) == (0, [UNFIT])


def test_captures_that_are_compared_may_differ_in_link_type(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap(SLL, COOKED))
    (tmp_path / "b.pcap").write_bytes(pcap(1, ETHERNET))
    with pytest.warns(sk.CaptureWarning, match=r"a\.pcap: no frame matches: bad filter"):
        seen: Any = sk.open([tmp_path / "a.pcap", tmp_path / "b.pcap"]).trace(filter="vlan").to_arrow()
    assert seen.num_rows == 1
