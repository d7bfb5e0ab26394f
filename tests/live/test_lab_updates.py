"""`lab up` on a lab that is up: only what differs changes; routes and rules are the kernel's own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from labs import ROOT, P, ip, netns, sniffkit, write

from sniffkit.lab import processes, running, state
from sniffkit.lab.engine import Engine, run
from sniffkit.lab.running import Lab
from sniffkit.lab.spec import parse


def test_up_again_changes_only_what_differs(file: Path) -> None:
    path = write(file)
    assert sniffkit("lab", "up", path).returncode == 0
    before = {name: os.stat(f"/run/netns/{name}").st_ino for name in netns()}
    mac = json.loads(ip("-j", "-n", f"{P}a", "link", "show", "eth0"))[0]["address"]
    routes = {f"{P}a": {"routes": ["10.9.0.0/16 via 10.0.0.9"], "forward": True}, f"{P}c": None}
    links = [{f"{P}a/eth0": "10.0.0.9/24", f"{P}b/eth0": "10.0.0.2/24"}]
    routes[f"{P}a"] = {"routes": ["10.9.0.0/16 via 10.0.0.2"], "forward": True}
    assert sniffkit("lab", "up", write(file, nodes=routes, links=links)).returncode == 0
    assert {name: os.stat(f"/run/netns/{name}").st_ino for name in before} == before
    assert netns() == [f"{P}a", f"{P}b", f"{P}c"]
    now = json.loads(ip("-j", "-n", f"{P}a", "address", "show", "eth0"))[0]
    assert now["address"] == mac, "the cable is the same one"
    assert [one["local"] for one in now["addr_info"] if one["family"] == "inet"] == ["10.0.0.9"]
    assert "10.9.0.0/16 via 10.0.0.2" in ip("-n", f"{P}a", "route")
    sysctl = ["netns", "exec", f"{P}a", "cat", "/proc/sys/net/ipv4/ip_forward"]
    assert ip(*sysctl) == "1\n"
    assert sniffkit("lab", "up", write(file)).returncode == 0
    assert netns() == [f"{P}a", f"{P}b"]
    assert ip(*sysctl) == "0\n"
    assert "10.9.0.0" not in ip("-n", f"{P}a", "route")


R, D = "10.9.0.0/16 via 10.0.0.2", "default dev eth0"
# what the file gives to an interface and its node before and after
READDRESSED = {
    "the first of a subnet goes": ("10.0.0.1/24 10.0.0.3/24", [], "10.0.0.3/24", []),
    "another order": ("10.0.0.1/24 10.0.0.3/24 10.0.0.5/24", [], "10.0.0.3/24 10.0.0.1/24 10.0.0.5/24", []),
    "one more in front": ("10.0.0.1/24", [R], "10.0.0.4/24 10.0.0.1/24", [R]),
    "another order of subnets": ("10.0.0.1/24 10.1.0.1/24", [D], "10.1.0.1/24 10.0.0.1/24", [D]),
    "the first of a subnet goes before others": (
        "10.0.0.1/24 10.0.0.3/24 10.1.0.1/24",
        [],
        "10.0.0.3/24 10.1.0.1/24",
        [],
    ),
    "a subnet more": ("10.0.0.1/24 10.0.0.3/24", [], "10.0.0.1/24 10.0.0.3/24 10.1.0.1/24 10.1.0.3/24", []),
    "subnets change places": (
        "10.1.0.1/24 10.0.0.1/24 10.1.0.3/24 10.0.0.3/24",
        [],
        "10.0.0.3/24 10.1.0.1/24 10.0.0.1/24",
        [],
    ),
    "the only one, below a route": ("10.0.0.1/24", [R], "10.0.0.4/24", [R]),
    "the same with its interface named": ("10.0.0.1/24", [f"{R} dev eth0"], "10.0.0.4/24", [f"{R} dev eth0"]),
    "the source of a route": ("10.0.0.1/24 10.0.0.3/24", [f"{R} src 10.0.0.3"], "10.0.0.1/24", [R]),
}


@pytest.mark.parametrize("name", READDRESSED)
def test_addresses_and_routes_are_those_of_a_lab_made_afresh(file: Path, name: str) -> None:
    def up(addresses: str, routes: list[str]) -> list[str]:
        ends = {f"{P}a/eth0": addresses.split(), f"{P}b/eth0": "10.0.0.2/24"}
        path = write(file, nodes={f"{P}a": {"routes": routes}}, links=[ends])
        done = sniffkit("lab", "up", path)
        assert done.returncode == 0, done.stderr
        assert Lab(parse(path)).drift() == []
        shown = json.loads(ip("-j", "-4", "-n", f"{P}a", "address", "show", "eth0"))[0]["addr_info"]
        source = ip("-n", f"{P}a", "route", "get", "10.0.0.2").splitlines()[0]
        if D in routes:
            source += ip("-n", f"{P}a", "route", "get", "8.8.8.8").splitlines()[0]
        return [one["local"] for one in shown] + [source] + ip("-n", f"{P}a", "route").splitlines()

    before, old, after, new = READDRESSED[name]
    up(before, old)
    changed = up(after, new)
    sniffkit("lab", "down", f"{P}lab")
    assert changed == up(after, new)


def test_up_again_makes_what_was_deleted(file: Path) -> None:
    nodes = {f"{P}a": {"services": {"http": 8080}}, f"{P}b": None}
    path = write(file, nodes=nodes)
    assert sniffkit("lab", "up", path).returncode == 0
    ip("-n", f"{P}a", "link", "del", "eth0")
    os.kill(int(ip("netns", "pids", f"{P}a").split()[0]), signal.SIGKILL)
    time.sleep(0.05)
    assert sniffkit("lab", "up", path).returncode == 0
    ip("-n", f"{P}b", "address", "del", "10.0.0.2/24", "dev", "eth0")
    assert sniffkit("lab", "up", path).returncode == 0
    assert sniffkit("lab", "exec", f"{P}b", "curl", "-sS", "-m5", "http://10.0.0.1:8080/").stdout == f"{P}a\n"
    ip("netns", "del", f"{P}b")
    assert sniffkit("lab", "up", path).returncode == 0
    assert sniffkit("lab", "exec", f"{P}b", "ping", "-c1", "-W5", "10.0.0.1").returncode == 0


def test_up_again_replaces_services_rules_and_shaping(file: Path) -> None:
    def lab(port: int, out: str, qdisc: dict[str, Any], far: str, priority: int) -> str:
        nodes = {f"{P}a": {"services": {"http": port}, "nat": [{"masquerade": out}]}, f"{P}b": None}
        nodes[f"{P}a"]["rules"] = [f"from 10.0.0.0/24 table 100 priority {priority}"]  # type: ignore[index]
        links = [
            {f"{P}a/eth0": {"address": "10.0.0.1/24", "qdisc": qdisc}, f"{P}b/eth0": "10.0.0.2/24"},
            {f"{P}a/vx": {"kind": "vxlan", "id": 5, "fdb": far}},
        ]
        return write(file, nodes=nodes, links=links)

    assert sniffkit("lab", "up", lab(8080, "eth0", {"tbf": {"rate": "8mbit"}}, "10.0.0.2", 1000)).returncode == 0
    index = json.loads(ip("-j", "-n", f"{P}a", "link", "show", "eth0"))[0]["ifindex"]
    assert sniffkit("lab", "up", lab(8081, "vx", {"htb": {"rate": "5mbit"}}, "10.0.0.3", 900)).returncode == 0
    assert json.loads(ip("-j", "-n", f"{P}a", "link", "show", "eth0"))[0]["ifindex"] == index
    inside = ("netns", "exec", f"{P}a")
    assert "qdisc htb 1: root" in ip(*inside, "tc", "qdisc", "show", "dev", "eth0")
    rules = ip(*inside, "nft", "list", "ruleset")
    assert 'oifname "vx" masquerade' in rules
    assert "eth0" not in rules
    assert ip(*inside, "bridge", "fdb", "show", "dev", "vx").split()[2] == "10.0.0.3"
    assert ip("-n", f"{P}a", "rule").count("lookup 100") == 1
    assert len(ip("netns", "pids", f"{P}a").split()) == 1
    assert sniffkit("lab", "exec", f"{P}b", "curl", "-sS", "-m5", "http://10.0.0.1:8081/").stdout == f"{P}a\n"


def test_an_update_that_fails_leaves_the_lab_as_it_was(file: Path) -> None:
    assert sniffkit("lab", "up", write(file)).returncode == 0
    bad = {f"{P}a": {"routes": ["10.9.0.0/16 via 10.77.0.1"]}, f"{P}b": None, f"{P}c": None}
    done = sniffkit("lab", "up", write(file, nodes=bad))
    assert done.returncode == 2
    assert "10.9.0.0/16 via 10.77.0.1 proto static: Nexthop has invalid gateway" in done.stderr
    assert netns() == [f"{P}a", f"{P}b"]
    assert sniffkit("lab", "exec", f"{P}a", "ping", "-c1", "-W5", "10.0.0.2").returncode == 0


INGRESS = {"redirect": "ifb0", "mirror": "ifb1"}


def test_an_update_that_fails_gives_back_a_cable_whose_ends_it_swapped(file: Path) -> None:
    ends = {f"{P}a/eth0": "10.0.0.1/24", f"{P}b/eth0": "10.0.0.2/24"}
    assert sniffkit("lab", "up", write(file, links=[ends])).returncode == 0
    bad = {f"{P}a": {"nft": "table inet mine { chain c { bogus } }"}}
    done = sniffkit("lab", "up", write(file, nodes=bad, links=[dict(reversed(ends.items()))]))
    assert (done.returncode, "syntax error" in done.stderr, "going back" in done.stderr) == (2, True, False)
    assert Lab(parse(file)).drift() == []
    assert sniffkit("lab", "exec", f"{P}a", "ping", "-c1", "-W5", "10.0.0.2").returncode == 0


def test_what_comes_in_is_copied_and_redirected_to_what_is_made_anew(file: Path) -> None:
    def received(name: str) -> int:
        return int(json.loads(ip("-j", "-s", "-n", f"{P}b", "link", "show", name))[0]["stats64"]["rx"]["packets"])

    for mtu in (1500, 1400):
        ends = {f"{P}a/e": "10.0.0.1/24", f"{P}b/e": {"address": "10.0.0.2/24", "ingress": INGRESS}}
        path = write(file, links=[ends, {f"{P}b/ifb0": {"kind": "ifb", "mtu": mtu}}, {f"{P}b/ifb1": {"kind": "ifb"}}])
        assert sniffkit("lab", "up", path).returncode == 0
        before = [received(name) for name in INGRESS.values()]
        assert sniffkit("lab", "exec", f"{P}a", "ping", "-c1", "-W5", "10.0.0.2").returncode == 0
        assert all(received(name) > had for name, had in zip(INGRESS.values(), before, strict=True))
        filters = subprocess.run(
            ["tc", "-n", f"{P}b", "filter", "show", "dev", "e", "ingress"], check=True, capture_output=True, text=True
        )
        assert (filters.stdout.count("mirred"), "device *" in filters.stdout) == (2, False)
    found = file.with_name("found.yaml")
    assert sniffkit("lab", "from-host", "--netns", f"{P}a", "--netns", f"{P}b", "-o", str(found)).returncode == 0
    assert parse(found).interfaces[f"{P}b", "e"].ingress == INGRESS


def test_a_ruleset_that_adds_to_the_tables_of_the_lab_is_replaced(file: Path) -> None:
    def up(firewall: int, own: int) -> list[str]:
        text = f"add rule inet lab_filter input tcp dport {own} drop\ntable inet mine {{\n}}\n"
        node = {"firewall": {"input": [f"tcp dport {firewall} accept"]}, "nft": text}
        done = sniffkit("lab", "up", write(file, nodes={f"{P}a": node}, links=[]))
        assert done.returncode == 0, done.stderr
        rules = ip("netns", "exec", f"{P}a", "nft", "list", "ruleset").splitlines()
        return [line.strip() for line in rules if "dport" in line or line.startswith("table")]

    for ports in ((22, 80), (23, 80), (23, 81)):
        wanted = ["tcp dport {} accept", "tcp dport {} drop"]
        rules = [line.format(port) for line, port in zip(wanted, ports, strict=True)]
        assert up(*ports) == ["table inet lab_filter {", *rules, "table inet mine {"]


def test_an_update_that_is_killed_is_taken_back(file: Path) -> None:
    nodes: dict[str, Any] = {f"{P}a": {"services": {"http": 8080}}, f"{P}b": None}
    assert sniffkit("lab", "up", write(file, nodes=nodes)).returncode == 0
    slow = {f"{P}c": {"services": {"run": {"command": "sleep 60", "tcp": 9}}}}
    links = [{f"{P}a/eth0": {"address": "10.0.0.1/24", "mtu": 1400}, f"{P}c/eth0": "10.0.0.3/24"}]
    command = [sys.executable, "-m", "sniffkit", "lab", "up", write(file, nodes=slow, links=links)]
    process = subprocess.Popen(command, cwd=ROOT)
    until = time.monotonic() + 20
    while not (state.ROOT / f"{P}lab" / f"{P}c.run-1.log").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9
    while f"{P}lab\tup\t" not in sniffkit("lab", "list").stdout:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert netns() == [f"{P}a", f"{P}b"]
    assert sniffkit("lab", "exec", f"{P}b", "curl", "-sS", "-m5", "http://10.0.0.1:8080/").stdout == f"{P}a\n"


def test_going_back_that_is_interrupted_is_left_to_the_guard(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    assert sniffkit("lab", "up", write(file)).returncode == 0
    bad = {f"{P}a": {"nft": "table inet x { bogus }"}}
    links = [{f"{P}a/eth0": "10.0.0.9/24", f"{P}b/eth0": "10.0.0.2/24"}]
    monkeypatch.setattr(running, "_back", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Lab(parse(write(file, nodes=bad, links=links))).up(keep=True)
    assert f"{P}lab\tup" in sniffkit("lab", "list").stdout
    assert "10.0.0.1/24" in ip("-n", f"{P}a", "address")


def test_up_mends_what_an_update_left_half_done(file: Path) -> None:
    """As if machine and guard had gone in the middle: a namespace of the new plan is there, another is only a name."""
    assert sniffkit("lab", "up", write(file)).returncode == 0
    links = [{f"{P}{one}/eth0": f"10.0.{one_at}.1/24", f"{P}d/{one}": None} for one_at, one in enumerate("ac")]
    path = write(file, links=links, nodes={f"{P}{one}": {"forward": True} for one in "acd"})
    wanted = Lab(parse(path)).plan()
    journal = state.Journal(state.ROOT / f"{P}lab")
    journal.add(**{"is": "change", "plan": wanted})

    def half(stop: threading.Event) -> None:
        with Engine(journal, stop) as engine:
            engine.undo([op for op in state.operations(journal.of("up")[-1]) if op.id == f"link:{P}a/eth0"])
            engine.do([op for op in wanted if op.node in (f"{P}c", f"{P}d") and op.do == "netns"])

    run(half)
    journal.close()
    subprocess.run(["umount", f"/run/netns/{P}d"], check=True)
    assert f"{P}lab\tbroken" in sniffkit("lab", "list").stdout
    done = sniffkit("lab", "up", path)
    assert done.returncode == 0, done.stderr
    assert netns() == [f"{P}a", f"{P}c", f"{P}d"]
    assert Lab(parse(path)).drift() == []
    assert f"{P}lab\tup" in sniffkit("lab", "list").stdout


def test_an_update_that_fails_after_one_that_was_cut_off_gives_back_what_was_up(file: Path) -> None:
    def links(*addresses: str) -> list[dict[str, Any]]:
        return [{f"{P}a/eth0": [*addresses], f"{P}b/eth0": "10.0.0.2/24"}]

    first = ("10.0.0.1/24", "10.1.0.1/24")
    for others in ([links(*first, "10.2.0.1/24")], [links("10.3.0.1/24", *first), links("10.0.0.4/24")]):
        assert sniffkit("lab", "up", write(file, links=links(*first))).returncode == 0
        for other in others:
            wanted = Lab(parse(write(file, links=other))).plan()
            journal = state.Journal(state.ROOT / f"{P}lab")
            journal.add(**{"is": "change", "plan": wanted})
            journal.close()
        bad = {f"{P}a": {"nft": "table inet x { bogus }"}}
        done = sniffkit("lab", "up", write(file, links=links(*first), nodes=bad))
        assert (done.returncode, "going back" in done.stderr) == (2, False)
        assert f"{P}lab\tup" in sniffkit("lab", "list").stdout
        shown = json.loads(ip("-j", "-4", "-n", f"{P}a", "address", "show", "eth0"))[0]["addr_info"]
        assert [one["local"] for one in shown] == ["10.0.0.1", "10.1.0.1"]


def test_a_program_starts_anew_with_the_interface_that_it_is_bound_to(file: Path) -> None:
    def lab(mtu: int) -> str:
        tap = {f"{P}a/tap0": {"kind": "tap", "address": "10.0.2.1/24", "mtu": mtu}}
        services = {"responder": {"interface": "tap0", "address": "10.0.2.2"}}
        return write(file, nodes={f"{P}a": {"services": services}}, links=[tap])

    for mtu in (1500, 1400):
        assert sniffkit("lab", "up", lab(mtu)).returncode == 0
        assert sniffkit("lab", "exec", f"{P}a", "ping", "-c1", "-W5", "10.0.2.2").returncode == 0


def test_ports_and_forwarding_entries_change_by_themselves(file: Path) -> None:
    def up(ports: dict[str, Any], far: list[str]) -> dict[str, Any]:
        cables = [{f"{P}a/e": None, f"{P}b/p1": None}, {f"{P}a/f": None, f"{P}b/p2": None}]
        vx = {f"{P}a/vx": {"kind": "vxlan", "id": 5, "fdb": far}}
        path = write(file, links=[*cables, vx], bridges={f"{P}b/br0": {"ports": ports}})
        done = sniffkit("lab", "up", path)
        assert done.returncode == 0, done.stderr
        assert Lab(parse(path)).drift() == []
        out = {}
        for node in "ab":
            for one in json.loads(ip("-j", "-d", "-n", f"{P}{node}", "link")):
                kept = ("cost", "hairpin", "isolated", "learning")
                slave = {key: one.get("linkinfo", {}).get("info_slave_data", {}).get(key) for key in kept}
                out[one["ifname"]] = (one["ifindex"], one.get("master"), slave)
        return out

    before = up({"p1": {"cost": 7, "hairpin": True, "isolated": True}}, ["10.0.0.2"])
    changed = up({"p1": {"isolated": True}, "p2": {"learning": False}}, ["10.0.0.2", "10.0.0.3"])
    assert {name: index for name, (index, *_) in changed.items()} == {
        name: index for name, (index, *_) in before.items()
    }
    sniffkit("lab", "down", f"{P}lab")
    fresh = up({"p1": {"isolated": True}, "p2": {"learning": False}}, ["10.0.0.2", "10.0.0.3"])
    assert [rest for _, *rest in changed.values()] == [rest for _, *rest in fresh.values()]


def test_a_name_server_reaches_what_runs_already(file: Path) -> None:
    file.with_name("name").touch()
    for server in ("10.0.0.8", "10.0.0.9"):
        node = {"nameserver": server, "services": [{"run": f"cp /etc/resolv.conf {file.parent}/name; exec sleep 60"}]}
        assert sniffkit("lab", "up", write(file, nodes={f"{P}a": node}, links=[])).returncode == 0
        assert file.with_name("name").read_text() == f"nameserver {server}\n"


def test_a_table_whose_name_has_a_dot_is_replaced(file: Path) -> None:
    def lab(verdict: str) -> str:
        table = f"table ip my.tab {{\n  chain c {{\n    counter {verdict}\n  }}\n}}\n"
        return write(file, nodes={f"{P}a": {"nft": table}}, links=[])

    for verdict in ("accept", "drop"):
        assert sniffkit("lab", "up", lab(verdict)).returncode == 0
    rules = ip("netns", "exec", f"{P}a", "nft", "list", "ruleset")
    assert (rules.count("counter"), "drop" in rules) == (1, True)


def test_a_second_service_on_a_port_is_no_success(file: Path) -> None:
    node = {"services": [{"http": {"port": 80, "text": "one"}}]}
    assert sniffkit("lab", "up", write(file, nodes={f"{P}a": node}, links=[])).returncode == 0
    node["services"].append({"http": {"port": 80, "text": "two"}})
    done = sniffkit("lab", "up", write(file, nodes={f"{P}a": node}, links=[]))
    assert done.returncode == 2
    assert f"{P}a: service http-2 ended with exit code 1: " in done.stderr
    assert "Address already in use" in done.stderr
    assert sniffkit("lab", "exec", f"{P}a", "curl", "-sS", "-m5", "http://127.0.0.1/").stdout == "one"


def test_a_port_of_this_machine_makes_no_service_ready(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*words: Any) -> list[str]:
        start = ["nsenter", f"--net=/proc/{os.getpid()}/ns/net", "sh", "-c", 'sleep 2; exec "$@"', "sh"]
        return [*start, *inside_argv(*words)]

    inside_argv = processes.inside_argv
    monkeypatch.setattr(processes, "inside_argv", late)
    monkeypatch.setattr(processes, "READY_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        service = {"run": {"command": "sleep 60", "tcp": server.getsockname()[1]}}
        done = sniffkit("lab", "up", write(file, nodes={f"{P}a": {"services": service}}, links=[]))
    assert (done.returncode, "service run-1 is not ready" in done.stderr) == (2, True)


def test_routes_and_rules_are_what_ip_would_make(file: Path) -> None:
    settings = {
        "routes": [
            "10.1.0.0/16 via 10.0.0.2 metric 7 src 10.0.0.1",
            "default via 10.0.0.2 table 1000",
            "blackhole 10.66.0.0/16",
            "unreachable 2001:db8:66::/48 table 12",
            "local 10.7.0.0/24 dev lo",
            "broadcast 10.7.9.255/32 dev eth0",
            "local 2001:db8:7::/48 dev lo",
            "blackhole 10.67.0.0/16 metric 5",
            "2001:db8:9::/48 via 2001:db8::2 dev eth0",
            {"to": "10.2.0.0/16", "nexthops": [{"via": "10.0.0.2", "weight": 3}, "10.0.0.3"]},
        ],
        "rules": [
            "from 10.0.0.0/24 to 10.9.0.0/16 table 1000 priority 100",
            "fwmark 0x5 iif eth0 table 12 priority 101",
            "ipproto tcp dport 443 table main priority 102",
            "prohibit from 10.7.0.0/16 priority 103",
            "from 2001:db8::/48 table 12 priority 104",
        ],
    }
    links = [{f"{P}a/eth0": ["10.0.0.1/24", "2001:db8::1/64"], f"{P}b/eth0": ["10.0.0.2/24", "2001:db8::2/64"]}]
    path = write(file, nodes={f"{P}a": settings, f"{P}b": None}, links=links)
    done = sniffkit("lab", "up", path)
    assert done.returncode == 0, done.stderr
    shown = ip("-n", f"{P}a", "route", "show", "table", "all") + ip("-6", "-n", f"{P}a", "route", "show", "table", "12")
    for line in (
        "10.1.0.0/16 via 10.0.0.2 dev eth0 proto static src 10.0.0.1 metric 7",
        "default via 10.0.0.2 dev eth0 table 1000 proto static",
        "blackhole 10.66.0.0/16 proto static",
        "unreachable 2001:db8:66::/48 dev lo proto static",
        "local 10.7.0.0/24 dev lo table local proto static scope host",
        "broadcast 10.7.9.255 dev eth0 table local proto static scope link",
        "local 2001:db8:7::/48 dev lo table local proto static",
        "blackhole 10.67.0.0/16 proto static metric 5",
    ):
        assert line in shown
    assert Lab(parse(path)).drift() == []
    found = file.with_name("found.yaml")
    assert sniffkit("lab", "from-host", "--netns", f"{P}a", "--netns", f"{P}b", "-o", str(found)).returncode == 0
    given = parse(found).nodes[f"{P}a"].settings["routes"]
    assert {"type": "local", "to": "10.7.0.0/24", "dev": "lo"} in given
    assert {"type": "broadcast", "to": "10.7.9.255/32", "dev": "eth0"} in given
    assert "2001:db8:9::/48 via 2001:db8::2 dev eth0 proto static" in ip("-6", "-n", f"{P}a", "route")
    hops = ip("-n", f"{P}a", "route", "show", "10.2.0.0/16")
    assert "nexthop via 10.0.0.2 dev eth0 weight 3" in hops
    assert "nexthop via 10.0.0.3 dev eth0 weight 1" in hops
    rules = ip("-n", f"{P}a", "rule") + ip("-6", "-n", f"{P}a", "rule")
    for line in (
        "100:\tfrom 10.0.0.0/24 to 10.9.0.0/16 lookup 1000",
        "101:\tfrom all fwmark 0x5 iif eth0 lookup 12",
        "102:\tfrom all ipproto tcp dport 443 lookup main",
        "103:\tfrom 10.7.0.0/16 prohibit",
        "104:\tfrom 2001:db8::/48 lookup 12",
    ):
        assert line in rules
    assert sniffkit("lab", "up", write(file, nodes={f"{P}a": None, f"{P}b": None}, links=links)).returncode == 0
    assert "static" not in ip("-n", f"{P}a", "route", "show", "table", "all")
    assert len(ip("-n", f"{P}a", "rule").splitlines()) == 3


def test_a_bridge_keeps_the_mtu_that_it_was_given(file: Path) -> None:
    links = [{f"{P}a/e": "10.0.0.1/24", f"{P}b/p": None}]
    bridges = {f"{P}b/br0": {"mtu": 1400, "ports": ["p"]}}
    path = write(file, links=links, bridges=bridges)
    assert sniffkit("lab", "up", path).returncode == 0
    assert json.loads(ip("-j", "-n", f"{P}b", "link", "show", "br0"))[0]["mtu"] == 1400
    assert Lab(parse(path)).drift() == []


def test_an_interface_that_is_to_be_down_is_set_down_again(file: Path) -> None:
    path = write(file, links=[{f"{P}a/e": {"up": False}, f"{P}b/e": None}])
    assert sniffkit("lab", "up", path).returncode == 0
    assert Lab(parse(path)).drift() == []
    ip("-n", f"{P}a", "link", "set", "e", "up")
    assert [op.id for op in Lab(parse(path)).drift()] == [f"down:{P}a/e"]
    assert sniffkit("lab", "up", path).returncode == 0
    assert "UP" not in json.loads(ip("-j", "-n", f"{P}a", "link", "show", "e"))[0]["flags"]
