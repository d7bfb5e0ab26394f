"""`sniffkit scan` as users run it: a namespace's own files, no privileges, a terminal, ^C, and bad requests."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from procfs import children, of_threads

import sniffkit as sk

HERE, THERE = (f"skcmd{os.getpid()}{letter}" for letter in "ab")
V4, V6 = "10.231.5.2", "fd00:231:5::2"
SNIFFKIT = [sys.executable, "-c", "from sniffkit.cli import main; main()"]
SLOW = ["-p", "80-110", "--", "-Pn", "--scan-delay", "500ms"]


@pytest.fixture(scope="module")
def there() -> Iterator[Any]:
    """Two namespaces: this side scans, the other serves HTTP, and DNS under a name that nobody else knows."""
    ends = {f"{HERE}/eth0": ["10.231.5.1/24", "fd00:231:5::1/64"], f"{THERE}/eth0": [f"{V4}/24", f"{V6}/64"]}
    names = {"only-by-dns.test": V4}
    services = {"http": 80, "dnsmasq": {"interfaces": ["eth0"], "names": names}}
    nodes = {HERE: {"routes": ["10.231.0.0/21 via 10.231.5.2"]}, THERE: {"services": services}}
    with sk.lab({"nodes": nodes, "links": [ends]}) as lab:
        yield lab[THERE]


@pytest.fixture
def own_files() -> Iterator[Path]:
    """/etc/netns/NAME of the scanning namespace."""
    path = Path("/etc/netns") / HERE
    parent = path.parent.exists()
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path)
        if not parent:
            path.parent.rmdir()


def scan(*arguments: str, before: tuple[str, ...] = (), **more: Any) -> subprocess.CompletedProcess[str]:
    command = [*before, *SNIFFKIT, "scan", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **more)


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_hosts_and_resolv_conf_of_the_namespace_are_in_force(there: Any, own_files: Path) -> None:
    at = ("--netns", HERE, "-p", "80", "--table", "hosts", "--json")
    for name in ("only-by-file.test", "only-by-dns.test"):
        assert scan(name, *at).returncode == 2
    (own_files / "hosts").write_text(f"{V4} only-by-file.test\n{V6} only-by-file.test\n")
    (own_files / "resolv.conf").write_text(f"nameserver {V4}\noptions timeout:1 attempts:1\n")
    for name in ("only-by-file.test", "only-by-dns.test"):
        (host,) = rows(scan(name, *at))
        assert (host["ip"], host["hostnames"], host["hostname_types"], host["open_ports"]) == (V4, [name], ["user"], 1)
        by_ip = ["ip", "netns", "exec", HERE, "getent", "ahostsv4", name]
        assert subprocess.run(by_ip, capture_output=True, text=True, check=True).stdout.startswith(V4)
    (host,) = rows(scan("only-by-file.test", *at, "-6"))
    assert host["ip"] == V6
    (host,) = rows(scan("only-by-file.test", "--netns", HERE, "--sweep", "-p", "80", "--table", "hosts", "--json"))
    assert host["ip"] == V4
    # What a namespace has of its own is nobody else's.
    assert scan("only-by-file.test", "--netns", THERE, "-p", "80").returncode == 2


def nobody(also: str = "") -> tuple[str, ...]:
    """Words before a command that runs it in the namespace as an ordinary user, who may read what root installed.
    also: more capabilities, as ",+net_raw"."""
    words = ["ip", "netns", "exec", HERE, "setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    reads = [f"{sign}dac_read_search{also}" for sign in ("+", "-all,+")]
    return (*words, "--inh-caps", reads[0], "--ambient-caps", reads[0], "--bounding-set", reads[1])


def test_an_ordinary_user(there: Any, tmp_path: Path) -> None:
    who = subprocess.run([*nobody(), "id", "-u"], capture_output=True, text=True, check=True).stdout.strip()
    assert who not in ("", "0")
    done = scan("10.231.5.2-3", V6, "-p", "80,81", "--table", "ports", "--json", before=nobody(), cwd="/")
    assert done.stderr == "sniffkit: no CAP_NET_RAW: connect scan instead of SYN scan\n"
    found = [(row["ip"], row["port"], row["state"], row["reason"]) for row in rows(done)]
    assert found == [(ip, port, state, reason) for ip in (V4, V6)
                     for port, state, reason in ((80, "open", "syn-ack"), (81, "closed", "conn-refused"))]  # fmt: skip
    everything = scan(V4, "-p", "80", "-A", "--table", "services", "--json", before=nobody(), cwd="/")
    assert everything.stderr.count("\n") == 1
    assert "no OS detection" in everything.stderr
    assert rows(everything)[0]["name"] == "http"
    swept = scan(V4, "-p", "80", "--sweep", "--json", before=nobody(), cwd="/")
    assert swept.stderr == "sniffkit: no CAP_NET_RAW: only TCP connects were tried\n"
    assert rows(swept)[0]["state"] == "open"
    for arguments in (("-sU",), ("-O",), ("--netns", THERE), ("--write", str(tmp_path / "x.pcapng"))):
        refused = scan(V4, *arguments, before=nobody(), cwd="/")
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1), refused.stderr


def test_an_ordinary_user_with_raw_sockets(there: Any) -> None:
    """nmap by itself goes by the user alone."""
    for options, reason in (((), "reset"), (("--", "--unprivileged"), "conn-refused")):
        done = scan(V4, "-p", "81", "--table", "ports", "--json", *options, before=nobody(",+net_raw"), cwd="/")
        assert ("connect scan instead of SYN scan" in done.stderr) == (reason == "conn-refused")
        assert [row["reason"] for row in rows(done)] == [reason]
    for before, options in ((["env", "NMAP_UNPRIVILEGED=1"], ()), ([], ("--unprivileged",))):
        user = [*before, *nobody(",+net_raw")]
        done = scan(V4, "-p", "81", "--table", "ports", "--json", "--", "-sS", *options, before=user, cwd="/")
        assert "-sS needs CAP_NET_RAW: connect scan instead" in done.stderr
        assert [row["reason"] for row in rows(done)] == ["conn-refused"]


def on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Exit code and standard error, which is a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*SNIFFKIT, "scan", *arguments], stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while select.select([ours], [], [], 60)[0]:
            said += os.read(ours, 4096)
    except OSError:
        pass  # EIO: the other end is closed
    os.close(ours)
    return process.wait(60), said.decode()


def test_progress_on_a_terminal(there: Any) -> None:
    code, said = on_a_terminal("10.231.4.0/28", V4, "--netns", HERE, "--sweep")
    assert code == 0
    assert "scan: TCP connects " in said
    assert " % (" in said
    assert said.endswith("\r\x1b[K")
    code, said = on_a_terminal(V4, "--netns", HERE, *SLOW[:1], "80-85", *SLOW[2:])
    assert code == 0
    assert "scan: SYN Stealth Scan " in said
    assert " % (" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_scan_that_is_ended(there: Any, number: int) -> None:
    command = [*SNIFFKIT, "scan", "10.231.5.1", V4, "--netns", HERE, *SLOW, "--max-hostgroup", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    nmap = eventually_child(process.pid)
    time.sleep(1)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (130, "sniffkit: interrupted; what was found by then is kept\n")
    assert not Path(f"/proc/{nmap}").exists()


def test_nmap_ends_with_a_scan_that_is_killed(there: Any) -> None:
    process = subprocess.Popen([*SNIFFKIT, "scan", V4, "--netns", HERE, *SLOW], stdout=subprocess.DEVNULL)
    nmap = eventually_child(process.pid)
    time.sleep(1)  # by then it has read its targets
    process.kill()
    process.wait()
    for _ in range(100):
        if not running(nmap):
            return
        time.sleep(0.05)
    os.kill(nmap, signal.SIGKILL)
    pytest.fail("nmap went on")


def running(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_scan_under_nohup_goes_on(there: Any) -> None:
    command = ["nohup", *SNIFFKIT, "scan", V4, "--netns", HERE, "-p", "80-83", *SLOW[2:], "--json"]
    process = subprocess.Popen([*command[:-1]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually_child(process.pid)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=30)
    assert process.returncode == 0


def eventually_child(pid: int) -> int:
    """The nmap that a process started, once it runs."""
    for _ in range(200):
        for child in children(pid):
            if "nmap\n" in of_threads(child, "comm").values():
                return child
        time.sleep(0.05)
    pytest.fail("no nmap was started")


def test_a_sweep_that_is_ended(there: Any) -> None:
    command = [*SNIFFKIT, "scan", V4, "10.231.0.0/22", "--netns", HERE, "--sweep", "--json", "--table", "hosts"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    connecting = ["ip", "netns", "exec", HERE, "ss", "-Htn", "state", "syn-sent"]
    for _ in range(400):
        if subprocess.run(connecting, capture_output=True, check=True).stdout:
            break
        time.sleep(0.05)
    time.sleep(1)  # by then the one that is there has answered
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (130, "sniffkit: interrupted; what was found by then is kept\n")
    assert [json.loads(line)["ip"] for line in out.splitlines()] == [V4]
    done = scan(*command[len(SNIFFKIT) + 1 :], "--timeout", "3")
    assert (done.returncode, done.stderr) == (1, "sniffkit: stopped when time was up; what was found by then is kept\n")
    assert [json.loads(line)["ip"] for line in done.stdout.splitlines()] == [V4]


BAD: list[tuple[list[str], str]] = [
    (["-oN x 10.231.5.2"], "no format"),
    ([V4 + ";touch x"], "target"),
    ([f"$(touch x){V4}"], "target"),
    ([f"{V4}\n8.8.8.8"], "target"),
    ([V4, "--", "8.8.8.8"], "targets stand before --"),
    ([V4, "--", "-iL", "x"], "-iL"),
    ([V4, "--", "-iR", "1"], "random"),
    ([V4, "--", "-oX", "x"], "--xml"),
    ([V4, "--", "--script-args", "newtargets"], "newtargets"),
    (["nosuch.invalid"], "does not resolve"),
    (["nosuch.invalid", V4], "does not resolve"),
    (["010.231.5.2"], "target"),
    ([], "no TARGET"),
    ([V4, "-p", "80 x"], "ports"),
    ([V4, "-p", "99999"], "nmap"),
    ([V4, "--", "--nosuch"], "nmap"),
    ([V4, "-o", "x.txt"], "suffix"),
    ([V4, "-o", "nosuch/x.csv"], "directory"),
    ([V4, "--xml", "nosuch/x.xml"], "No such file"),
    ([V4, "--xml", "."], "directory"),
    ([V4, V6, "--xml", "x.xml"], "apart"),
    ([V4, "--xml", "x.csv", "-o", "x.csv"], "one file"),
    ([V4, "-w", "-"], "takes a file"),
    ([V4, "--", "-nh"], "man nmap"),
    (["fe80::1%nosuch0", "--sweep"], "no such interface"),
    ([V4, "--sweep", "-sV"], "--sweep"),
    (["10.0.0.0/8", "--sweep"], "smaller"),
    ([V4, "--table", "nosuch"], "--table"),
    ([V4, "--timeout", "0"], "--timeout"),
    ([V4, "--columns", "ip,nosuch"], "nosuch"),
    (["-iL", "nosuch"], "No such file"),
]  # fmt: skip


def test_bad_requests(there: Any, tmp_path: Path) -> None:
    for arguments, what in BAD:
        done = scan("--netns", HERE, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), (arguments, done.stderr)
        assert what in done.stderr, (arguments, done.stderr)
    done = scan(V4, "--netns", "nosuch", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_is_said_and_the_rest_is_kept(there: Any) -> None:
    done = scan("203.0.113.9", V4, "--netns", HERE, "-p", "80", "--json")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("sniffkit: target '203.0.113.9' was not scanned: failed to determine route")
    assert [json.loads(line)["ip"] for line in done.stdout.splitlines()] == [V4]
    done = scan(V4, "--netns", HERE, "-p", "80", "--json", "--xml", "/dev/full")
    assert (done.returncode, done.stderr) == (1, "sniffkit: /dev/full: No space left on device\n")
    assert [json.loads(line)["state"] for line in done.stdout.splitlines()] == ["open"]


def test_nothing_but_the_targets_is_asked(there: Any, tmp_path: Path) -> None:
    """Every packet of a scan and of a sweep goes to what was asked for, or comes from there."""
    for arguments in (["--ping"], ["--sweep"], ["-sV", "-p", "80"]):
        path = tmp_path / "scan.pcapng"
        done = scan("10.231.5.2-3", "--netns", HERE, "--write", str(path), *arguments)
        assert done.returncode == 0, done.stderr
        packets = sk.open(path).packets(["ip_src", "ip_dst", "arp_src_ip", "arp_dst_ip"]).to_arrow().to_pylist()
        seen = {value for row in packets for value in row.values() if value and ":" not in value}
        assert seen <= {"10.231.5.1", V4, "10.231.5.3", "127.0.0.1"}, arguments


def test_ports_with_a_dash_and_targets_by_standard_input(there: Any) -> None:
    wanted = ("--table", "ports", "--columns", "port,state", "--json")
    done = scan("-iL", "-", "--netns", HERE, "-p-82", *wanted, input=f"{V4} # one\n")
    assert [row for row in rows(done) if row["state"] == "open"] == [
        {"port": port, "state": "open"} for port in (53, 80)
    ]


def test_zones_of_a_sweep_by_name_and_by_index(there: Any) -> None:
    """RFC 4007, 11.2."""
    lines = there.run(["ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link"]).stdout.split()
    address = lines[lines.index("inet6") + 1].partition("/")[0]
    index = subprocess.run(["ip", "-n", HERE, "-j", "link", "show", "eth0"], capture_output=True, text=True, check=True)
    for zone in ("eth0", json.loads(index.stdout)[0]["ifindex"]):
        target = f"{address}%{zone}"
        found = rows(scan(target, "--netns", HERE, "--sweep", "-p", "80", "--json", "--table", "hosts"))
        assert [(host["ip"], host["reason"], bool(host["mac"])) for host in found] == [(target, "nd-response", True)]
