"""Names, order and types of the tables' columns, their metadata, and that the same bytes give the same table."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from setting import REQUIRE_ALL, SHARED

import sniffkit as sk
from captures import flow_cases
from captures.wire import T0, Frame, pcap
from sniffkit.errors import SniffkitError

TEXT = pa.dictionary(pa.int32(), pa.string())
TIME = pa.timestamp("ns", tz="UTC")
FRAGMENTS = flow_cases.FOLDER / "fragments.pcap"
CASES = [flow_cases.FOLDER / f"{name}.pcap" for name in flow_cases.CASES]

PACKET_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(["netns", "interface", "direction", "protocols", "eth_src", "eth_dst", "uid"], TEXT),
    **dict.fromkeys(["ip_src", "ip_dst", "outer_ip_src", "outer_ip_dst"], TEXT),
    **dict.fromkeys(["arp_src_hw", "arp_src_ip", "arp_dst_hw", "arp_dst_ip"], TEXT),
    **dict.fromkeys(["ip_version", "ip_proto", "ip_ttl", "icmp_type", "icmp_code"], pa.uint8()),
    **dict.fromkeys(["eth_type", "ip_frag_offset", "src_port", "dst_port", "tcp_flags", "tcp_window"], pa.uint16()),
    **dict.fromkeys(["frame_len", "cap_len", "vxlan_vni", "ip_id", "tcp_seq", "tcp_ack", "payload_len"], pa.uint32()),
    "frame_number": pa.uint64(),
    "ts": TIME,
    "vlan_id": pa.list_(pa.uint16()),
    "ip_more_fragments": pa.bool_(),
    "arp_opcode": pa.uint16(),
    "malformed": pa.string(),
}


def flow_type(name: str) -> pa.DataType:
    """The type that the contract's words give: times, durations in int64 ns, counts unsigned, the rest text."""
    if name in ("ts", "ts_end"):
        return TIME
    if name == "duration" or name.endswith("_rtt") or re.search(r"_iat_(min|max)$", name):
        return pa.int64()
    if re.search(r"_(mean|std)$", name):
        return pa.float64()
    if name in ("first_frame", "last_frame") or re.search(r"^(orig|resp)_(pkts|(ip_|payload_)?bytes)$", name):
        return pa.uint64()
    if re.search(r"_(retrans_pkts|ooo_pkts|dup_acks|zero_window|truncated_pkts|len_min|len_max)$|^vni$", name):
        return pa.uint32()
    if re.search(r"^(orig|resp)_(p|win_init|mss)$|^(inner_)?vlan$", name):
        return pa.uint16()
    if re.search(r"^(orig|resp)_(ttl_min|ttl_max|tcp_flags)$|^ip_(version|proto)$|^icmp_(type|code)$", name):
        return pa.uint8()
    return pa.string() if name in ("uid", "community_id", "parent_uid") else TEXT


def contract(table: str) -> list[str]:
    """The columns that the contract lists for `table`, in its order."""
    path = SHARED / "design" / "contract.md"
    if not path.is_file():
        (pytest.fail if REQUIRE_ALL else pytest.skip)("needs ../shared/design/contract.md")
    text = path.read_text()
    if table == "packets":
        (listed,) = re.findall(r"\*\*packets\*\* `([^`]+)`", text)
        return re.sub(r"\([^)]*\)", "", listed).split()
    part = text[text.index("**flows**") : text.index("**http**")]
    names: list[str] = []
    for line in part.splitlines():
        if not re.match(r"- (who|when|how much|how|what)\b", line):
            continue
        sided = "per side `orig_`/`resp_`" in line
        for listed in re.findall(r"`([^`]+)`", line):
            if listed in ("orig_", "resp_"):
                continue
            for one in re.sub(r"\([^)]*\)", "", listed).split():
                braces = re.fullmatch(r"\{orig,resp\}_\{(\w+),(\w+)\}_\{([\w,]+)\}", one)
                if braces:
                    kinds, stats = [braces[1], braces[2]], braces[3].split(",")
                    names += [f"{side}_{kind}_{stat}" for side in ("orig", "resp") for kind in kinds for stat in stats]
                elif sided:
                    names += [f"orig_{one}", f"resp_{one}"]
                else:
                    names.append(one)
    return names


@pytest.mark.parametrize(("table", "count"), [("packets", 39), ("flows", 80)])
def test_columns_are_the_contracts_in_its_order(table: str, count: int) -> None:
    wanted = contract(table)
    assert len(wanted) == count  # the list was understood
    assert [name for name, _ in getattr(sk.open(FRAGMENTS), table)().columns()] == wanted


def test_types_of_packets() -> None:
    schema = sk.open(FRAGMENTS).packets().to_arrow().schema
    assert {field.name: field.type for field in schema} == PACKET_TYPES


def test_types_of_flows() -> None:
    schema = sk.open(FRAGMENTS).flows().to_arrow().schema
    assert {field.name: field.type for field in schema} == {name: flow_type(name) for name in schema.names}


@pytest.mark.parametrize("table", ["packets", "flows"])
def test_absent_text_is_null_and_never_empty(table: str) -> None:
    for path in CASES:
        for row in getattr(sk.open(path), table)().to_arrow().to_pylist():
            assert [name for name, value in row.items() if isinstance(value, str | list) and not value] == []


