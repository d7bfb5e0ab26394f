"""Columns of the packets table and totals of the flows table against tshark, on every clean reference capture.

What a frame's columns must be follows from its reference line, cut where `test_corpus_packets.py` cuts it: addresses
and ports are those of the innermost headers that were sent. Flows are compared as sums a 5-tuple, because rows end by
close, reuse and timeout, and keep VLANs, tunnels and interfaces apart: none of these changes a sum. With fragments the
sums are a pair of addresses: tshark gives a fragment no ports, a flow counts it with its datagram.
"""

from __future__ import annotations

import struct
import warnings
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_corpus_packets import answers, cut

import sniffkit as sk
from sniffkit.errors import CaptureWarning

Values = dict[str, Any]
MIN_SHARE = 0.995
TSHARK_MAX_LEN = 2**31 - 1  # a longer length on the wire, in one fuzzed file, is shown as this

# Files with a difference that stays, and why.
PACKET_EXCEPTIONS: dict[str, str] = {
    "libtrace--5_packets.erf.pcap": "not a pcap file but bare Endace ERF records, a format that is not read",
}
FLOW_EXCEPTIONS: dict[str, str] = {
    "libtrace--5_packets.erf.pcap": PACKET_EXCEPTIONS["libtrace--5_packets.erf.pcap"],
}

COLUMNS = [
    *("frame_number", "ts", "frame_len", "cap_len", "eth_src", "eth_dst", "eth_type", "vlan_id", "vxlan_vni"),
    *("ip_version", "ip_src", "ip_dst", "outer_ip_src", "outer_ip_dst", "ip_proto", "src_port", "dst_port"),
    *("tcp_flags", "tcp_seq", "tcp_ack", "icmp_type", "icmp_code"),
    *("arp_opcode", "arp_src_hw", "arp_src_ip", "arp_dst_hw", "arp_dst_ip"),
]


def number(text: str) -> int | None:
    return None if text in ("None", "") else int(text, 0)


def nanoseconds(epoch: str) -> int | None:
    return int(Decimal(epoch) * 10**9) if epoch else None


def values(line: str) -> Values:
    """The columns that a reference line says; those it does not mention are not there."""
    found: Values = {}
    for element in line.split("|") if line else []:
        kind, _, rest = element.partition(":")
        if kind == "(":
            break  # quoted in an ICMP error: nobody sent it
        if kind == "eth":
            ends, _, eth_type = rest.rpartition(":")
            found["eth_src"], _, found["eth_dst"] = ends.partition(">")
            found["eth_type"] = int(eth_type, 16) if eth_type.startswith("0x") else None
            found["eth_inside"] = "ip_src" in found  # a tunnelled frame; until an IP header follows, it has none
        elif kind in ("vlan", "svlan"):
            found.setdefault("vlan_id", []).append(int(rest))
        elif kind in ("vxlan", "geneve"):
            found["vxlan_vni"] = number(rest)
        elif kind in ("ip4", "ip6"):
            src, _, rest = rest.partition(">")
            for name in ("src_port", "dst_port", "tcp_flags", "tcp_seq", "tcp_ack", "icmp_type", "icmp_code"):
                found.pop(name, None)
            if "ip_src" in found and "outer_ip_src" not in found:
                found["outer_ip_src"], found["outer_ip_dst"] = found["ip_src"], found["ip_dst"]
            parts = rest.split(":")
            if kind == "ip4":
                found["ip_dst"], proto = parts[0], parts[1]
            else:
                found["ip_dst"], _, proto = rest.rpartition(":")
            found.update(ip_version=int(kind[2]), ip_src=src, ip_proto=number(proto))
            found["eth_inside"] = False
        elif kind in ("ip6x", "ip6frag"):
            found["ip_proto"] = number(rest.rpartition(":")[2]) or found["ip_proto"]  # None: the header is cut
        elif kind in ("tcp", "udp", "sctp"):
            ports, *more = rest.split(":")
            found["src_port"], found["dst_port"] = map(number, ports.split(">"))
            if kind == "tcp":
                found["tcp_flags"], found["tcp_seq"], found["tcp_ack"] = map(number, more[:3])
        elif kind in ("icmp", "icmp6"):
            found["icmp_type"], found["icmp_code"] = map(number, rest.split("/"))
        elif kind == "arp":
            opcode, _, rest = rest.partition(":")
            sender, _, target = rest.partition(">")
            found["arp_opcode"] = number(opcode)
            for end, words in (("src", sender), ("dst", target)):
                for column, word in zip(("hw", "ip"), words.split("/"), strict=True):
                    found[f"arp_{end}_{column}"] = None if word == "None" else word
    return found


