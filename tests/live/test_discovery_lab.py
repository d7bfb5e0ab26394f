"""The discovery lab live: alerts while two ARP caches are poisoned, silence while nobody lies, and who may attack."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

import sniffkit as sk

ROOT = Path(__file__).resolve().parent.parent.parent
LAB = ROOT / "docs" / "labs" / "discovery.yaml"
POISON = ROOT / "docs" / "labs" / "poison.py"
SNIFFKIT = [sys.executable, "-c", "from sniffkit.cli import main; main()"]
ATTACKER, GATEWAY = "02:00:00:00:00:66", "02:00:00:00:00:01"


@pytest.fixture(scope="module")
def lab() -> Iterator[Any]:
    with sk.lab(str(LAB)) as running:
        yield running


class Watching:
    """`sniffkit arp --live …`, ready when it is made."""

    def __init__(self, *arguments: str) -> None:
        command = [*SNIFFKIT, "arp", "--live", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline()

    def end(self) -> tuple[str, int]:
        """End it as ^C does: what it printed, and its exit code."""
        self.process.send_signal(2)
        out, said = self.process.communicate(timeout=20)
        assert said == ""
        return out, self.process.returncode


def forget(lab: Any) -> None:
    """Empty the caches: the next packet asks anew."""
    for node in ("client", "gateway", "attacker"):
        lab[node].run(["ip", "neighbour", "flush", "all"])


def attack(lab: Any, seconds: float) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(POISON), "eth0", "10.0.0.2", "10.0.0.1", "--seconds", str(seconds), "--every", "0.2"]
    done: subprocess.CompletedProcess[str] = lab["attacker"].run(command)
    return done


def test_alerts_come_with_the_first_spoofed_reply(lab: Any, tmp_path: Path) -> None:
    state = tmp_path / "known.json"
    forget(lab)
    capture = tmp_path / "attack.pcapng"
    with sk.capture("client/eth0", write=capture) as live:
        watching = Watching("--netns", "client", "-i", "eth0", "--json", "--state", str(state))
        assert watching.said == "sniffkit: watching client/eth0\n"
        for address in ("198.51.100.2", "198.51.100.3"):
            lab["client"].run(["ping", "-c1", "-W3", address])
        attack(lab, 1)
        time.sleep(0.2)
        live.stop()
    out, code = watching.end()
    assert code == 0
    alerts = [json.loads(line) for line in out.splitlines()]
    (first, *_) = [one for one in alerts if one["src_hw"] == ATTACKER and one["src_ip"] == "10.0.0.1"]
    # A conflict if the gateway's own answer was less than two seconds ago.
    assert first["finding"] in ("changed", "conflict")
    assert (first["previous_hw"], first["netns"]) == (GATEWAY, "client")
    assert "gateway-takeover" in first["findings"]
    # As many alerts as spoofed replies were really there, by tshark.
    fields = [
        "tshark",
        "-r",
        str(capture),
        "-Y",
        f"arp.opcode == 2 && eth.src == {ATTACKER} && arp.src.proto_ipv4 != 10.0.0.66",
    ]
    spoofed = subprocess.run(fields, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [one for one in alerts if one["eth_src"] == ATTACKER and one["src_ip"] != "10.0.0.66"]
    assert len(found) == len(spoofed) >= 3
    assert {one["finding"] for one in found} <= {"changed", "conflict", "mismatch"}
    known = {one["ip"]: [s["mac"] for s in one["stations"]] for one in json.loads(state.read_text())["addresses"]}
    assert known["10.0.0.1"] == [GATEWAY, ATTACKER]


def clean_run(number: int, directory: Path) -> tuple[int, set[str], int]:
    """A lab like discovery.yaml whose nodes speak: how many messages, their findings, alerts of `arp` on the file."""
    spec = yaml.safe_load(LAB.read_text())
    text = json.dumps({key: spec[key] for key in ("nodes", "links", "bridges")})
    own = f"skclean{os.getpid()}n{number}"
    names = {name: f"{own}{name[0]}" for name in spec["nodes"]}
    for name, renamed in names.items():
        text = re.sub(rf'"{name}(?=["/])', f'"{renamed}', text)
    client, gateway, third = (names[name] for name in ("client", "gateway", "attacker"))
    path = directory / f"{number}.pcapng"
    with sk.lab({"name": own, **json.loads(text)}) as running:
        points = (f"{client}/eth0", f"{gateway}/eth0")
        with sk.capture(*points, write=path) as live:
            for address in ("10.0.0.1", "10.0.0.66", "198.51.100.2"):
                running[client].run(["ping", "-c2", "-i0.2", "-W3", address])
            running[third].run(["ping", "-c1", "-W3", "10.0.0.2"])
            if number % 3 == 0:  # a cache that is emptied asks anew; a scan asks for everybody
                running[client].run(["ip", "neighbour", "flush", "all"])
                sk.scan("10.0.0.0/28", netns=client, sweep_only=number % 2 == 0, profile="ping" if number % 2 else None)
    rows = live.capture.neighbors().to_arrow().to_pylist()
    command = [*SNIFFKIT, "arp", str(path), "--nd", "--json", "--where", "finding <> 'new' OR len(findings) > 1"]
    odd = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert odd.stderr == ""
    return len(rows), {finding for row in rows for finding in row["findings"]}, len(odd.stdout.splitlines())


def test_nothing_is_found_where_nobody_lies(tmp_path: Path) -> None:
    with ThreadPoolExecutor(5) as runs:
        for messages, findings, alerts in runs.map(lambda number: clean_run(number, tmp_path), range(10)):
            assert messages >= 6
            assert (findings, alerts) == ({"new"}, 0)


def test_lines_for_a_person(lab: Any) -> None:
    forget(lab)
    watching = Watching("--netns", "gateway", "-i", "eth0")
    lab["client"].run(["ping", "-c1", "-W3", "10.0.0.1"])
    out, code = watching.end()
    assert code == 0
    assert " gateway/eth0 new: 10.0.0.2 is at 02:00:00:00:00:02\n" in out


def test_messages_are_a_table_where_one_is_asked_for(lab: Any, tmp_path: Path) -> None:
    forget(lab)
    path = tmp_path / "alerts.csv"
    wanted = ["--where", "src_ip = '10.0.0.2'", "--columns", "netns,src_ip,src_hw,finding", "--limit", "1"]
    watching = Watching("--netns", "gateway", "-i", "eth0", "-o", str(path), *wanted)
    lab["client"].run(["ping", "-c1", "-W3", "10.0.0.1"])
    watching.process.send_signal(signal.SIGINT)
    out, said = watching.process.communicate(timeout=20)
    assert (watching.process.returncode, out) == (0, "")
    assert " gateway/eth0 new: 10.0.0.2 is at 02:00:00:00:00:02\n" in said
    row = "gateway,10.0.0.2,02:00:00:00:00:02,new"
    assert path.read_text() == f"netns,src_ip,src_hw,finding\n{row}\n"


def test_hosts_live(lab: Any) -> None:
    forget(lab)
    command = [*SNIFFKIT, "hosts", "--live", "--netns", "client", "-i", "eth0", "--duration", "3", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "sniffkit: watching client/eth0\n"
    lab["client"].run(["curl", "-s", "--max-time", "5", "http://198.51.100.2/"])
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    hosts = {(row["ip"], row["mac"]): row for row in map(json.loads, out.splitlines())}
    assert hosts["198.51.100.2", None]["ports"] == [80]
    assert hosts["10.0.0.2", "02:00:00:00:00:02"]["os_guess"] == "Linux"
    assert ("10.0.0.1", GATEWAY) in hosts


def hosts_live(*arguments: str) -> subprocess.Popen[str]:
    """`sniffkit hosts --live` on the client, past the line that says it watches."""
    command = [*SNIFFKIT, "hosts", "--live", "--netns", "client", "-i", "eth0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "sniffkit: watching client/eth0\n"
    return process


def test_hosts_live_tells_news_while_it_runs(lab: Any) -> None:
    forget(lab)
    process = hosts_live()
    assert process.stderr is not None
    lab["client"].run(["ping", "-c1", "-W3", "10.0.0.66"])
    told = ""
    while "10.0.0.66 is at" not in told:
        line = process.stderr.readline()
        assert line, told
        told += line
    assert f" client new mac: 10.0.0.66 is at {ATTACKER}\n" in told or " client new: 10.0.0.66 is at" in told
    lab["client"].run(["curl", "-s", "--max-time", "5", "http://198.51.100.2/"])
    while "198.51.100.2, answers on 80 (http)" not in told:
        line = process.stderr.readline()
        assert line, told
        told += line
    assert process.poll() is None, "all that was told before the end"
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=20)
    assert process.returncode == 0
    head, *table = out.splitlines()
    found = [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in table]
    assert {row["ip"] for row in found} >= {"10.0.0.66", "198.51.100.2"}
    assert "sniffkit:" not in rest


def test_hosts_live_tells_what_was_asked_for(lab: Any) -> None:
    forget(lab)
    process = hosts_live("--json", "--where", "ip = '10.0.0.66'", "--columns", "ip,mac")
    lab["client"].run(["ping", "-c1", "-W3", "10.0.0.66"])
    lab["client"].run(["ping", "-c1", "-W3", "10.0.0.1"])
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert (first["ip"], "new" in first["news"]) == ("10.0.0.66", True)
    process.send_signal(signal.SIGTERM)
    out, rest = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert {row["ip"] for row in lines} == {"10.0.0.66"}
    assert lines[-1] == {"ip": "10.0.0.66", "mac": ATTACKER}


def test_hosts_live_where_nobody_speaks(lab: Any) -> None:
    process = hosts_live("-f", "ether host 02:00:00:00:0f:0f", "--json")
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=20)
    assert (process.returncode, out, said) == (1, "", "sniffkit: no host was seen\n")
    for wrong in (["--where", "nosuch = 1"], ["--columns", "nosuch"], ["--sort", "nosuch"]):
        command = [*SNIFFKIT, "hosts", "--live", "--netns", "client", "-i", "eth0", *wrong]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), "at once, not after the watch"


def test_the_attack_runs_in_labs_only() -> None:
    arguments = ["lo", "10.0.0.2", "10.0.0.1", "--seconds", "1"]
    here = subprocess.run([sys.executable, str(POISON), *arguments], capture_output=True, text=True, check=False)
    assert (here.returncode, here.stdout) == (1, "")
    assert "not an interface that a running sniffkit lab made: refused" in here.stderr
    name = f"skpoison{os.getpid()}"
    try:
        subprocess.run(["ip", "netns", "add", name], check=True)
        add = ["ip", "-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"]
        subprocess.run(add, check=True)
        inside = ["ip", "netns", "exec", name, sys.executable, str(POISON), "eth0", *arguments[1:]]
        done = subprocess.run(inside, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "refused" in done.stderr
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


def test_an_interface_added_to_a_lab_by_hand_is_not_the_labs(lab: Any) -> None:
    lab["attacker"].run(["ip", "link", "add", "other0", "type", "veth", "peer", "name", "other1"])
    command = [sys.executable, str(POISON), "other0", "10.0.0.2", "10.0.0.1"]
    done = lab["attacker"].run(command, check=False)
    assert done.returncode == 1
    assert "refused" in done.stderr


def test_a_scan_of_the_lab_finds_what_it_offers(lab: Any) -> None:
    result = sk.scan("10.0.0.0/28", "198.51.100.2", netns="client", ports="53,80")
    open_ports = {(row["ip"], row["port"]) for row in result.ports().to_arrow().to_pylist() if row["state"] == "open"}
    assert open_ports == {("10.0.0.1", 53), ("198.51.100.2", 80)}


def test_scan_and_watch_while_the_attack_runs(lab: Any) -> None:
    """The two commands that show what discovery is for, one after the other."""
    forget(lab)
    lab["client"].run(["ping", "-c1", "-W3", "10.0.0.1"])  # before the attack: the kernel knows the gateway's station
    watching = Watching("--netns", "client", "-i", "eth0")
    poison = [sys.executable, str(POISON), "eth0", "10.0.0.2", "10.0.0.1", "--seconds", "60", "--every", "0.5"]
    attacker = lab["attacker"].popen(poison, stdout=subprocess.PIPE, text=True)
    try:
        assert attacker.stdout.readline() == "2 replies sent\n"
        command = [*SNIFFKIT, "scan", "10.0.0.0/24", "--netns", "client", "--json", "--", "-sV"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    finally:
        attacker.kill()
        attacker.wait()
        attacker.stdout.close()
    assert (done.returncode, done.stderr) == (0, "")
    found = {(row["ip"], row["port"]): row for row in map(json.loads, done.stdout.splitlines())}
    assert {ip for ip, _ in found} == {"10.0.0.1", "10.0.0.2", "10.0.0.66"}
    assert (found["10.0.0.1", 53]["service"], found["10.0.0.1", 53]["product"]) == ("domain", "dnsmasq")
    out, code = watching.end()
    assert code == 0
    taken = [line for line in out.splitlines() if f"10.0.0.1 is at {ATTACKER}" in line]
    assert "gateway-takeover" in taken[0]
    assert GATEWAY in taken[0]
