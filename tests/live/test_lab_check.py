"""`lab check`: what cannot be tried is neither met nor failed to order, and what it reads need not be text."""

from __future__ import annotations

import importlib
import json
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from labs import P, pair, sniffkit, write

import sniffkit as sk
from sniffkit.errors import LabError

A, B = f"{P}a", f"{P}b"
NOT_DONE = [
    {"from": A, "http": "http://www.invalid/"},
    {"from": A, "tcp": "www.invalid:80"},
    {"from": A, "run": "no-such-program"},
]


@pytest.mark.parametrize("one", NOT_DONE, ids=lambda one: list(one)[1])
@pytest.mark.parametrize("fails", [False, True])
def test_what_could_not_be_done_is_no_proof(file: Path, one: dict[str, Any], fails: bool) -> None:
    done = sniffkit("lab", "check", write(file, expect=[{**one, "fails": fails}]), "--json")
    row = json.loads(done.stdout)
    assert (done.returncode, row["ok"]) == (1, False)
    assert row["found"].startswith("could not be done: ")


def test_a_program_that_is_missing_is_no_proof(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # `sniffkit.lab` is a function once it has been used.
    monkeypatch.setattr(importlib.import_module("sniffkit.lab.check"), "search_path", lambda: "/nowhere")
    done = sniffkit("lab", "check", write(file, expect=[f"{A} !> {B}"]))
    assert done.returncode == 1
    assert "could not be done: ping is missing: sudo apt install iputils-ping" in done.stdout
    done = sniffkit("lab", "check", write(file, traffic=[f"{A} -> {B}"], expect=[f"{A} -> {B}"]))
    assert (done.returncode, "ping is missing" in done.stderr) == (2, True)


@pytest.mark.parametrize("route", ["blackhole 10.9.0.0/16", "unreachable 10.9.0.0/16", "prohibit 10.9.0.0/16"])
def test_a_route_that_refuses_is_a_proof(file: Path, route: str) -> None:
    fails = [f"{A} !> 10.9.0.1", f"{A} !> 10.8.0.1", {"from": A, "path": "10.9.0.1", "fails": True}]
    done = sniffkit("lab", "check", write(file, nodes={A: {"routes": [route]}, B: None}, expect=fails))
    assert done.returncode == 0, done.stdout


def test_what_is_said_need_not_be_text(file: Path) -> None:
    raw = {"from": A, "run": "printf '\\377\\376'", "output": "\ufffd"}
    done = sniffkit("lab", "check", write(file, expect=[raw]))
    assert done.returncode == 0, done.stdout
    with sk.lab(str(file)) as lab:
        assert lab[A].run(["printf", "\\377"]).stdout == "\ufffd"
        assert lab[A].run(["printf", "\\377"], text=False).stdout == b"\xff"


def test_a_file_that_changed_since_its_lab_came_up_is_told_of(file: Path) -> None:
    assert sniffkit("lab", "up", write(file, expect=[f"{A} -> {B}"])).returncode == 0
    more = [f"{A}", B, f"{P}c"]
    path = write(file, nodes=more, expect=[f"{A} -> {B}", f"{P}c !> 10.0.0.1"])
    said = f"{path} has changed since lab {P}lab came up: sniffkit lab up {path}"
    done = sniffkit("lab", "check", path)
    assert (done.returncode, said in done.stderr) == (2, True)
    done = sniffkit("lab", "show", path)
    assert (done.returncode, said in done.stderr) == (0, True)
    assert f"{A}\teth0" in done.stdout
    assert sniffkit("lab", "up", path).returncode == 0
    assert sniffkit("lab", "check", path).returncode == 0


def test_what_is_counted_must_have_been_captured(file: Path) -> None:
    write(file)
    with sk.lab(str(file)) as lab:
        with lab.capture(B) as seen:
            lab[A].run(["ping", "-c1", "10.0.0.2"])
        seen.expect("icmp", count=2).expect("icmp", at=B, count=2).expect("icmp", at=f"{B}/eth0", count=2)
        for at, said in ((f"{B}/eht0", "did you mean"), (f"{A}/eth0", "was not captured"), ("", "has no ''")):
            with pytest.raises(LabError, match=said):
                seen.expect("icmp", at=at, count=0)
            with pytest.raises(LabError, match=said):
                seen.packets(at=at)
        with pytest.raises(AssertionError, match="2 seen, 0 expected"):
            seen.expect("icmp", at=B, count=0)
        for flows, name in ((None, "orig_h"), ({}, "ip_src")):
            with pytest.raises(LabError, match=f"no column '{name}'"):
                seen.expect("tcp port 7", count=0, flows=flows, **{name: "10.0.0.1"})


def test_an_address_of_the_file_is_no_lease(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("sniffkit.lab.check"), "TRIES_SECONDS", 0.5)
    add = {"from": A, "run": "ip address add 10.0.0.7/24 dev eth0"}
    lease = {"from": A, "lease": "eth0"}
    path = write(file, expect=[lease, {**lease, "in": "10.0.0.0/24"}, add, lease])
    rows = [json.loads(line) for line in sniffkit("lab", "check", path, "--json").stdout.splitlines()]
    assert [(row["ok"], row["found"]) for row in rows] == [
        (False, "no address"),
        (False, "no address"),
        (True, "exit 0"),
        (True, "10.0.0.7"),
    ]


def test_what_cannot_be_told_in_the_end_is_refused_before(file: Path) -> None:
    touch = {"from": A, "run": f"touch {file.parent}/done"}
    wrong = {**touch, "never": {f"{A}/eth0": "tcp port 99999"}}
    for given, arguments, said in (
        ({"expect": [touch, wrong]}, [], f"{A}/eth0 never 'tcp port 99999': bad filter"),
        ({"expect": [touch]}, ["-o", "x.foo"], "x.foo: no format for this suffix"),
        ({"traffic": [touch]}, [], "there is nothing under expect"),
    ):
        done = sniffkit("lab", "check", write(file, **given), *arguments)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
        assert not (file.parent / "done").exists()


def test_what_a_command_leaves_in_the_background_is_not_waited_for(file: Path) -> None:
    run = {"from": A, "run": "sleep 50 & echo started; echo a word >&2", "output": "started\na word"}
    begin = time.monotonic()
    done = sniffkit("lab", "check", write(file, expect=[run]))
    assert done.returncode == 0, done.stdout
    assert time.monotonic() - begin < 30


def test_what_curl_says_is_told_as_it_is(file: Path) -> None:
    done = sniffkit("lab", "check", write(file, expect=[{"from": A, "http": "http://10.0.0.2:81/"}]), "--json")
    assert json.loads(done.stdout)["found"].startswith("curl: (7) ")


def test_a_lab_is_a_mapping_and_a_command_a_list(file: Path) -> None:
    write(file)
    with sk.lab(str(file)) as lab:
        assert (A in lab, "x" in lab, lab.get("x")) == (True, False, None)
        with pytest.raises(LabError, match=r"^no node 'x'; there are: "):
            lab["x"]
        for method in (lab[A].run, lab[A].popen):
            with pytest.raises(LabError, match=r"a command is a list of words, such as \['sh', '-c', 'echo hi'\]"):
                method("echo hi")
            for command in (b"echo hi", Path("echo hi")):
                with pytest.raises(LabError, match=r"a command is a list of words, such as \['sh', '-c', 'echo hi'\]"):
                    method(command)


def test_what_a_command_prints_may_go_elsewhere(file: Path) -> None:
    write(file)
    line = [Path("/bin/sh"), "-c", "echo out; echo err >&2; exit 4"]
    with sk.lab(str(file)) as lab:
        quiet = lab[A].run(line, check=False, stdout=subprocess.DEVNULL)
        assert (quiet.stdout, quiet.stderr) == (None, "err\n")
        assert lab[A].run(line, check=False, stderr=subprocess.STDOUT).stdout == "out\nerr\n"
        assert lab[A].run(line, check=False, capture_output=True).stdout == "out\n"
        assert lab[A].run(line, check=False, capture_output=False, stdout=subprocess.DEVNULL).stderr is None
        with pytest.raises(LabError, match=r"/bin/sh -c .*: exit 4: err out$"):
            lab[A].run(line)
        assert lab[A].run(line, check=False, universal_newlines=False).stdout == b"out\n"
        assert lab[A].run(line, check=False, universal_newlines=True).stdout == "out\n"


def test_each_network_of_a_node_may_have_a_dnsmasq_of_its_own(file: Path) -> None:
    services = [
        {"dnsmasq": {"interfaces": [f"n{at}"], "dhcp": {"from": f"10.{at}.0.50", "to": f"10.{at}.0.59"}}}
        for at in (1, 2)
    ]
    client = {"services": {"dhcp_client": "e"}}
    links = [{f"{P}r/n1": "10.1.0.1/24", f"{A}/e": None}, {f"{P}r/n2": "10.2.0.1/24", f"{B}/e": None}]
    expect = [{"from": node, "lease": "e", "in": net} for node, net in ((A, "10.1.0.0/24"), (B, "10.2.0.0/24"))]
    nodes = {f"{P}r": {"services": services}, A: client, B: client}
    done = sniffkit("lab", "check", write(file, nodes=nodes, links=links, expect=expect))
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_seen_where_is_told_of_no_pcap_file(file: Path, tmp_path: Path) -> None:
    looks = [{"from": A, "run": "true", "never": {f"{B}/eth0": "icmp"}}]
    done = sniffkit("lab", "check", write(file, expect=looks), "-w", f"{tmp_path}/w.pcap")
    assert (done.returncode, f"{tmp_path}/w.pcap: a pcap file does not say at which" in done.stderr) == (2, True)
    with sk.lab(str(file)) as lab:
        with (
            lab.capture(f"{B}/eth0", write=f"{tmp_path}/one.pcap") as one,
            lab.capture(write=f"{tmp_path}/two.pcap") as two,
        ):
            lab[A].run(["ping", "-c1", "10.0.0.2"])
        with pytest.raises(LabError, match=r"w\.pcap: a pcap file does not say"):
            lab.check(write=tmp_path / "w.pcap")
        assert lab.check(write=tmp_path / "w.pcapng")[0].ok
        one.expect("icmp", at=f"{B}/eth0", count=2).expect("icmp", at=B, flows={}, count=1)
        assert len(one.packets("icmp", at=B)) == 2
        two.expect("icmp", count=4)
        with pytest.raises(AssertionError, match="2 seen, 0 expected"):
            one.expect("icmp", at=B, count=0)
        with pytest.raises(LabError, match=r"two\.pcap does not say at which interface"):
            two.expect("icmp", at=B, count=0)


def test_what_a_user_has_set_is_no_part_of_the_lab(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".curlrc").write_text("proxy = http://10.0.0.7:3128\n")
    (tmp_path / "socket.py").write_text("raise OSError\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://10.0.0.7:3128")
    monkeypatch.chdir(tmp_path)
    expect = [{"from": A, "http": "http://10.0.0.2/"}, {"from": A, "tcp": "10.0.0.2:80"}]
    done = sniffkit("lab", "check", write(file, nodes={B: {"services": {"http": 80}}}, expect=expect))
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_must_fail_fails_altogether(file: Path) -> None:
    few = {"net.ipv4.icmp_ratemask": 1, "net.ipv4.icmp_ratelimit": 20_000}  # a handful of echo replies a minute
    get = {"from": A, "http": "http://10.0.0.2/", "fails": True}
    none = {"from": A, "http": "http://10.0.0.2:81/", "fails": True}
    expect = [{"from": A, "ping": B, "count": 20, "fails": True}, get, none]
    expect += [{**get, "status": 200}, {**get, "status": 404}, {**get, "output": "up"}, {**get, "output": "other"}]
    node = {"sysctls": few, "services": {"http": {"text": "up"}}}
    path = write(file, nodes={B: node}, expect=expect)
    rows = [json.loads(line) for line in sniffkit("lab", "check", path, "--json").stdout.splitlines()]
    assert [row["ok"] for row in rows] == [False, False, True, False, True, False, True], rows


def test_a_filter_need_only_suit_where_it_looks(file: Path) -> None:
    links = [*pair()["links"], {f"{A}/tun0": {"kind": "tun", "address": "10.5.0.1/24"}}]
    answers = {A: {"services": {"responder": {"interface": "tun0", "address": "10.5.0.2"}}}}
    expect = [{"from": A, "ping": "10.5.0.2", "never": {f"{B}/eth0": "vlan 5"}}]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = sniffkit("lab", "check", write(file, nodes=answers, links=links, expect=expect))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
