"""The `arp` table and command over files: the poisoning lab's capture, state between runs, bad requests."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sniffkit as sk
from sniffkit import neighborstate
from sniffkit.errors import SniffkitError

CAPTURE = Path(__file__).parent.parent / "captures" / "discovery" / "poisoning.pcapng"
NAMES = CAPTURE.with_name("names.pcap")
ATTACKER = "02:00:00:00:00:66"
SNIFFKIT = [sys.executable, "-c", "from sniffkit.cli import main; main()"]


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SNIFFKIT, *arguments], capture_output=True, text=True, check=False, timeout=60, cwd=cwd)


def rows(table: Any) -> list[dict[str, Any]]:
    return list(table.to_arrow().to_pylist())


def test_poisoning(golden: Callable[[str, str], None]) -> None:
    columns = ["netns", "opcode", "src_hw", "src_ip", "dst_hw", "dst_ip", "gratuitous", "finding", "findings"]
    table = rows(sk.open(CAPTURE).arp(columns=[*columns, "previous_hw"]))
    lines = ["\t".join("-" if value is None else str(value) for value in row.values()) for row in table]
    golden("arp/poisoning.tsv", "\n".join(["\t".join([*columns, "previous_hw"]), *lines]) + "\n")


def test_every_spoofed_reply_is_found_from_the_first_on() -> None:
    table = rows(sk.open(CAPTURE).arp())
    spoofed = [row for row in table if row["eth_src"] == ATTACKER and row["src_ip"] != "10.0.0.66"]
    assert len(spoofed) >= 16
    assert all(row["finding"] in ("changed", "conflict", "mismatch", "flip-flop") for row in spoofed)
    at_client = [row for row in spoofed if row["netns"] == "client" and row["src_ip"] == "10.0.0.1"]
    assert at_client[0]["finding"] == "changed"
    assert "gateway-takeover" in at_client[0]["findings"]
    assert at_client[0]["previous_hw"] == "02:00:00:00:00:01"
    before = [row for row in table if row["ts"] < spoofed[0]["ts"]]
    assert before
    assert {row["finding"] for row in before} == {None, "new"}


def test_both_claims_are_hosts_and_the_flows_show_the_detour(tmp_path: Path) -> None:
    capture = sk.open(CAPTURE)
    gateway = {row["mac"] for row in rows(capture.hosts()) if (row["ip"], row["netns"]) == ("10.0.0.1", "client")}
    assert gateway == {"02:00:00:00:00:01", ATTACKER}
    through = capture.sql("SELECT DISTINCT resp_l2_addr FROM flows WHERE netns = 'client' AND resp_h = '198.51.100.2'")
    assert {row["resp_l2_addr"] for row in rows(through)} >= {"02:00:00:00:00:01"}
    frames = capture.sql(
        f"SELECT count(*) AS n FROM packets WHERE netns = 'attacker' AND eth_src = '{ATTACKER}' AND ip_src = '10.0.0.2'"
    )
    assert rows(frames)[0]["n"] > 0


def test_columns_and_sql() -> None:
    capture = sk.open(CAPTURE)
    names = [name for name, _ in capture.arp().columns()]
    assert names[:12] == ["ts", "frame_number", "netns", "interface", "vlan", "opcode", "src_hw", "src_ip", "dst_hw",
                          "dst_ip", "gratuitous", "finding"]  # fmt: skip
    data = capture.arp().to_arrow()
    assert str(data.schema.field("ts").type) == "timestamp[ns, tz=UTC]"
    assert data.schema.metadata[b"sniffkit.table"] == b"arp"
    found = capture.sql("SELECT src_hw, count(*) AS n FROM arp WHERE finding = 'conflict' GROUP BY 1 ORDER BY 1")
    assert ATTACKER in {row["src_hw"] for row in rows(found)}
    with pytest.raises(SniffkitError, match="no column 'nosuch'"):
        capture.arp(columns=["nosuch"]).to_arrow()


def test_neighbors_has_discovery_too() -> None:
    capture = sk.open(CAPTURE)
    both = rows(capture.neighbors())
    assert [row for row in both if row["protocol"] == "arp"] == rows(capture.arp())
    assert any(row["protocol"] == "nd" and row["opcode"] in (133, 135, 136) for row in both)


def test_state_goes_on_in_the_next_run(tmp_path: Path) -> None:
    state = tmp_path / "known.json"
    first = run("arp", str(CAPTURE), "--state", str(state), "--json")
    assert first.returncode == 0, first.stderr
    plain = run("arp", str(CAPTURE), "--json")
    assert first.stdout == plain.stdout
    entries = json.loads(state.read_text())["addresses"]
    assert {(one["netns"], one["ip"]) for one in entries} >= {("client", "10.0.0.1"), ("gateway", "10.0.0.2")}
    second = run("arp", str(CAPTURE), "--state", str(state), "--json")
    assert [json.loads(line)["finding"] for line in second.stdout.splitlines()].count("new") == 0
    assert list(tmp_path.iterdir()) == [state]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": "sniffkit-addresses-1"}', '{"format": "sniffkit-addresses-1", "addresses": [{}]}',
     '{"format": "sniffkit-addresses-1", "addresses": 7}'],
)  # fmt: skip
def test_a_state_file_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state"
    path.write_text(text)
    with pytest.raises(SniffkitError, match="state file"):
        neighborstate.load(str(path))
    assert path.read_text() == text


WHOLE = {"netns": None, "interface": "eth0", "vlan": [5], "vni": 7, "ip": "10.0.0.3", "current": 0, "gateway": False,
         "stations": [{"mac": "02:00:00:00:00:03", "first": 1, "last": 2}]}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [("ip", "10.0.0.300"), ("ip", None), ("netns", 5), ("interface", []), ("vlan", [4096]), ("vlan", ["x"]),
     ("vlan", 3), ("vni", 1 << 24), ("vni", -1), ("current", 1), ("current", -1), ("current", 1 << 70),
     ("stations", [{}]),
     ("stations", [{"mac": "02:00:00:00:00", "first": 1, "last": 2}]), ("stations", {"mac": 1}),
     ("stations", [{"mac": "02:00:00:00:00:03", "first": 1e300, "last": 2}]),
     ("stations", [{"mac": "02:00:00:00:00:03", "first": 1 << 63, "last": 2}])],
)  # fmt: skip
def test_a_state_file_with_a_wrong_value(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "state"
    path.write_text(json.dumps({"format": neighborstate.FORMAT, "addresses": [WHOLE]}))
    assert len(neighborstate.load(str(path))) == 1
    path.write_text(json.dumps({"format": neighborstate.FORMAT, "addresses": [WHOLE | {key: value}]}))
    with pytest.raises(SniffkitError, match="damaged state file") as error:
        neighborstate.load(str(path))
    assert "\n" not in str(error.value)


def test_a_state_file_with_wrong_addresses(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text(json.dumps({"format": neighborstate.FORMAT, "addresses": [WHOLE | {"ip": "10.0.0.300"}]}))
    done = run("arp", str(CAPTURE), "--state", str(path))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    path.write_text("[" * 100_000)
    assert run("arp", str(CAPTURE), "--state", str(path)).returncode == 2
    for wrong in (tmp_path, tmp_path / "nosuch" / "state", ""):
        refused = run("arp", str(CAPTURE), "--state", str(wrong))
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)


def test_a_full_disk_under_a_state_file_is_no_bad_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SniffkitError, match="state: No space left on device") as raised:
        neighborstate.save(str(tmp_path / "state"), [])
    assert raised.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_state_file_keeps_its_place_and_mode(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    state, link = tmp_path / "real" / "state", tmp_path / "state"
    link.symlink_to(state)
    state.write_text(json.dumps({"format": neighborstate.FORMAT, "addresses": []}))
    state.chmod(0o640)
    assert run("arp", str(CAPTURE), "--state", str(link), "--json").returncode == 0
    assert link.is_symlink()
    assert (len(neighborstate.load(str(link))) > 0, state.stat().st_mode & 0o777) == (True, 0o640)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["real", "state", "state"]


@pytest.mark.parametrize(
    "arguments",
    [["--netns", "x"], ["--columns", "nosuch"], ["-o", "x.txt"], ["--live", "--sort", "ts"]],
)
def test_bad_requests(arguments: list[str], tmp_path: Path) -> None:
    done = run("arp", str(CAPTURE), *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_outputs(tmp_path: Path) -> None:
    import pyarrow.parquet

    out = tmp_path / "arp.parquet"
    assert run("arp", str(CAPTURE), "-o", str(out), "--where", "finding = 'new'").returncode == 0
    assert set(pyarrow.parquet.read_table(out).column("finding").to_pylist()) == {"new"}
    assert run("arp", str(CAPTURE), "--filter", "udp port 1").returncode == 1
    nothing = run("arp", os.devnull)
    assert nothing.returncode == 2


@pytest.mark.parametrize("table", ["arp", "neighbors", "flows"])
def test_a_file_has_the_counters_of_the_end(tmp_path: Path, table: str) -> None:
    import pyarrow.parquet

    capture = sk.open(CAPTURE)
    made = getattr(capture, table)()
    data = made.to_arrow()
    path = tmp_path / "table.parquet"
    made.to_parquet(path)
    in_file = pyarrow.parquet.read_schema(path).metadata
    assert {key: in_file[key] for key in data.schema.metadata} == data.schema.metadata
    if table in ("arp", "neighbors"):
        assert int(in_file[b"sniffkit.messages"]) == len(capture.neighbors().to_arrow()) > 0
    else:
        assert int(in_file[b"sniffkit.frames"]) > 0


@pytest.mark.parametrize("table", ["arp", "neighbors", "flows", "hosts"])
def test_a_stream_has_no_counters_that_are_not_known_yet(table: str) -> None:
    import pyarrow

    table_of = getattr(sk.open(CAPTURE), table)
    whole = table_of().to_arrow().schema.metadata
    begun = pyarrow.RecordBatchReader.from_stream(table_of()).schema.metadata
    assert begun.items() <= whole.items()
    assert b"sniffkit.table" in begun


def test_a_gateway_is_known_by_its_lease() -> None:
    table = rows(sk.open(NAMES).arp(filter="arp or udp port 68"))
    assert table[-1]["findings"] == ["conflict", "gateway-takeover"]


def test_a_gateway_may_be_named() -> None:
    plain = run("arp", str(NAMES), "--filter", "arp", "--json")
    assert [json.loads(line)["findings"] for line in plain.stdout.splitlines()][-1] == ["conflict"]
    named = run("arp", str(NAMES), "--filter", "arp", "--gateway", "10.0.0.9", "--gateway", "10.0.0.1", "--json")
    found = [json.loads(line)["findings"] for line in named.stdout.splitlines()]
    assert found[-1] == ["conflict", "gateway-takeover"]
    assert found[:-1] == [["new"], ["new"]]
    wrong = run("arp", str(NAMES), "--gateway", "router")
    assert (wrong.returncode, wrong.stdout, wrong.stderr) == (
        2,
        "",
        "sniffkit: --gateway 'router': not an IP address\n",
    )


def test_what_the_kernel_knows_is_merged_into_what_is_kept() -> None:
    from sniffkit.kernelneighbors import start_from

    kept = [("ns", "eth0", [], None, "10.0.0.1", [("02:00:00:00:00:01", 1, 2)], 0, False),
            ("ns", "eth0", [], None, "10.0.0.2", [("02:00:00:00:00:02", 1, 2)], 0, False)]  # fmt: skip
    kernel: list[Any] = [("ns", "eth0", [], None, "10.0.0.1", [("02:00:00:00:00:66", 9, 9)], 0, True),
                         ("ns", "eth0", [], None, "10.0.0.2", [("02:00:00:00:00:02", 9, 9)], 0, False),
                         ("ns", "eth1", [], None, "10.0.0.1", [("02:00:00:00:00:03", 9, 9)], 0, False)]  # fmt: skip
    merged, differing = start_from(kept, kernel)
    assert merged == [(*kept[0][:7], True), kept[1], kernel[2]]
    assert differing == ["ns/eth0: 10.0.0.1 is at 02:00:00:00:00:66 in the kernel's table, was at 02:00:00:00:00:01"]
