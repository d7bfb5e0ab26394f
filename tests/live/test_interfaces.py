"""`sniffkit interfaces` against `ip -d -j link` in real namespaces, and the other end of every veth."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sniffkit.checkup import CAPABILITIES, kernel
from sniffkit.netlink import NETNS_DIR, Interface, all_interfaces, run_in

NAMES = [f"skif{os.getpid()}{letter}" for letter in "abc"]


def ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr or done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def names() -> Iterator[list[str]]:
    """Three namespaces with a bridge, a VXLAN, pairs within and across, and equal names and indices everywhere."""
    a, b, c = NAMES
    try:
        for name in NAMES:
            ip("netns", "add", name)
        # The same indices on both pairs: only the namespace tells which end belongs to which.
        for left, right in ((a, b), (c, None)):
            other = ["netns", right] if right else []
            ip("-n", left, "link", "add", "veth1", "type", "veth", "peer", "name", "veth2", *other)
        ip("-n", a, "address", "add", "10.233.0.1/24", "dev", "veth1")
        ip("-n", a, "address", "add", "fd00:233::1/64", "dev", "veth1", "nodad")
        ip("-n", a, "link", "set", "veth1", "up")
        ip("-n", b, "link", "set", "veth2", "up", "mtu", "9000")
        ip("-n", a, "link", "add", "br0", "type", "bridge")
        ip("-n", a, "link", "add", "port1", "type", "veth", "peer", "name", "eth7", "netns", c)
        ip("-n", a, "link", "set", "port1", "master", "br0", "up")
        ip("-n", b, "link", "add", "vx77", "type", "vxlan", "id", "77", "dev", "veth2", "dstport", "4789")
        yield NAMES
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def of(name: str, found: list[Interface]) -> dict[str, Interface]:
    return {one.name: one for one in found if one.netns == name}


def test_every_interface_is_as_ip_says(names: list[str]) -> None:
    found = all_interfaces("all")
    for name in names:
        told: list[dict[str, Any]] = json.loads(ip("-n", name, "-d", "-j", "address"))
        ours = of(name, found)
        assert sorted(ours) == sorted(one["ifname"] for one in told)
        for one in told:
            mine = ours[one["ifname"]]
            info = one.get("linkinfo", {})
            assert mine.kind == info.get("info_kind", one["link_type"])
            assert mine.state == one["operstate"].lower()
            assert (mine.mac, mine.mtu, mine.index) == (one["address"], one["mtu"], one["ifindex"])
            assert mine.master == one.get("master")
            assert mine.vni == (info["info_data"]["id"] if mine.kind == "vxlan" else None)
            assert sorted(mine.addresses) == sorted(f"{i['local']}/{i['prefixlen']}" for i in one["addr_info"])


def test_each_veth_names_its_other_end(names: list[str]) -> None:
    a, b, c = names
    expected = {
        a: {"veth1": f"{b}/veth2", "port1": f"{c}/eth7"},
        b: {"veth2": f"{a}/veth1"},
        c: {"veth1": "veth2", "veth2": "veth1", "eth7": f"{a}/port1"},
    }
    everything = all_interfaces("all")
    for name, peers in expected.items():
        for found in (everything, all_interfaces(name)):
            assert {n: one.peer for n, one in of(name, found).items() if one.kind == "veth"} == peers


def test_a_namespace_of_two_names_is_one(names: list[str]) -> None:
    a, b, _ = names
    second = Path("/run/netns") / f"{b}-again"
    second.touch()
    try:
        subprocess.run(["mount", "--bind", f"/run/netns/{b}", second], check=True)
        assert of(a, all_interfaces(a))["veth1"].peer == f"{b}/veth2"
        everything = all_interfaces("all")
        assert of(a, everything)["veth1"].peer == f"{b}/veth2"
        assert of(second.name, everything) == {}
        inside = run_in(a, lambda: all_interfaces("all"))
        assert (of(a, inside), inside[0].netns) == ({}, None)
        assert {one.name: one.peer for one in inside if one.netns == b and one.kind == "veth"} == {"veth2": "/veth1"}
    finally:
        subprocess.run(["umount", second], check=False)
        second.unlink()


def test_a_namespace_by_name_path_and_pid(names: list[str]) -> None:
    with subprocess.Popen(["ip", "netns", "exec", names[1], "sleep", "60"]) as process:
        try:
            for netns in (names[1], f"/run/netns/{names[1]}", str(process.pid)):
                found = {(one.netns, one.name) for one in all_interfaces(netns)}
                assert found == {(names[1], name) for name in ("lo", "veth2", "vx77")}
        finally:
            process.kill()


def test_a_namespace_without_a_name_is_called_by_a_pid() -> None:
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link add only0 type veth; echo; exec sleep 60"], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert any(one.name == "only0" and one.netns == str(process.pid) for one in all_interfaces("all"))
        finally:
            process.kill()


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sniffkit", "interfaces", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command(names: list[str]) -> None:
    done = command("--netns", names[1], "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert [(row["netns"], row["name"], row["kind"], row["peer"], row["vni"]) for row in rows] == [
        (names[1], "lo", "loopback", None, None),
        (names[1], "veth2", "veth", f"{names[0]}/veth1", None),
        (names[1], "vx77", "vxlan", None, 77),
    ]
    done = command("--netns", "nosuch")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("sniffkit: no network namespace 'nosuch'; there are: ")
    assert names[0] in done.stderr


def test_the_other_end_in_the_callers_own_namespace(names: list[str]) -> None:
    """Named by `ip netns`, or by a PID: it is not in the same namespace as the row."""

    def peers(*before: str) -> dict[str, str | None]:
        line = [*before, sys.executable, "-m", "sniffkit", "interfaces", "--netns", names[1], "--json"]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        return {row["name"]: row["peer"] for row in map(json.loads, done.stdout.splitlines())}

    assert peers("ip", "netns", "exec", names[0])["veth2"] == f"{names[0]}/veth1"
    script = 'ip link add ours0 type veth peer name theirs0 netns "$1"; shift; echo $$ >&2; "$@"'
    line = [sys.executable, "-m", "sniffkit", "interfaces", "--netns", names[1], "--json"]
    alone = ["unshare", "--net", "sh", "-c", script, "sh", names[1], *line]
    done = subprocess.run(alone, capture_output=True, text=True, check=True)
    found = {row["name"]: row["peer"] for row in map(json.loads, done.stdout.splitlines())}
    assert found["theirs0"] == f"{done.stderr.strip()}/ours0"


def test_a_name_that_is_not_utf_8() -> None:
    """It is shown with escapes, and keeps nobody from the others."""
    name = f"skif{os.getpid()}utf"
    try:
        ip("netns", "add", name)
        odd = b"\xff\xfe"
        subprocess.run(["ip", "-n", name, "link", "add", "good", "type", "veth", "peer", "name", odd], check=True)
        subprocess.run(["ip", "-n", name, "link", "set", odd, "up"], check=True)
        ip("-n", name, "link", "set", "good", "up")
        ip("-n", name, "address", "add", "10.233.9.1/24", "dev", "good")
        done = command("--netns", name, "--json")
        rows = {row["name"]: row["peer"] for row in map(json.loads, done.stdout.splitlines())}
        assert rows == {"lo": None, "good": "\\xff\\xfe", "\\xff\\xfe": "good"}
        line = [sys.executable, "-m", "sniffkit", "hosts", "--live", "--netns", name, "--duration", "0.2"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        left_out = "sniffkit: nothing is captured on interface \\xff\\xfe: its name is not UTF-8\n"
        assert done.stderr.startswith(f"{left_out}sniffkit: watching {name}/good\n")
        line = [sys.executable, "-m", "sniffkit", "scan", "10.233.9.1", "--netns", name, "-p", "1", "--sweep", "--json"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert (done.returncode, json.loads(done.stdout)["ip"], done.stderr) == (0, "10.233.9.1", "")
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def test_what_is_no_namespace_keeps_nobody_waiting(names: list[str]) -> None:
    """A FIFO among the names: opening it would wait for who writes to it."""
    pipe = NETNS_DIR / f"{names[0]}-pipe"
    os.mkfifo(pipe)
    try:
        done = command("--netns", "all", "--json")
        assert {row["netns"] for row in map(json.loads, done.stdout.splitlines())} >= set(names)
        line = [sys.executable, "-m", "sniffkit", "capture", "--netns", pipe.name]
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=20)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    finally:
        pipe.unlink()


WITHOUT = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", sys.executable, "-m", "sniffkit"]


def test_without_the_privilege_one_line_says_which(names: list[str]) -> None:
    done = subprocess.run([*WITHOUT, "interfaces", "--netns", names[0]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "CAP_SYS_ADMIN" in done.stderr


def test_namespaces_that_may_not_be_entered_are_told(names: list[str]) -> None:
    done = subprocess.run([*WITHOUT, "interfaces", "--netns", "all"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "CAP_SYS_ADMIN" in done.stderr
    assert set(names) <= set(done.stderr.split())
    assert "lo" in done.stdout, "its own namespace is listed"


@pytest.mark.parametrize("command", [("interfaces",), ("capture", "--no-save", "-i", "lo")])
def test_a_process_of_another_user(command: tuple[str, ...]) -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all,+dac_override",
              "--ambient-caps=+dac_override", "--bounding-set=-all,+dac_override"]  # fmt: skip
    line = [*nobody, sys.executable, "-m", "sniffkit", *command, "--netns", str(os.getpid())]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "CAP_SYS_PTRACE" in done.stderr


def check_up(*prefix: str) -> dict[str, dict[str, Any]]:
    """The rows of `sniffkit doctor`, by what."""
    line = [*prefix, sys.executable, "-m", "sniffkit", "doctor", "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    found = [json.loads(text) for text in done.stdout.splitlines()]
    assert done.returncode == (0 if all(row["ok"] for row in found) else 1), done.stderr
    assert all((row["remedy"] is None) == row["ok"] for row in found), "null where nothing is missing"
    return {row["what"]: row for row in found}


def test_doctor_finds_the_tools_of_the_administrator() -> None:
    """/usr/sbin is not on an ordinary user's PATH, but where labs look."""
    assert check_up("env", "PATH=/usr/bin:/bin")["nft"]["ok"]