EXPECTED_METADATA = {
    "sniffkit.table": "flows",
    "sniffkit.key": "netns interface vlan_ids vni tunnel_type addresses ports proto",
    "sniffkit.tcp_idle_s": "300",
    "sniffkit.udp_icmp_idle_s": "60",
    "sniffkit.arp_idle_s": "10",
    "sniffkit.active_s": "none",
    "sniffkit.linger_s": "60",
    "sniffkit.frames": "6",
    "sniffkit.flows": "1",
    "sniffkit.evicted_flows": "0",
    "sniffkit.orphan_fragments": "0",
    "sniffkit.evicted_fragments": "0",
}


def test_metadata_says_key_timeouts_and_counters(tmp_path: Path) -> None:
    flows = sk.open(FRAGMENTS).flows()
    flows.to_parquet(tmp_path / "flows.parquet")
    for schema in (flows.to_arrow().schema, pq.read_schema(tmp_path / "flows.parquet")):
        found = {key.decode(): value.decode() for key, value in schema.metadata.items()}
        assert {key: found.get(key) for key in EXPECTED_METADATA} == EXPECTED_METADATA


def test_rules_can_be_given_and_stand_in_the_metadata() -> None:
    path = flow_cases.FOLDER / "time_runs_back.pcap"
    table = sk.open(path).flows(udp_idle=0.15, active=7).to_arrow()
    assert table.schema.metadata[b"sniffkit.udp_icmp_idle_s"] == b"0.15"
    assert table.schema.metadata[b"sniffkit.active_s"] == b"7"
    assert table["orig_pkts"].to_pylist() == [2, 2]  # 100 and 0 ms, 300 and 200 ms


def test_the_active_timeout_goes_on_in_a_new_row_of_the_same_originator() -> None:
    rows = sk.open(flow_cases.FOLDER / "complete.pcap").flows(active=0.04).to_arrow().to_pylist()
    found = [(row["orig_h"], row["orig_pkts"], row["resp_pkts"], row["end_reason"]) for row in rows]
    assert found == [(flow_cases.A, 3, 1, "active"), (flow_cases.A, 2, 2, "fin")]


@pytest.mark.parametrize("rules", [{"tcp_idel": 1}, {"udp_idle": 0}, {"udp_idle": -1}, {"active": float("nan")}])
def test_a_rule_that_is_none_is_named(rules: dict[str, float]) -> None:
    with pytest.raises(SniffkitError, match=next(iter(rules))):
        sk.open(FRAGMENTS).flows(**rules).to_arrow()


class Dribble(io.RawIOBase):
    """A file that gives a few bytes at a time, so that the input is cut into other batches."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data, self.at, self.size = data, 0, size

    def read(self, size: int = -1) -> bytes:
        taken = self.data[self.at : self.at + min(self.size, size if size >= 0 else self.size)]
        self.at += len(taken)
        return taken


def everything(data: Any, table: str) -> pa.Table:
    arrow = getattr(sk.open(data), table)().to_arrow()
    return pa.Table.from_pylist(arrow.to_pylist(), schema=arrow.schema)


@pytest.mark.parametrize("table", ["packets", "flows"])
def test_the_same_bytes_give_the_same_table_however_they_are_read(table: str, tmp_path: Path) -> None:
    frames = [frame for name, make in flow_cases.CASES.items() if name not in flow_cases.LINK_TYPE for frame in make()]
    data = pcap(frames)
    (tmp_path / "all.pcap").write_bytes(data)
    (tmp_path / "all.pcap.gz").write_bytes(gzip.compress(data))
    first = everything(tmp_path / "all.pcap", table)
    assert first.num_rows > 40
    for again in (tmp_path / "all.pcap", tmp_path / "all.pcap.gz", Dribble(data, 100), Dribble(data, 4096)):
        assert everything(again, table).equals(first), again


def test_a_uid_does_not_depend_on_what_else_is_captured() -> None:
    frames = flow_cases.CASES["complete"]()
    other = [Frame(frame.ts + 5, frame.data) for frame in flow_cases.CASES["echo"]()]
    alone = sk.open(io.BytesIO(pcap(frames))).flows().to_arrow()["uid"].to_pylist()
    mixed = sk.open(io.BytesIO(pcap(sorted(frames + other, key=lambda frame: frame.ts)))).flows().to_arrow()
    assert set(alone) < set(mixed["uid"].to_pylist())


def test_rows_wait_for_the_flow_of_early_fragments_but_not_for_ever() -> None:
    """A fragment far ahead of its first has a row of its own; the frames between are not lost or put out of order."""
    first, last = flow_cases.fragments_of("10.0.0.1", 1, "10.0.0.2", 2, 2000, 5)
    filler = flow_cases.udp_frame(0, b"filler").data
    for between, ports in ((65_000, [1]), (66_000, [None, 1])):
        data = [last, *[filler] * between, first]
        cap = sk.open(io.BytesIO(pcap([Frame(T0 + at, frame) for at, frame in enumerate(data)])))
        packets = cap.packets(columns=["frame_number", "uid"]).to_arrow()
        cap = sk.open(io.BytesIO(pcap([Frame(T0 + at, frame) for at, frame in enumerate(data)])))
        flows = {row["uid"]: row for row in cap.flows().to_arrow().to_pylist() if row["resp_p"] != 9999}
        assert packets["frame_number"].to_pylist() == list(range(1, between + 3))
        uids = packets["uid"].to_pylist()
        assert None not in uids
        assert [row["orig_p"] for row in flows.values()] == ports
        assert [flows[uids[0]]["orig_p"], flows[uids[-1]]["orig_p"]] == [ports[0], 1]
