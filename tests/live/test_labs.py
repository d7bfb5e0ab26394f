"""Labs on this machine's kernel: nothing stays behind, nothing of others is touched, only what differs changes."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from labs import ROOT, SLOW, P, ip, netns, pair, sniffkit, write
from livenet import Capture

import sniffkit as sk
from sniffkit.lab import state
from sniffkit.lab.running import Lab
from sniffkit.lab.spec import parse

# `sniffkit.lab` is a function once it has been used.
KERNEL = importlib.import_module("sniffkit.lab.kernel")


def test_up_exec_check_down(file: Path) -> None:
    text = write(file, expect=[f"{P}a -> 10.0.0.2", f"{P}a -> {P}b"])
    done = sniffkit("lab", "up", text)
    assert (done.returncode, done.stderr) == (0, f"sniffkit: lab {P}lab is up: 2 namespaces, 2 interfaces\n")
    assert netns() == [f"{P}a", f"{P}b"]
    assert sniffkit("lab", "exec", f"{P}a", "--", "ping", "-c1", "-W5", "10.0.0.2").returncode == 0
    assert sniffkit("lab", "exec", f"{P}a", "sh", "-c", "exit 7").returncode == 7
    assert f"{P}lab\tup\t2\t2" in sniffkit("lab", "list").stdout
    checked = sniffkit("lab", "check", text, "--json")
    assert [json.loads(line)["ok"] for line in checked.stdout.splitlines()] == [True, True]
    assert netns() == [f"{P}a", f"{P}b"], "check leaves a lab as it found it"
    for _ in range(2):
        done = sniffkit("lab", "down", text)
        assert done.returncode == 0, done.stderr
    assert netns() == []


def test_dry_run_changes_nothing(file: Path) -> None:
    done = sniffkit("lab", "up", write(file), "--dry-run")
    assert f"ip netns add {P}a" in done.stdout
    assert netns() == []


def test_a_check_that_fails_says_what_was_on_the_wire(file: Path) -> None:
    wrong = {"from": f"{P}a", "ping": "10.0.0.2", "sees": {f"{P}b/eth0": "tcp"}, "never": {f"{P}a/eth0": "icmp"}}
    done = sniffkit("lab", "check", write(file, expect=[wrong, f"{P}a !> 10.0.0.2", f"{P}a -> {P}b"]))
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("\nNO\t") == 2
    assert f"{P}b/eth0: 0 frames match 'tcp'; {P}a/eth0: 2 frames match 'icmp'" in done.stdout
    assert f"{P}b/eth0 eth:ip:icmp:data 10.0.0.1 -> 10.0.0.2" in done.stderr
    assert "2 of 3 expectations failed" in done.stderr


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda number: number.name
)
def test_nothing_is_left_behind_in_the_middle(file: Path, number: signal.Signals) -> None:
    file.write_text(SLOW)
    process = subprocess.Popen(
        [sys.executable, "-m", "sniffkit", "lab", "up", str(file)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 20
    while not (state.ROOT / f"{P}lab" / f"{P}a.run-1.log").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(20) == (-9 if number == signal.SIGKILL else 130)
    assert "Traceback" not in process.stderr.read()  # type: ignore[union-attr]
    while netns() or (state.ROOT / f"{P}lab").exists():  # after SIGKILL the guard does it
        assert time.monotonic() < until, netns()
        time.sleep(0.02)


def test_an_interrupt_once_a_lab_is_up_changes_nothing(file: Path) -> None:
    command = [sys.executable, "-m", "sniffkit", "lab", "up", write(file)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert "is up" in process.stderr.readline()  # type: ignore[union-attr]
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[1] == ""
    assert process.returncode == 0
    assert netns() == [f"{P}a", f"{P}b"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_what_is_taken_away_is_not_left_half(file: Path, number: signal.Signals) -> None:
    asked = file.with_suffix(".asked")
    stubborn = f"trap ': > {asked}' TERM; while :; do sleep 0.1; done"
    file.write_text(f'nodes:\n  {P}a: {{services: {{run: "{stubborn}"}}}}\n')
    assert sniffkit("lab", "up", str(file)).returncode == 0
    command = [sys.executable, "-m", "sniffkit", "lab", "down", str(file)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 20
    while not asked.exists():  # now it waits 3 s for the service
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(number)
    assert process.communicate(timeout=20)[1].strip() == ""
    assert process.returncode == 130
    assert netns() == []
    assert f"{P}lab" not in state.names()


def test_a_service_that_dies(file: Path) -> None:
    file.write_text(f"nodes:\n  {P}a: {{services: {{run: 'echo no luck today >&2; exit 3'}}}}\n")
    done = sniffkit("lab", "up", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"sniffkit: {P}a: service run-1 ended with exit code 3: no luck today\n"
    assert netns() == []


def test_what_others_made_is_never_touched(file: Path) -> None:
    ip("netns", "add", f"{P}b")
    try:
        inode = os.stat(f"/run/netns/{P}b").st_ino
        done = sniffkit("lab", "up", write(file))
        assert done.returncode == 2
        assert f"namespace {P}b exists already and is not this lab's" in done.stderr
        assert sniffkit("lab", "down", str(file)).returncode == 0
        assert netns() == [f"{P}b"]
        assert os.stat(f"/run/netns/{P}b").st_ino == inode
    finally:
        ip("netns", "del", f"{P}b")


def test_a_namespace_made_anew_by_another_is_left_alone(file: Path) -> None:
    assert sniffkit("lab", "up", write(file)).returncode == 0
    ip("netns", "del", f"{P}a")
    ip("netns", "add", f"{P}a")
    done = sniffkit("lab", "down", str(file))
    assert done.returncode == 0
    assert f"namespace {P}a is not this lab's any more: left alone" in done.stderr
    assert netns() == [f"{P}a"]
    ip("netns", "del", f"{P}a")


def test_a_lab_of_the_same_name_from_another_file_is_left_alone(file: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = write(tmp_path / "other" / file.name)
    assert sniffkit("lab", "up", write(file)).returncode == 0
    done = sniffkit("lab", "down", other)
    assert done.returncode == 2
    assert f"lab {P}lab is up from {file}: sniffkit lab down {P}lab" in done.stderr
    assert netns() == [f"{P}a", f"{P}b"]
    file.with_name("link.yaml").symlink_to(file)
    assert sniffkit("lab", "down", str(file.with_name("link.yaml"))).returncode == 0
    assert netns() == []


def test_exec_gives_programs_the_signals_that_python_ignores(file: Path) -> None:
    assert sniffkit("lab", "up", write(file)).returncode == 0
    done = sniffkit("lab", "exec", f"{P}a", "grep", "SigIgn", "/proc/self/status")
    assert int(done.stdout.split()[1], 16) & (1 << 12 | 1 << 24) == 0  # SIGPIPE, SIGXFSZ


def test_without_privileges(file: Path) -> None:
    drop = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all")
    done = sniffkit("lab", "up", write(file), prefix=drop)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "not permitted: CAP_SYS_ADMIN and CAP_NET_ADMIN are missing" in done.stderr
    assert not (state.ROOT / f"{P}lab").exists()


def test_without_root(tmp_path: Path) -> None:
    """As an ordinary user, who may neither write below /run nor make namespaces; in Python it is the same error."""
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    for name in ("veth", "bridge"):
        done = sniffkit("lab", "up", str(ROOT / "docs" / "labs" / f"{name}.yaml"), prefix=nobody)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert re.search("not permitted: .*; run it with sudo$", done.stderr)


def test_a_kind_that_the_kernel_lacks(file: Path) -> None:
    from sniffkit.checkup import kernel

    lacking = [row for row in kernel() if not row["ok"] and row["what"] in ("dummy", "nlmon", "vlan", "ipvlan")]
    for row in lacking:
        one = {"kind": row["what"], **({"link": "eth0"} if "lan" in row["what"] else {})}
        one |= {"id": 5} if row["what"] == "vlan" else {}
        links = [*pair()["links"], {f"{P}a/x0": one}]
        # Before anything is built: not even the name that is taken is looked at.
        ip("netns", "add", f"{P}b")
        done = sniffkit("lab", "up", write(file, links=links))
        ip("netns", "del", f"{P}b")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        said = f"{P}a/x0: kind {row['what']}: Linux {os.uname().release} lacks it: CONFIG_"
        assert said in done.stderr
        assert re.search(r"modprobe \w+", done.stderr)
        assert row["remedy"].split("CONFIG_")[1].split(";")[0] in done.stderr, "lab up and doctor name the same option"
        assert netns() == []


def test_all_that_is_missing_is_named_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KERNEL, "try_one", lambda socket, what: "no")
    qdisc = {"htb": {"rate": "1mbit"}}
    links = [
        {f"{P}a/eth0": {"qdisc": qdisc, "ingress": {"mirror": "d0"}}, f"{P}b/eth0": None},
        {f"{P}a/d0": {"kind": "ifb"}},
    ]
    done = sniffkit("lab", "up", write(file, links=links, nodes={f"{P}a": {"nat": [{"masquerade": "eth0"}]}}))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    for what in (
        "CONFIG_NET_SCH_HTB",
        "CONFIG_NET_SCH_INGRESS",
        "CONFIG_NET_CLS_U32",
        "CONFIG_NET_ACT_MIRRED",
        "CONFIG_IFB",
        "CONFIG_NFT_NAT",
        "CONFIG_NF_TABLES_INET",
    ):
        assert what in done.stderr
    assert netns() == []


def test_a_program_that_is_missing_is_named_before_anything_is_made(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KERNEL, "search_path", lambda: "/nowhere")
    done = sniffkit("lab", "up", write(file, nodes={f"{P}a": {"services": {"ssh": 22}}}))
    assert (done.returncode, done.stderr) == (
        2,
        f"sniffkit: {P}a: ssh: dropbear is missing: sudo apt install dropbear-bin\n",
    )


def test_processes_end_with_the_lab(file: Path) -> None:
    node = f"{P}a"
    file.write_text(f"nodes:\n  {node}: {{services: {{http: 8080}}}}\n")
    with sk.lab(file) as lab:
        mine = lab[node].popen(["sleep", "60"])
        lab[node].run(["sh", "-c", "setsid sleep 61 >/dev/null 2>&1 &"])
        with pytest.raises(sk.LabError, match="exit 4: out err"):
            lab[node].run(["sh", "-c", "echo err; echo out >&2; exit 4"])
        assert len(ip("netns", "pids", node).split()) == 3
        inode = os.stat(f"/run/netns/{node}").st_ino
    assert mine.returncode is not None
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            assert os.stat(f"/proc/{pid}/ns/net").st_ino != inode


def test_capture_and_expect(file: Path) -> None:
    with sk.lab(pair()) as lab:
        with lab.capture(f"{P}a") as seen:
            lab[f"{P}b"].run(["ping", "-c2", "-i0.2", "10.0.0.1"])
        seen.expect("icmp", ip_src="10.0.0.2", count=2).expect("tcp", count=0)
        seen.expect("icmp", flows={"orig_h": "10.0.0.2", "resp_h": "10.0.0.1"}, count=1)
        with pytest.raises(AssertionError, match=rf"(?s)tcp at {P}a/eth0: 0 seen, some expected.*icmp"):
            seen.expect("tcp")
        with pytest.raises(sk.LabError, match="no column 'ip_scr'; did you mean 'ip_src'"):
            seen.expect("icmp", ip_scr="10.0.0.2")
        with pytest.raises(sk.LabError, match="did you mean"):
            lab.capture(f"{P}a/eth1")


def test_a_capture_ends_with_the_lab(file: Path, capture: Capture) -> None:
    text = write(file)
    assert sniffkit("lab", "up", text).returncode == 0
    running = capture("--lab", text, "-i", "all", "-w", "x.pcapng")
    done = sniffkit("lab", "down", text)
    assert (done.returncode, done.stderr, netns()) == (0, "", [])
    code, _, said = running.end(None)
    assert (code, said.count("the interface has gone")) == (1, 2), said


def test_the_capture_carries_the_lab(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.pcapng"
    assert sniffkit("lab", "up", write(file)).returncode == 0
    command = [
        sys.executable,
        "-m",
        "sniffkit",
        "capture",
        "--lab",
        str(file),
        "-i",
        "all",
        "-c",
        "2",
        "-w",
        str(out),
        "icmp",
    ]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as capture:
        assert "listening on" in capture.stderr.readline()  # type: ignore[union-attr]
        assert sniffkit("lab", "exec", f"{P}a", "ping", "-c1", "10.0.0.2").returncode == 0
        assert capture.wait(20) == 0
    shown = sniffkit("lab", "show", str(out), "--json").stdout.splitlines()
    ends = [json.loads(line) for line in shown]
    assert [one["leads_to"] for one in ends] == [f"{P}b/eth0", f"{P}a/eth0"]
    assert [one["details"] for one in ends] == [None, None]
    assert f"└─eth0  10.0.0.1/24  ── {P}b/eth0" in sniffkit("lab", "graph", str(out)).stdout


def test_what_runs_on_this_machine_becomes_a_lab(tmp_path: Path) -> None:
    links = [
        *pair()["links"],
        {f"{P}a/p1": None, f"{P}b/p1": None},
        {f"{P}a/br0": {"kind": "bridge", "stp": True, "ports": ["p1"], "address": "10.1.0.1/24"}},
        {f"{P}a/vx0": {"kind": "vxlan", "id": 42, "remote": "10.0.0.2", "link": "eth0"}},
        {f"{P}b/m0": {"kind": "macvlan", "link": "p1", "mode": "vepa", "up": False}},
    ]
    nodes = {f"{P}a": {"forward": True, "routes": ["default via 10.0.0.2"]}, f"{P}b": None}
    found = tmp_path / "found.yaml"
    with sk.lab(pair(nodes=nodes, links=links)):
        done = sniffkit("lab", "from-host", "--netns", f"{P}a", "--netns", f"{P}b", "-o", str(found))
        assert done.returncode == 0, done.stderr
    spec = parse(found)
    one = spec.interfaces
    assert one[f"{P}a", "eth0"].peer == (f"{P}b", "eth0")
    assert one[f"{P}a", "br0"].data["stp"] is True
    assert one[f"{P}a", "p1"].bridge == "br0"
    assert one[f"{P}a", "vx0"].data["remote"] == "10.0.0.2"
    assert one[f"{P}b", "m0"].data["mode"] == "vepa"
    assert not one[f"{P}b", "m0"].up
    assert spec.nodes[f"{P}a"].settings["routes"] == [{"to": "default", "via": "10.0.0.2", "dev": "eth0"}]
    with Lab(spec) as again:
        again[f"{P}a"].run(["ping", "-c1", "10.0.0.2"])


def test_a_lab_left_half_made_is_cleared_away(file: Path) -> None:
    journal = state.create(f"{P}lab")
    journal.add(**{"is": "lab", "file": str(file), "token": "x", "pid": 0})
    ip("netns", "add", f"{P}a")
    journal.add(**{"is": "netns", "node": f"{P}a", "inode": os.stat(f"/run/netns/{P}a").st_ino})
    journal.close()
    assert "broken" in sniffkit("lab", "list").stdout
    assert sniffkit("lab", "up", write(file)).returncode == 0
    assert netns() == [f"{P}a", f"{P}b"]


def test_vxlan_over_ipv6(file: Path) -> None:
    links = [
        {f"{P}a/eth0": "2001:db8::1/64", f"{P}b/eth0": "2001:db8::2/64"},
        *(
            {
                f"{P}{a}/one": {
                    "kind": "vxlan",
                    "id": 5,
                    "remote": f"2001:db8::{b}",
                    "local": f"2001:db8::{c}",
                    "address": f"10.0.1.{c}/24",
                }
            }
            for a, b, c in (("a", 2, 1), ("b", 1, 2))
        ),
        *(
            {
                f"{P}{a}/many": {
                    "kind": "vxlan",
                    "id": 6,
                    "group": "ff05::77",
                    "link": "eth0",
                    "port": 4790,
                    "address": f"10.0.2.{c}/24",
                }
            }
            for a, c in (("a", 1), ("b", 2))
        ),
        *(
            {
                f"{P}{a}/fix": {
                    "kind": "vxlan",
                    "id": 7,
                    "local": f"2001:db8::{c}",
                    "learning": False,
                    "fdb": f"2001:db8::{b}",
                    "port": 4791,
                    "address": f"10.0.3.{c}/24",
                }
            }
            for a, b, c in (("a", 2, 1), ("b", 1, 2))
        ),
    ]
    wire = f"{P}b/eth0"
    expect = [
        {"from": f"{P}a", "ping": "10.0.1.2", "sees": {wire: "ip6 and udp port 4789"}},
        {"from": f"{P}a", "ping": "10.0.2.2", "sees": {wire: "ip6 and udp port 4790 and dst ff05::77"}},
        {"from": f"{P}a", "ping": "10.0.3.2", "sees": {wire: "ip6 and udp port 4791"}},
    ]
    path = write(file, links=links, expect=expect)
    assert sniffkit("lab", "up", path).returncode == 0
    assert Lab(parse(path)).drift() == []
    done = sniffkit("lab", "check", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_ping_is_tried_again_while_the_network_settles(file: Path) -> None:
    """The far end appears 4 s after the first try, when its neighbour has given it up once."""
    links = [{f"{P}a/eth0": "10.0.0.1/24", f"{P}b/eth0": None}]
    late = {"run": {"command": "sleep 4; ip address add 10.0.0.2/24 dev eth0; sleep 60"}}
    path = write(file, links=links, nodes={f"{P}b": {"services": late}}, expect=[f"{P}a -> 10.0.0.2"])
    done = sniffkit("lab", "check", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 answered" in done.stdout


def test_a_tunnel_by_way_of_another_namespace(file: Path) -> None:
    """A vxlan whose packets leave by another node's interface: it stands in one namespace, its socket in the other."""
    links = [
        {f"{P}x/pad": None, f"{P}y/pad": None},  # so that the indexes of the two are not the same
        {f"{P}a/eth0": "192.0.2.1/24", f"{P}b/eth0": "192.0.2.2/24"},
        {
            f"{P}x/vx0": {
                "kind": "vxlan",
                "id": 7,
                "link": f"{P}a/eth0",
                "remote": "192.0.2.2",
                "address": "10.0.0.1/24",
            }
        },
        {
            f"{P}y/vx0": {
                "kind": "vxlan",
                "id": 7,
                "link": f"{P}b/eth0",
                "remote": "192.0.2.1",
                "address": "10.0.0.2/24",
            }
        },
    ]
    expect = [{"from": f"{P}x", "ping": "10.0.0.2", "sees": {f"{P}b/eth0": "udp port 4789"}}]
    path = write(file, links=links, expect=expect)
    assert sniffkit("lab", "up", path).returncode == 0
    assert Lab(parse(path)).drift() == []
    done = sniffkit("lab", "check", path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = file.with_name("found.yaml")
    names = [word for name in "abxy" for word in ("--netns", f"{P}{name}")]
    assert sniffkit("lab", "from-host", *names, "-o", str(found)).returncode == 0
    assert parse(found).interfaces[f"{P}x", "vx0"].parent == (f"{P}a", "eth0")


def test_a_record_that_another_process_took_away(file: Path) -> None:
    journal = state.create(f"{P}lab")
    other = os.open(journal.directory / "journal", os.O_RDWR)
    journal.remove()
    os.close(other)
    with pytest.raises(sk.LabError, match="is not up any more"):
        state.Journal(state.ROOT / f"{P}lab")
