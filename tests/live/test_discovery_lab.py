"""The discovery lab live: alerts while two ARP caches are poisoned, silence while nobody lies, and who may attack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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


def test_nothing_is_found_where_nobody_lies(lab: Any, tmp_path: Path) -> None:
    for number in range(3):
        forget(lab)
        with sk.capture("client/eth0", "gateway/eth0", write=tmp_path / f"{number}.pcapng") as live:
            for address in ("10.0.0.1", "10.0.0.66", "198.51.100.2"):
                lab["client"].run(["ping", "-c2", "-i0.2", "-W3", address])
            lab["attacker"].run(["ping", "-c1", "-W3", "10.0.0.2"])
        rows = live.capture.neighbors().to_arrow().to_pylist()
        assert len(rows) >= 6
        assert {finding for row in rows for finding in row["findings"]} == {"new"}


def test_lines_for_a_person(lab: Any) -> None:
    forget(lab)
    watching = Watching("--netns", "gateway", "-i", "eth0")
    lab["client"].run(["ping", "-c1", "-W3", "10.0.0.1"])
    out, code = watching.end()
    assert code == 0
    assert " gateway/eth0 new: 10.0.0.2 is at 02:00:00:00:00:02\n" in out


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
