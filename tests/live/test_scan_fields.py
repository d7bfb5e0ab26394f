"""nmap's XML of real runs against the tables: every field of every table, and none of nmap's forgotten."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nmap_fields import EXPECTED, LEFT_OUT, TOLD, plain

import sniffkit as sk
from sniffkit.scan.result import COLUMNS

NEAR, ROUTER, FAR = (f"skfld{os.getpid()}{letter}" for letter in "abc")
SERVICES = Path(__file__).parent / "services" / "lab_services.py"
V4, V6 = "10.231.9.2", "fd00:231:9::2"
DROPPED, REJECTED = 82, 83
DTD = Path("/usr/share/nmap/nmap.dtd")


@pytest.fixture(scope="module")
def services() -> Iterator[None]:
    """Scanner, router, server. The server drops port 82, the router rejects 83, DNS of the server has its name."""
    links = [
        {
            f"{NEAR}/eth0": ["10.231.8.1/24", "fd00:231:8::1/64"],
            f"{ROUTER}/eth0": ["10.231.8.2/24", "fd00:231:8::2/64"],
        },
        {f"{ROUTER}/eth1": ["10.231.9.1/24", "fd00:231:9::1/64"], f"{FAR}/eth0": [f"{V4}/24", f"{V6}/64"]},
    ]
    nodes = {
        NEAR: {"routes": ["default via 10.231.8.2", "default via fd00:231:8::2"]},
        ROUTER: {"forward": True},
        FAR: {"routes": ["default via 10.231.9.1", "default via fd00:231:9::1"]},
    }
    with sk.lab({"nodes": nodes, "links": links}) as lab:
        far = lab[FAR]
        table = "add table inet t; add chain inet t c { type filter hook %s priority 0; };"
        table += "add rule inet t c tcp dport %d %s"
        far.run(["nft", table % ("input", DROPPED, "drop")])
        lab[ROUTER].run(["nft", table % ("forward", REJECTED, "reject with icmpx type admin-prohibited")])
        for _ in range(100):
            if "tentative" not in far.run(["ip", "-6", "address", "show"]).stdout:
                break
            time.sleep(0.05)
        server = far.popen([sys.executable, str(SERVICES), "80", "22", V4, V6], stdout=subprocess.PIPE, text=True)
        dns = ["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", f"--host-record=far.lab.test,{V4},{V6}"]
        far.popen(dns, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert server.stdout.readline() == "ready\n"
        yield
        server.stdout.close()


ALL = f"22,53,80,81,{DROPPED},{REJECTED}"
SCRIPTS = ["--script", "http-title,http-headers,banner,dns-nsid"]
QUICK = ["--version-intensity", "2", "--max-os-tries", "1"]
# name → targets, ports, options
RUNS: dict[str, tuple[list[str], str | None, list[str]]] = {
    "everything over IPv4": ([V4], ALL, ["-A", *QUICK, *SCRIPTS]),
    "everything over IPv6": ([V6], ALL, ["-A", *QUICK, *SCRIPTS]),
    "names": ([V4], "80", ["-R", "--dns-servers", V4]),
    "UDP, and hosts that are down": (["10.231.8.1-4"], "U:53,U:54", ["-sU", "-v", "--max-retries", "1"]),
    "UDP with versions": ([V4], "U:53,U:54", ["-sU", "-sV", "--version-intensity", "0"]),
    "neighbours without ports": (["10.231.8.0/29"], None, ["-sn"]),
    "ports that are not listed": ([V4, V6], "1-120", []),
    "IP protocols": (["10.231.8.2"], "1,6,17,47", ["-sO", "--max-retries", "1"]),
    "all filtered": ([V4], str(DROPPED), ["-Pn", "--max-retries", "0"]),
    "a host that takes too long": ([V4], "1-99", ["--host-timeout", "1s", "--scan-delay", "200ms"]),
    "nobody": (["10.231.8.77"], None, ["-sn"]),
}


@pytest.mark.parametrize("name", RUNS)
def test_every_column_is_what_the_xml_says(services: None, name: str) -> None:
    targets, ports, options = RUNS[name]
    result = sk.scan(*targets, netns=NEAR, ports=ports, options=options)
    assert result.complete, result.notes
    roots = [ET.fromstring(xml) for xml in result.xml]
    for table, rows_of in EXPECTED.items():
        found = plain(table, result.table(table).to_arrow().to_pylist())
        assert found == [row for root in roots for row in rows_of(root)], table
        for row in found:
            assert set(row) | {"netns"} == set(COLUMNS[table]) | {"netns"}
    seen = {(one.tag, attribute) for root in roots for one in root.iter() for attribute in one.attrib}
    assert not {pair for pair in seen if pair[0] not in LEFT_OUT and pair not in LEFT_OUT and not told(*pair)}
    check(name, result)


def told(element: str, attribute: str) -> bool:
    return attribute in TOLD.get(element, "").split() or element == "hosthint"


def check(name: str, result: Any) -> None:
    """That the run really had what it is there for."""
    rows = {table: result.table(table).to_arrow().to_pylist() for table in EXPECTED}
    if name.startswith("everything"):
        address = V4 if name.endswith("4") else V6
        states = {row["port"]: (row["state"], row["reason_ip"]) for row in rows["ports"]}
        router = "10.231.8.2" if address == V4 else "fd00:231:8::2"
        assert states[REJECTED] == ("filtered", router)
        assert states[DROPPED] == ("filtered", None)
        assert [row["hop_ip"] for row in rows["hops"]] == [router, address]
        assert all(row["rtt"] > 0 for row in rows["hops"])
        assert any("\\x01" in row["output"] and '"quotes"' in row["output"] for row in rows["scripts"])
        if address == V4:
            assert rows["hosts"][0]["distance"] == 2
            assert rows["os"], "nmap knows Linux"
    elif name == "names":
        assert (rows["hosts"][0]["hostnames"], rows["hosts"][0]["hostname_types"]) == (["far.lab.test"], ["PTR"])
    elif name.startswith("UDP, "):
        assert sorted(row["state"] for row in rows["hosts"]) == ["down", "down", "up", "up"]
    elif name.startswith("neighbours"):
        assert {row["ip"] for row in rows["hosts"]} == {"10.231.8.1", "10.231.8.2"}
        assert {row["mac"] is None for row in rows["hosts"]} == {True, False}
    elif name == "ports that are not listed":
        assert len(rows["hosts"]) == 2
        assert all(row["other_ports"] and row["other_reasons"] and row["srtt"] for row in rows["hosts"])
    elif name == "IP protocols":
        assert {row["proto"] for row in rows["ports"]} == {"ip"}
    elif name.startswith("a host that"):
        assert [row["timed_out"] for row in rows["hosts"]] == [True]
    elif name == "nobody":
        assert not any(rows.values())


@pytest.mark.skipif(not DTD.is_file(), reason="needs nmap.dtd")
def test_no_attribute_of_nmaps_is_forgotten() -> None:
    text = re.sub("<!--.*?-->", "", DTD.read_text(), flags=re.DOTALL)
    known = set()
    for element, body in re.findall(r"<!ATTLIST\s+(\w+)(.*?)>", text, flags=re.DOTALL):
        names = re.findall(r"^\s*(\w+)\s+(?:CDATA|%\w+;|\()", body.replace(element, "", 0), flags=re.MULTILINE)
        known |= {(element, name) for name in names}
    assert ("hop", "rtt") in known
    assert ("extrareasons", "proto") in known
    forgotten = {pair for pair in known if pair[0] not in LEFT_OUT and pair not in LEFT_OUT and not told(*pair)}
    assert not forgotten
    # And none is invented here.
    elements = {element for element, _ in known}
    assert not {one for one in LEFT_OUT if (one if isinstance(one, str) else one[0]) not in elements | {"output"}}
