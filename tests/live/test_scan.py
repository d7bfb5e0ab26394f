"""Scans of real services in a lab: the tables say what nmap's XML says, field by field."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from procfs import children, of_threads

import sniffkit as sk
from sniffkit.errors import SniffkitError

HERE, THERE = f"skscan{os.getpid()}a", f"skscan{os.getpid()}b"
SERVICES = Path(__file__).parent / "services" / "lab_services.py"
OPEN, FILTERED, PROHIBITED, CLOSED = {22, 53, 80}, 82, 83, 81
V4, V6 = "10.231.7.2", "fd00:231:7::2"
SNIFFKIT = [sys.executable, "-c", "from sniffkit.cli import main; main()"]


@pytest.fixture(scope="module")
def services() -> Iterator[sk.lab]:  # type: ignore[valid-type]
    """Two namespaces: this side scans, the other serves HTTP, an SSH banner and DNS, and filters ports."""
    ends = {f"{HERE}/eth0": ["10.231.7.1/24", "fd00:231:7::1/64"], f"{THERE}/eth0": [f"{V4}/24", f"{V6}/64"]}
    with sk.lab({"nodes": [HERE, THERE], "links": [ends]}) as lab:
        there = lab[THERE]
        rules = "add table inet t; add chain inet t in { type filter hook input priority 0; };"
        there.run(["nft", f"{rules} add rule inet t in tcp dport {FILTERED} drop"])
        there.run(["nft", "add rule inet t in tcp dport 3000-3030 drop"])
        prohibited = "reject with icmpx type admin-prohibited"
        there.run(["nft", f"add rule inet t in tcp dport {PROHIBITED} {prohibited}"])
        wait_for_addresses(there)
        server = there.popen([sys.executable, str(SERVICES), "80", "22", V4, V6], stdout=subprocess.PIPE, text=True)
        assert server.stdout.readline() == "ready\n"
        there.popen(["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--address=/lab.test/10.9.9.9"],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        wait_for_port(lab[HERE], V4, 53)
        yield lab
        server.stdout.close()


def wait_for_addresses(node: Any) -> None:
    """Until duplicate address detection is over: nobody can bind to a tentative address."""
    for _ in range(100):
        if "tentative" not in node.run(["ip", "-6", "address", "show"]).stdout:
            return
        time.sleep(0.05)


def wait_for_port(node: Any, address: str, port: int) -> None:
    code = f"import socket\nsocket.create_connection(({address!r}, {port}), 1)"
    for _ in range(100):
        if node.run([sys.executable, "-c", code], check=False).returncode == 0:
            return
        time.sleep(0.05)
    pytest.fail(f"nothing listens on {address} port {port}")


def rows(table: Any) -> list[dict[str, Any]]:
    return list(table.to_arrow().to_pylist())


def python_nmap(xml: bytes) -> dict[str, Any]:
    """The XML as python-nmap reads it, in a process of its own."""
    code = "import sys, json, nmap\ns = nmap.PortScanner()\n"
    code += "print(json.dumps(s.analyse_nmap_xml_scan(sys.stdin.read())['scan']))"
    done = subprocess.run([sys.executable, "-c", code], input=xml.decode(), capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def ports_of_xml(xml: bytes) -> list[tuple[Any, ...]]:
    out = []
    for host in ET.fromstring(xml).findall("host"):
        ip = next(a.get("addr") for a in host.findall("address") if a.get("addrtype") != "mac")
        for port in host.findall("ports/port"):
            state = port.find("state")
            assert state is not None
            out.append((ip, port.get("protocol"), int(port.get("portid", "0")), state.get("state"),
                        state.get("reason"), int(state.get("reason_ttl", "0"))))  # fmt: skip
    return out


SERVICE_FIELDS = ("name", "product", "version", "extrainfo", "hostname", "ostype", "devicetype", "tunnel", "method",
                  "servicefp")  # fmt: skip


def compare(result: Any) -> None:
    """Every table against the XML, read here in another way, and against python-nmap."""
    (xml,) = result.xml
    root = ET.fromstring(xml)
    hosts = root.findall("host")
    got = rows(result.hosts())
    assert [row["state"] for row in got] == [host.find("status").get("state") for host in hosts]  # type: ignore[union-attr]
    assert [row["reason"] for row in got] == [host.find("status").get("reason") for host in hosts]  # type: ignore[union-attr]
    starts = [host.get("starttime") for host in hosts]
    assert [row["start"] and int(row["start"].timestamp()) for row in got] == [s and int(s) for s in starts]
    keys = ("ip", "proto", "port", "state", "reason", "reason_ttl")
    assert [tuple(row[key] for key in keys) for row in rows(result.ports())] == ports_of_xml(xml)
    services = root.findall("host/ports/port/service")
    table = rows(result.services())
    assert [{key: row[key] for key in SERVICE_FIELDS} for row in table] == [
        {key: one.get(key) for key in SERVICE_FIELDS} for one in services
    ]
    assert [row["conf"] for row in table] == [int(one.get("conf", "0")) for one in services]
    assert [row["cpe"] for row in table] == [[cpe.text for cpe in one.findall("cpe")] for one in services]
    scripts = [one for tag in ("prescript", "postscript") for one in root.findall(f"{tag}/script")]
    for host in hosts:
        scripts += [*host.findall("ports/port/script"), *host.findall("hostscript/script")]
    assert [(row["id"], row["output"]) for row in rows(result.scripts())] == [
        (one.get("id"), one.get("output")) for one in scripts
    ]
    matches = [(m.get("name"), int(m.get("accuracy", "0")), len(m.findall("osclass"))) for m in root.iter("osmatch")]
    assert len(rows(result.os())) == sum(max(classes, 1) for *_, classes in matches)
    theirs = python_nmap(xml)
    assert {row["ip"] for row in got} == set(theirs)
    for row in rows(result.table()):
        if row["port"] is None:
            continue
        port = theirs[row["ip"]][row["proto"]][str(row["port"])]
        ours = {key: row[key] or "" for key in ("state", "reason", "product", "version", "extrainfo")}
        assert ours == {key: port[key] for key in ours}
        assert (row["service"] or "") == port["name"]
        assert sorted(row["scripts"]) == sorted(port.get("script", {}))


def test_versions_scripts_and_a_filtered_port(services: Any, tmp_path: Path) -> None:
    result = sk.scan(
        V4,
        netns=HERE,
        ports=f"22,53,80,{CLOSED},{FILTERED}",
        options=["-sV", "--version-intensity", "2", "--script", "http-title,dns-nsid"],
        write=tmp_path / "scan.pcapng",
        xml=tmp_path / "scan.xml",
    )
    compare(result)
    assert (tmp_path / "scan.xml").read_bytes() == result.xml[0]
    states = {row["port"]: row["state"] for row in rows(result.ports())}
    assert states == dict.fromkeys(OPEN, "open") | {CLOSED: "closed", FILTERED: "filtered"}
    products = {row["port"]: row["product"] for row in rows(result.services())}
    assert products[22] == "OpenSSH"
    assert products[53] == "dnsmasq"
    title = next(row for row in rows(result.scripts()) if row["id"] == "http-title")
    assert title["output"].startswith("Lab &amp; \"quotes\" 'n' > ")
    assert json.loads(title["elements"])["title"]

    flows = {row["uid"]: row for row in rows(sk.open(tmp_path / "scan.pcapng").flows())}
    for row in rows(result.ports()):
        flow = flows[row["uid"]]
        assert (flow["resp_h"], flow["resp_p"], flow["proto"]) == (V4, row["port"], "tcp")
        assert (flow["resp_pkts"] > 0) == (row["state"] != "filtered")


def test_udp_and_hosts_that_are_down(services: Any) -> None:
    result = sk.scan("10.231.7.1-4", netns=HERE, options=["-sU", "-v", "--max-retries", "1"], ports="U:53,U:54")
    compare(result)
    found = {row["ip"]: row["state"] for row in rows(result.hosts())}
    assert found == {"10.231.7.1": "up", V4: "up", "10.231.7.3": "down", "10.231.7.4": "down"}
    udp = {row["port"]: row["state"] for row in rows(result.ports()) if row["ip"] == V4}
    assert udp == {53: "open", 54: "closed"}


def test_ipv6_and_the_profile_all(services: Any) -> None:
    result = sk.scan(V6, netns=HERE, profile="all", ports="22,80")
    compare(result)
    assert {row["port"] for row in rows(result.ports()) if row["state"] == "open"} == {22, 80}
    assert [row["hop_ip"] for row in rows(result.hops())] == [V6]


def test_a_host_without_ports(services: Any) -> None:
    result = sk.scan("10.231.7.0/29", netns=HERE, profile="ping")
    compare(result)
    assert [(row["ip"], row["port"]) for row in rows(result.table())] == [(V4, None), ("10.231.7.1", None)]


def test_both_families_at_once(services: Any) -> None:
    found = rows(sk.scan(V4, V6, netns=HERE, ports="80").ports())
    assert [(row["ip"], row["state"]) for row in found] == [(V4, "open"), (V6, "open")]


def test_a_scan_that_takes_too_long_keeps_what_it_has(services: Any) -> None:
    slow = ["--max-hostgroup", "1", "--initial-rtt-timeout", "5s", "--min-rtt-timeout", "5s", "-Pn"]
    result = sk.scan("10.231.7.1", V4, netns=HERE, ports=str(FILTERED), options=slow, timeout=3)
    assert not result.complete
    assert result.notes
    assert "stopped after 3 s" in result.notes[-1]
    assert [host.ip for host in result.found] == ["10.231.7.1"], "one host was complete by then"
    assert [row["state"] for row in rows(result.ports())] == ["closed"]


def test_nmap_that_is_killed(services: Any) -> None:
    slow = ["--scan-delay", "500ms", "-Pn"]

    def kill() -> None:
        for _ in range(100):
            for pid in children(os.getpid()):
                if any("61123" in line.split("\0") for line in of_threads(pid, "cmdline").values()):
                    time.sleep(1)
                    os.kill(pid, signal.SIGKILL)
                    return
            time.sleep(0.1)

    killer = threading.Thread(target=kill)
    killer.start()
    result = sk.scan(V4, netns=HERE, ports="80-100", options=[*slow, "--source-port", "61123"])
    killer.join()
    assert not result.complete
    assert "SIGKILL" in result.notes[-1]


def test_our_own_sweep(services: Any) -> None:
    result = sk.scan("10.231.7.0/28", V6, "fd00:231:7::9", netns=HERE, ports="22,80-82", sweep_only=True)
    hosts = {row["ip"]: (row["mac"], row["reason"]) for row in rows(result.hosts())}
    mac = services[THERE].run(["cat", "/sys/class/net/eth0/address"]).stdout.strip()
    assert hosts[V4] == (mac, "arp-response")
    assert hosts[V6] == (mac, "nd-response")
    assert set(hosts) == {V4, V6, "10.231.7.1"}
    states = {(row["ip"], row["port"]): row["state"] for row in rows(result.ports()) if row["ip"] != "10.231.7.1"}
    expected = {22: "open", 80: "open", 81: "closed", FILTERED: "filtered"}
    assert states == {(ip, port): state for ip in (V4, V6) for port, state in expected.items()}


def test_a_sweep_tells_of_filtered_ports_as_nmap_does(services: Any) -> None:
    """Why, and of many their number only; those of addresses where nobody is are nobody's."""
    what = {"netns": HERE, "ports": f"80,{FILTERED}-{PROHIBITED}"}
    swept, scanned = (sk.scan(V4, **what, sweep_only=sweep) for sweep in (True, False))
    states = [{row["port"]: row["state"] for row in rows(one.ports())} for one in (swept, scanned)]
    assert states[0] == states[1] == {80: "open", FILTERED: "filtered", PROHIBITED: "filtered"}
    assert [row["reason"] for row in rows(swept.ports())][1:] == ["no-response", "host-unreach"]
    many = sk.scan(V4, "10.231.7.9", netns=HERE, ports="80,3000-3030", sweep_only=True)
    assert [row["port"] for row in rows(many.ports())] == [80]
    (host,) = rows(many.hosts())
    assert (host["other_ports"], host["other_reasons"]) == (["filtered:31"], ["no-response:31"])