def expected_frames(answer: dict[str, Any], to_the_end: bool = False) -> Iterator[tuple[int, Values, bool]]:
    """Frame number, columns, and whether they are all there is (not where tshark gave up or its fields misaligned).

    Of a malformed frame the last layer is the one that tshark gave up in, unless `to_the_end`: an application's mostly.
    """
    single = dict(answer.get("nodefrag", {}).get("changed_packets", []))
    misaligned, malformed = set(answer["misaligned_frames"]), set(answer["malformed_frames"])
    for number, epoch, wire, captured, _, protocols, line in answer["packets"]:
        line = single.get(number) or cut(answer["protocol_index"][protocols], line)
        last = line.rpartition("|")[2]
        if number in malformed and not to_the_end:
            line = line.rpartition("|")[0]
        found = {} if number in misaligned else values(line)
        if number in malformed and last.startswith("ip6") and not to_the_end:
            found.pop("ip_proto", None)
        found.update(ts=nanoseconds(epoch), frame_len=wire, cap_len=captured)
        yield number, found, number not in misaligned | malformed


def bogus_times(path: Path) -> set[int]:
    """Frames of a pcap file with a fraction of a second of more than one: tshark's 32-bit arithmetic wraps there."""
    data = path.read_bytes()
    magic = {b"\xd4\xc3\xb2\xa1": ("<", 10**6), b"\xa1\xb2\xc3\xd4": (">", 10**6)}
    order, limit = magic.get(data[:4]) or ("", 0)
    found, at, frame = set(), 24, 1
    while order and at + 16 <= len(data):
        _, fraction, captured = struct.unpack_from(f"{order}III", data, at)
        if fraction >= limit:
            found.add(frame)
        at, frame = at + 16 + captured, frame + 1
    return found


def rows(path: Path, table: str, columns: list[str]) -> list[Values]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaptureWarning)
        arrow = getattr(sk.open(path), table)(columns=columns).to_arrow()
    for name in {"ts", "ts_end"} & set(columns):
        arrow = arrow.set_column(arrow.column_names.index(name), name, arrow[name].cast("int64"))
    found: list[Values] = arrow.to_pylist()
    return found


def packet_differences(answer: dict[str, Any], path: Path) -> list[str]:
    got = {row["frame_number"]: row for row in rows(path, "packets", COLUMNS)}
    wrong = [f"{len(got)} frames, not {answer['packet_count']}"] if len(got) != answer["packet_count"] else []
    bogus = bogus_times(path)
    for frame, expected, complete in expected_frames(answer):
        row = got.get(frame, {"frame_len": 0})
        row["frame_len"] = min(row["frame_len"], TSHARK_MAX_LEN)
        names = [name for name in COLUMNS[1:] if complete or name in expected]
        if frame in bogus:
            names.remove("ts")
        wrong += [
            f"frame {frame} {name}: tshark {expected.get(name)}, sniffkit {row.get(name)}"
            for name in names
            if row.get(name) != expected.get(name)
        ]
    return wrong


def pair(a: tuple[str, int], b: tuple[str, int], proto: int) -> tuple[tuple[Any, ...], bool]:
    """The key of both directions, and whether `a` is the end that sorts first."""
    return (min(a, b), max(a, b), proto), a <= b