def test_doctor_tries_the_privileges() -> None:
    """Those of a user namespace hold for a network namespace of its own alone."""
    for arguments, ok in (("-Ur", False), ("-Urn", True)):
        if subprocess.run(["unshare", arguments, "true"], capture_output=True, check=False).returncode:
            pytest.skip("no user namespaces here")
        found = check_up("unshare", arguments)
        assert {name: found[name]["ok"] for name in CAPABILITIES} == dict.fromkeys(CAPABILITIES, ok)
    for name in CAPABILITIES:
        found = check_up("setpriv", *(f"--{kind}=-{name[4:].lower()}" for kind in ("bounding-set", "inh-caps")))
        assert [other for other in CAPABILITIES if not found[other]["ok"]] == [name]


def test_doctor_says_why_it_tries_no_kinds() -> None:
    """A limit on namespaces is no missing privilege."""
    script = 'echo 0 > /proc/sys/user/max_net_namespaces; exec "$@"'
    if subprocess.run(
        ["unshare", "-Ur", "sh", "-c", script, "sh", "true"], capture_output=True, check=False
    ).returncode:
        pytest.skip("no user namespaces here")
    assert "No space left on device" in check_up("unshare", "-Ur", "sh", "-c", script, "sh")["veth"]["found"]


def test_doctor_tries_the_kinds_or_says_why_not() -> None:
    privileged = check_up()
    assert privileged["CAP_SYS_ADMIN"]["ok"]
    assert privileged["veth"]["found"] == "yes: made one in a new namespace"
    bare = check_up("setpriv", "--bounding-set=-sys_admin,-net_raw", "--inh-caps=-sys_admin,-net_raw")
    assert not bare["CAP_SYS_ADMIN"]["ok"]
    assert "sudo setcap cap_net_raw" in bare["CAP_NET_RAW"]["remedy"]
    assert "not tried" in bare["veth"]["found"]
    left = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    assert "try0" not in left
    assert "base0" not in left


def test_doctor_goes_by_the_configuration_where_a_program_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("sniffkit.lab.kernel")  # `sniffkit.lab` is a function once it has been used
    monkeypatch.setattr(module.shutil, "which", lambda tool, path: None if tool == "nft" else f"/sbin/{tool}")
    for options, found, remedy in (
        ({"CONFIG_NFT_NAT": "y"}, "CONFIG_NFT_NAT is built in (not tried: nft is missing)", None),
        ({}, "unknown: not tried: nft is missing", "sudo apt install nftables"),
    ):
        monkeypatch.setattr(module, "kernel_options", lambda options=options: options)
        rows = {row["what"]: (row["found"], row["remedy"]) for row in kernel()}
        assert rows["nftables NAT"] == (found, remedy)