def without_raw(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`sniffkit …` in the namespace as root without CAP_NET_RAW."""
    drop = ["setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw"]
    command = ["ip", "netns", "exec", HERE, *drop, *SNIFFKIT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_without_raw_sockets_a_connect_scan_stands_in(services: Any) -> None:
    done = without_raw("scan", V4, "-sS", "-p", "80,81", "--columns-of", "x")
    assert done.returncode == 2
    done = without_raw("scan", V4, "-sS", "-p", "80,81", "--table", "ports", "--json")
    assert done.returncode == 0, done.stderr
    assert "connect scan instead" in done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["port"], row["state"], row["reason"]) for row in found] == [
        (80, "open", "syn-ack"),
        (81, "closed", "conn-refused"),
    ]
    for option in ("-sU", "-D10.231.7.3", f"-nS{V4}"):  # else those would be sent from the real address alone
        refused = without_raw("scan", V4, "-p", "80", "--", option)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "CAP_NET_RAW" in refused.stderr
    assert "will not be honored" in without_raw("scan", V4, "-p", "80", "--", "--ttl", "5").stderr


def test_the_command_line(services: Any, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*SNIFFKIT, "scan", "--netns", HERE, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)

    out = tmp_path / "ports.parquet"
    assert run(V4, "-p", "22,80", "-o", str(out), "--table", "ports").returncode == 0
    import pyarrow.parquet

    assert pyarrow.parquet.read_table(out).column("port").to_pylist() == [22, 80]
    nobody = run("10.231.7.77", "--ping")
    assert (nobody.returncode, nobody.stderr) == (1, "")
    unresolved = run("nosuch.invalid", V4)
    assert (unresolved.returncode, unresolved.stdout) == (2, "")
    assert "'nosuch.invalid' does not resolve" in unresolved.stderr
    wrong = run(V4, "--", "--nosuch-option")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
    slow = run(V4, "10.231.7.1", "--timeout", "2", "-p", "80-100", "--", "--scan-delay", "300ms", "-Pn")
    assert slow.returncode == 1
    assert "stopped after 2 s" in slow.stderr
    assert list(tmp_path.iterdir()) == [out], "nothing else was written"


def test_a_namespace_by_path_is_called_by_its_name(services: Any) -> None:
    found = rows(sk.scan(V4, netns=f"/run/netns/{HERE}", ports="80", sweep_only=True).hosts())
    assert {row["netns"] for row in found} == {HERE}


def test_a_name_resolves_in_its_namespace(services: Any) -> None:
    with pytest.raises(SniffkitError, match="does not resolve"):
        sk.scan("lab.test", netns=HERE)