def sums_of_frames(answer: dict[str, Any], ports: bool) -> Counter[tuple[Any, ...]]:
    """Packets and bytes of each direction of a 5-tuple: what tshark's table has, by the columns of the frames."""
    total: Counter[tuple[Any, ...]] = Counter()
    for _, found, _ in expected_frames(answer, to_the_end=True):
        if "ip_src" not in found or found["eth_inside"]:
            continue  # a frame without IP in a tunnel is a flow of its own, not one of the tunnel's addresses
        a = (found["ip_src"], found.get("src_port") or 0 if ports else 0)
        b = (found["ip_dst"], found.get("dst_port") or 0 if ports else 0)
        key, forward = pair(a, b, found["ip_proto"])
        total[(*key, forward, "pkts")] += 1
        total[(*key, forward, "bytes")] += found["frame_len"]
    return total


def sums_of_tuples(answer: dict[str, Any], ports: bool) -> Counter[tuple[Any, ...]]:
    total: Counter[tuple[Any, ...]] = Counter()
    for one in answer.get("nodefrag", answer)["tuples"]:
        a, b = (one["a"], one["ap"] if ports else 0), (one["b"], one["bp"] if ports else 0)
        key, forward = pair(a, b, one["proto"])
        for way, side in ((forward, "ab"), (not forward if a != b else True, "ba")):
            total[(*key, way, "pkts")] += one[f"pk_{side}"]
            total[(*key, way, "bytes")] += one[f"by_{side}"]
    return +total


def sums_of_flows(flows: list[Values], ports: bool) -> Counter[tuple[Any, ...]]:
    total: Counter[tuple[Any, ...]] = Counter()
    for row in flows:
        if row["ip_proto"] is None:
            continue
        a = (row["orig_h"], row["orig_p"] or 0 if ports else 0)
        b = (row["resp_h"], row["resp_p"] or 0 if ports else 0)
        key, forward = pair(a, b, row["ip_proto"])
        for way, side in ((forward, "orig"), (not forward if a != b else True, "resp")):
            total[(*key, way, "pkts")] += row[f"{side}_pkts"]
            total[(*key, way, "bytes")] += min(row[f"{side}_bytes"], TSHARK_MAX_LEN)
    return +total


FLOW_COLUMNS = [
    *("ip_proto", "orig_h", "orig_p", "resp_h", "resp_p", "orig_pkts", "resp_pkts", "orig_bytes", "resp_bytes"),
    *("orig_payload_bytes", "resp_payload_bytes", "ts", "ts_end"),
]


def stream_differences(answer: dict[str, Any], flows: list[Values], opened: set[tuple[Any, ...]]) -> list[str]:
    """TCP payload each way, first and last time, summed over tshark's streams of a 5-tuple.

    Of the streams that tshark finds in protocols not opened here only those count that are `opened` elsewhere too.
    """

    def merged(found: list[tuple[tuple[Any, ...], bool, int, int, int, int]]) -> dict[tuple[Any, ...], list[int]]:
        table: dict[tuple[Any, ...], list[int]] = {}
        for key, forward, sent, got, first, last in found:
            low, high = (sent, got) if forward else (got, sent)
            known = table.setdefault(key, [0, 0, first, last])
            table[key] = [known[0] + low, known[1] + high, min(known[2], first), max(known[3], last)]
        return table

    reference = merged(
        [
            (
                *pair((s["a"], s["ap"]), (s["b"], s["bp"]), 6),
                *(s["pl_ab"], s["pl_ba"], nanoseconds(s["first"]) or 0, nanoseconds(s["last"]) or 0),
            )
            for s in answer["tcp_streams"]
        ]
    )
    ours = merged(
        [
            (
                *pair((row["orig_h"], row["orig_p"]), (row["resp_h"], row["resp_p"]), 6),
                *(row["orig_payload_bytes"], row["resp_payload_bytes"], row["ts"], row["ts_end"]),
            )
            for row in flows
            if row["ip_proto"] == 6 and row["orig_p"] is not None
        ]
    )
    return [
        f"{key}: tshark {value}, sniffkit {ours.get(key)}"
        for key, value in reference.items()
        if key in opened and value != ours.get(key)
    ]


def flow_differences(answer: dict[str, Any], path: Path) -> list[str]:
    flows = rows(path, "flows", FLOW_COLUMNS)
    ports = "nodefrag" not in answer
    expected, got = sums_of_frames(answer, ports), sums_of_flows(flows, ports)
    wrong = [
        f"{key}: tshark {expected[key]}, sniffkit {got[key]}" for key in expected | got if expected[key] != got[key]
    ]
    if ports and not answer["malformed"]:
        wrong += stream_differences(answer, flows, {key[:3] for key in expected})
    return wrong


def judge(wrong: dict[str, list[str]], files: int, exceptions: dict[str, str], what: str) -> None:
    share = 1 - len(wrong) / files
    print(f"\n{what}: {files - len(wrong)} of {files} clean files ({share:.2%}) agree with tshark")
    for name, reason in exceptions.items():
        print(f"  except {name}: {reason}")
    unexplained = {name: found[:4] for name, found in wrong.items() if name not in exceptions}
    assert not unexplained, "\n".join(f"{name}: {text}" for name, found in unexplained.items() for text in found)
    assert set(exceptions) <= set(wrong), "a file listed as an exception agrees by now: take it from the list"
    assert share >= MIN_SHARE


@pytest.fixture(scope="module")
def references(corpus: Path) -> dict[str, dict[str, Any]]:
    return answers(corpus, clean=True)


def collect(references: dict[str, dict[str, Any]], corpus: Path, differences: Any) -> dict[str, list[str]]:
    wrong = {}
    for name, answer in references.items():
        try:
            found = differences(answer, corpus / "captures" / name)
        except sk.SniffkitError as error:
            found = [str(error)]
        if found:
            wrong[name] = found
    return wrong


def test_packet_columns(references: dict[str, dict[str, Any]], corpus: Path) -> None:
    wrong = collect(references, corpus, packet_differences)
    judge(wrong, len(references), PACKET_EXCEPTIONS, "packet columns")


def has_answers(answer: dict[str, Any]) -> bool:
    """Not where the answer's fields misaligned, or tshark gave up in a fragment header before it had read any."""
    return not answer["misaligned"] and not any(
        packet[0] in answer["malformed_frames"] and packet[6].endswith("ip6frag:None:None")
        for packet in answer["packets"]
    )


def test_flow_totals(references: dict[str, dict[str, Any]], corpus: Path) -> None:
    compared = {name: answer for name, answer in references.items() if has_answers(answer)}
    print(f"\n{len(references) - len(compared)} files have frames without an answer and are left out")
    wrong = collect(compared, corpus, flow_differences)
    judge(wrong, len(compared), FLOW_EXCEPTIONS, "flow totals")


def test_the_sums_compared_are_tsharks_own(references: dict[str, dict[str, Any]]) -> None:
    """What `test_flow_totals` expects is the answer's `tuples` wherever no line is cut before an address."""
    same = 0
    for name, answer in references.items():
        if answer["malformed"] or answer["misaligned"]:
            continue
        whole = all(
            cut(answer["protocol_index"][packet[5]], packet[6]).count("ip") == packet[6].count("ip")
            for packet in answer["packets"]
        )
        if whole and "nodefrag" not in answer:
            assert sums_of_frames(answer, True) == sums_of_tuples(answer, True), name
            same += 1
    assert same > len(references) / 3


def test_packets_and_flows_name_the_same_frames(corpus: Path) -> None:
    """Every frame of a row of flows names it in the packets table, damaged files and headless fragments included."""
    compared = 0
    for path in sorted((corpus / "captures").iterdir()):
        try:
            flows = rows(path, "flows", ["uid", "orig_pkts", "resp_pkts", "orig_bytes", "resp_bytes"])
        except sk.SniffkitError:
            continue
        pkts, size = Counter[str](), Counter[str]()
        for row in rows(path, "packets", ["uid", "frame_len"]):
            if row["uid"] is not None:
                pkts[row["uid"]] += 1
                size[row["uid"]] += row["frame_len"]
        assert pkts == {row["uid"]: row["orig_pkts"] + row["resp_pkts"] for row in flows}, path.name
        assert size == {row["uid"]: row["orig_bytes"] + row["resp_bytes"] for row in flows}, path.name
        compared += 1
    assert compared > 390
