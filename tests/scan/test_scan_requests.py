"""What may be scanned and what may be passed on to nmap, and nmap's XML when it is damaged. Nothing is sent here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import sniffkit as sk
from sniffkit.cli.scan import scan as command
from sniffkit.cli.scan import sort_words
from sniffkit.errors import MissingToolError, PrivilegeError, SniffkitError
from sniffkit.scan import arguments_of, check_files, nmapoptions, report, targets
from sniffkit.scan.result import COLUMNS

HOSTILE = [
    "-oN x",
    "-oN /tmp/x 127.0.0.1",
    "-iL/etc/passwd",
    "--script=evil",
    "10.0.0.1 -oN x",
    "10.0.0.1;id",
    "$(id)",
    "`id`",
    "10.0.0.1\n10.0.0.2",
    "a b",
    "",
    "-",
    "10.0.0.256",
    "10.0.0.1/33",
    "10.0.0",
    "1.2.3.4.5",
    "fe80::1%eth0;id",
    "::1/129",
    "host_\u00e9.test",
    "x" * 300,
    "10.0.0.1-300",
    "-5.0.0.1",
    "010.0.0.1",
    "10.0.0.00",
    "\u0661\u0660.0.0.1",
    "fe80::/64%eth0",
    "localhost/33",
    "10.0.0.1%eth0",
    "10.0.0.0/255.255.255.0",
    "10.0.0.0/0.0.0.255",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(SniffkitError) as error:
        targets.parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "family"),
    [("10.0.0.1", 4), ("10.0.0.0/24", 4), ("10.0-3.1,5.*", 4), ("10.0.0.250-", 4), ("fd00::1", 6), ("fd00::/120", 6),
     ("fe80::1%eth0", 6), ("localhost", 4), ("localhost/30", 4)],
)  # fmt: skip
def test_what_is_a_target(text: str, family: int) -> None:
    assert targets.parse(text).family == family


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10.0.0.0/30", ["10.0.0.1", "10.0.0.2"]), ("10.0.0.7", ["10.0.0.7"]), ("10.0.0-1.254-", 4),
     ("fd00::/126", ["fd00::1", "fd00::2", "fd00::3"]), ("fe80::5%eth0", ["fe80::5%eth0"])],
)  # fmt: skip
def test_addresses_of_a_target(text: str, expected: list[str] | int) -> None:
    found = list(targets.addresses(targets.parse(text), None, 100))
    assert (len(found) if isinstance(expected, int) else found) == expected


@pytest.mark.parametrize("text", ["10.0.0.0/8", "fd00::/64", "*.*.*.*", "10.9-1.0.1"])
def test_a_sweep_has_a_bound(text: str) -> None:
    with pytest.raises(SniffkitError):
        list(targets.addresses(targets.parse(text), None, 1 << 16))


@pytest.mark.parametrize(
    "options",
    [["-oX", "f"], ["-oXf"], ["--oX", "f"], ["-oA", "x"], ["-iL", "f"], ["-iLf"], ["-iR", "10"], ["--resume", "x"],
     ["--res", "x"], ["8.8.8.8"], ["-sV", "8.8.8.8"], ["-p", "80", "8.8.8.8"], ["--", "8.8.8.8"], ["-p"],
     ["--script-args", "newtargets"], ["--script-args=newtargets=1"], ["-"], ["-resume", "x"], ["-stylesheet=x"],
     ["-iflist"], ["--script-args-file", "/nosuch"], ["-nh"], ["-nV"], ["-6niL"], ["-i/tmp/targets"],
     ["-ni/tmp/targets"], ["--if"], ["--he"], ["--script-help=x"], ["--script-help", "x"]],
)  # fmt: skip
def test_options_that_are_refused(options: list[str]) -> None:
    with pytest.raises(SniffkitError):
        nmapoptions.check(options)


@pytest.mark.parametrize(
    "options",
    [["-sV"], ["-p", "80"], ["-T4", "-F"], ["--script", "http-title", "-sC"], ["--top-ports=10"], ["-PS22,80"],
     ["--reason", "-R"], ["-oN", "out.txt"], ["--version-all"], ["--osscan-limit"], ["-sI", "10.0.0.9"],
     ["-nR"], ["-vvn"], ["-host-timeout=5s"], ["-initial-rtt-timeout=1s"], ["-script=vuln"]],
)  # fmt: skip
def test_options_that_are_passed_on(options: list[str]) -> None:
    assert nmapoptions.check(options) == options


def test_a_file_of_script_arguments_adds_no_targets_either(tmp_path: Path) -> None:
    path = tmp_path / "arguments"
    path.write_text("http.useragent=x\n")
    assert nmapoptions.check(["--script-args-file", str(path)])
    path.write_text("newtargets\n")
    for options in (["--script-args-file", str(path)], [f"--script-args-file={path}"]):
        with pytest.raises(SniffkitError, match="newtargets"):
            nmapoptions.check(options)


@pytest.mark.parametrize("text", ["22", "22,80", "-", "-1000", "1-", "U:53,T:80", "http*", "[1-1024]", "ssh,http"])
def test_ports(text: str) -> None:
    assert arguments_of(None, text, []) == ["-p", text, "-n"]


@pytest.mark.parametrize("text", ["", "-oN", "-x", "80 8.8.8.8", "80;id", "-,", "80\n"])
def test_what_are_no_ports(text: str) -> None:
    with pytest.raises(SniffkitError, match="ports"):
        arguments_of(None, text, [])


def test_what_becomes_of_options_without_raw_sockets() -> None:
    kept, said = nmapoptions.without_raw_sockets(["-sSV", "-p", "80"])
    assert kept == ["--unprivileged", "-sTV", "-p", "80"]
    assert said == ["-sSV needs CAP_NET_RAW: connect scan instead"]
    assert "connect scan" in nmapoptions.without_raw_sockets(["-sV"])[1][0]
    assert nmapoptions.without_raw_sockets(["-sn"])[1] == ["no CAP_NET_RAW: TCP connects instead of ARP and ICMP"]
    assert nmapoptions.without_raw_sockets(["-sT"])[1] == ["no CAP_NET_RAW: TCP connects instead of ARP and ICMP"]
    for options in (["-sT", "-Pn"], ["-sL"]):
        assert nmapoptions.without_raw_sockets(options)[1] == [], "nothing is lost"
    for word in ("-sA", "-sAV", "-sU", "-O", "-sUV", "-sSU", "--traceroute", "-PU53", "-D10.0.0.1", "-S10.0.0.1",
                 "-D=x", "-nD10.0.0.1", "-6rS::1", "-PP", "-nPM", "-PO1", "-ff", "-nf", "-nO", "-O2", "-trace",
                 "-sI=x"):  # fmt: skip
        with pytest.raises(PrivilegeError, match="CAP_NET_RAW"):
            nmapoptions.without_raw_sockets([word])
    for options in (["-d"], ["-dd"], ["-vv"], ["-PS80"], ["-PA"], ["-fuzzy"], ["-ttl", "5"], ["-reason"],
                    ["--data-string", "-D10.0.0.1"], ["--script-args", "-f"], ["-scan-delay=1s"],
                    ["-rH"], ["-ra"], ["-fu"], ["-res"], ["-resolve-all"], ["-route-dst=1.1.1.1"], ["-nRv"],
                    ["-n-reason"]):  # fmt: skip
        assert nmapoptions.without_raw_sockets(options)[0][1:] == options, "nothing that needs them"
    assert nmapoptions.without_raw_sockets(["-nsSV"])[0] == ["--unprivileged", "-n", "-sTV"]
    assert nmapoptions.without_raw_sockets(["-nA"])[1] == [
        "no CAP_NET_RAW: connect scan instead of SYN scan, no OS detection"
    ]


@pytest.mark.parametrize(
    ("words", "ours", "theirs"),
    [
        (["10.0.0.1", "-sV", "--netns", "n", "-p", "80"], ["10.0.0.1", "--netns", "n", "-p", "80"], ["-sV"]),
        (["--top-ports", "20", "h"], ["h"], ["--top-ports", "20"]),
        (["--ports", "22,80", "h"], ["-p", "22,80", "h"], []),
        (["--ports", "10.0.0.1"], ["--ports", "10.0.0.1"], []),
        (["h", "--ports"], ["h", "--ports"], []),
        (["-p80", "-T4", "-A", "h"], ["-p80", "-A", "h"], ["-T4"]),
        (["-oN", "x", "h"], ["h"], ["-oN", "x"]),
        (["-oXx", "h"], ["-oXx", "h"], []),
    ],
)
def test_words_of_the_command_line(words: list[str], ours: list[str], theirs: list[str]) -> None:
    assert sort_words(words, command.params) == (ours, theirs)


def test_without_nmap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(MissingToolError, match="apt install nmap"):
        sk.scan("127.0.0.1")


def test_a_file_of_targets(tmp_path: Path) -> None:
    path = tmp_path / "targets"
    path.write_text("10.0.0.1 10.0.0.2 # a comment\n\n-oN x\n")
    assert targets.from_file(str(path)) == ["10.0.0.1", "10.0.0.2", "-oN", "x"]
    with pytest.raises(SniffkitError, match="-oN"):
        sk.scan(targets_from=str(path))
    with pytest.raises(SniffkitError, match="No such file"):
        sk.scan(targets_from=str(tmp_path / "nosuch"))


XML = """<?xml version="1.0"?><nmaprun scanner="nmap" args="nmap -oX -" start="1" version="7.93">
<host starttime="10" endtime="20"><status state="up" reason="arp-response" reason_ttl="0"/>
<address addr="10.0.0.1" addrtype="ipv4"/><address addr="02:AA:00:00:00:01" addrtype="mac" vendor="ACME &amp; Co"/>
<hostnames><hostname name="a.test" type="PTR"/></hostnames><ports><extraports state="closed" count="9"/>
<port protocol="tcp" portid="80"><state state="open" reason="syn-ack" reason_ttl="64"/>
<service name="http" product="x&#x2028;&lt;y&gt;" conf="10" method="probed"><cpe>cpe:/a:x</cpe></service>
<script id="s" output="&#xa;tab&#9;'&quot;"><elem key="k">1</elem><elem key="k">2</elem><table key="t"><elem>3</elem>
</table></script></port></ports><os><osmatch name="Linux" accuracy="98" line="7"><osclass type="general purpose"
vendor="Linux" osfamily="Linux" osgen="5.X" accuracy="98"><cpe>cpe:/o:linux</cpe></osclass></osmatch></os>
<distance value="1"/><times srtt="250" rttvar="1" to="9"/></host>
<host><status state="up" reason="x"/><address addr="10.0.0.2" addrtype="ipv4"/></host>
<runstats><finished time="30" elapsed="1.5" exit="success"/><hosts up="2" down="0" total="2"/></runstats></nmaprun>"""


def result(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "scan.xml"
    path.write_text(text)
    return sk.ScanResult([report.from_file(str(path))])


def test_every_field_of_a_host(tmp_path: Path) -> None:
    found = result(tmp_path, XML)
    assert found.complete
    (port,) = found.ports().to_arrow().to_pylist()
    assert (port["ip"], port["proto"], port["port"], port["state"], port["reason_ttl"]) == (
        *("10.0.0.1", "tcp", 80, "open", 64),
    )
    first, second = found.hosts().to_arrow().to_pylist()
    assert (first["mac"], first["vendor"], first["hostname"]) == ("02:aa:00:00:00:01", "ACME & Co", "a.test")
    assert (first["other_ports"], first["open_ports"], first["srtt"]) == (["closed:9"], 1, 250_000)
    assert (second["ip"], second["mac"], second["start"]) == ("10.0.0.2", None, None)
    (script,) = found.scripts().to_arrow().to_pylist()
    assert (script["output"], script["elements"]) == ("\ntab\t'\"", '{"k": ["1", "2"], "t": ["3"]}')
    (system,) = found.os().to_arrow().to_pylist()
    assert (system["name"], system["accuracy"], system["osgen"], system["cpe"]) == (
        "Linux",
        98,
        "5.X",
        ["cpe:/o:linux"],
    )
    (service,) = found.services().to_arrow().to_pylist()
    assert (service["product"], service["conf"]) == ("x\u2028<y>", 10)
    assert [row["port"] for row in found.to_arrow().to_pylist()] == [80, None]


def test_a_namespace_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    found = result(tmp_path, XML)
    found.netns = "ns\udcff"
    for table in (found.table(), found.hosts()):
        assert set(table.to_arrow()["netns"].to_pylist()) == {"ns\\xff"}


def test_xml_cut_anywhere_keeps_whole_hosts(tmp_path: Path) -> None:
    ends = [i + len("</host>") for i in range(len(XML)) if XML.startswith("</host>", i)]
    for cut in range(100, len(XML) - 10, 7):
        found = result(tmp_path, XML[:cut])
        assert not found.complete
        assert len(found.found) == sum(cut >= end for end in ends), cut


def test_numbers_that_no_column_holds_and_depth_without_end(tmp_path: Path) -> None:
    """Damage and malice in a file of nmap's: null in the table, no exception."""
    huge = str(10**17)
    for old in ('reason_ttl="64"', 'accuracy="98"', 'line="7"', 'conf="10"', 'value="1"', 'srtt="250"',
                'starttime="10"', 'to="9"', 'portid="80"', 'count="9"'):  # fmt: skip
        found = result(tmp_path, XML.replace(old, f'{old.partition("=")[0]}="{huge}"'))
        for name in COLUMNS:
            assert found.table(name).to_arrow().num_rows >= 0
    rtt = "<trace><hop ttl='1' rtt='{}'/></trace></host>"
    for value in ("nan", "inf", "1e300", "--"):
        found = result(tmp_path, XML.replace("</host>", rtt.format(value), 1))
        assert found.hops().to_arrow()["rtt"].to_pylist() == [None]
    deep = "<table>" * 5000 + "</table>" * 5000
    found = result(tmp_path, XML.replace('<elem key="k">1</elem>', deep))
    assert found.scripts().to_arrow()["elements"].to_pylist() == [None]


def test_a_target_that_nmap_left_out(tmp_path: Path) -> None:
    found = result(tmp_path, XML.replace("<host ", '<target specification="x" status="skipped"/><host ', 1))
    assert (found.reports[0].skipped, found.complete, len(found.found)) == (["x"], False, 2)


@pytest.mark.parametrize("text", ["", "not xml", "<html/>", "<nmaprun", '<?xml version="1.0"?>'])
def test_what_is_not_nmaps(tmp_path: Path, text: str) -> None:
    with pytest.raises(SniffkitError):
        result(tmp_path, text)


def test_the_function_stays_a_function_when_its_package_is_loaded() -> None:
    code = "import sniffkit.scan.report, sniffkit.lab.running, sniffkit as sk\n"
    code += "assert callable(sk.scan)\nassert callable(sk.lab)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("seconds", [float("nan"), 0.0, -1.0])
def test_a_time_that_is_none(seconds: float) -> None:
    with pytest.raises(SniffkitError, match="timeout is a time in seconds"):
        sk.scan("127.0.0.1", timeout=seconds)


def test_an_option_without_its_value_names_the_command() -> None:
    arguments = ["scan", "127.0.0.1", "-p"]
    done = subprocess.run([sys.executable, "-m", "sniffkit", *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "sniffkit: Option '-p' requires an argument. (see sniffkit scan --help)\n"


def test_files_that_would_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link.csv").symlink_to("x.csv")
    for of in (("x.csv", "x.csv", None), ("x.csv", None, "./x.csv"), (None, "x.csv", tmp_path / "link.csv")):
        with pytest.raises(SniffkitError, match=r"(--write|--xml) and (--xml|-o) would be one file"):
            check_files(of[0], of[1], None if of[2] is None else str(of[2]))
    check_files("/dev/null", "/dev/null", "/dev/null")
    check_files("x.pcapng", "x.xml", "-")
    for files in (("-", None), (None, "-")):
        with pytest.raises(SniffkitError, match="takes a file; standard output is the table's"):
            sk.scan("127.0.0.1", write=files[0], xml=files[1])
    for out in (str(tmp_path), "nosuch/x.csv", ""):
        with pytest.raises(SniffkitError, match="directory"):
            check_files(None, None, out)


def fake_nmap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What runs as nmap."""
    path = tmp_path / "nmap"
    path.write_text(text)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_an_nmap_that_cannot_be_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nmap(tmp_path, monkeypatch, "\1\2")
    with pytest.raises(SniffkitError, match="nmap: Exec format error"):
        sk.scan("127.0.0.1")


def test_an_nmap_that_a_signal_without_a_name_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nmap(tmp_path, monkeypatch, "#!/bin/bash\nkill -40 $$\n")
    assert sk.scan("127.0.0.1").notes[-1].startswith("nmap was ended by signal 40; ")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("NSE: failed to initialize the script engine:\n/usr/share/nmap/nse_main.lua:833: 'x' did not match\nstack "
         "traceback:\n[C]: in ?\n\nQUITTING!\n", "nmap: 'x' did not match"),
        ("WARNING: If -S is used\nCould not figure out what device to use\nQUITTING!\n",
         "nmap: Could not figure out what device to use"),
        ("Your port specifications are illegal.\nQUITTING!\n", "nmap: Your port specifications are illegal."),
    ],
)  # fmt: skip
def test_why_nmap_gave_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, reason: str) -> None:
    fake_nmap(tmp_path, monkeypatch, f"#!/bin/sh\ncat >&2 <<'END'\n{said}END\nexit 1\n")
    with pytest.raises(SniffkitError) as error:
        sk.scan("127.0.0.1")
    assert str(error.value) == reason


def test_a_second_interrupt_throws_nothing_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one ended nmap; all that come until the result is written wait for that."""
    (tmp_path / "scan.xml").write_text(XML[: XML.index("</host>") + len("</host>")])
    script = (
        f"#!/bin/bash\ntrap 'kill $!; exit 1' TERM\ncat {tmp_path}/scan.xml\necho >{tmp_path}/ready\nsleep 60 & wait\n"
    )
    fake_nmap(tmp_path, monkeypatch, script)
    process = subprocess.Popen(
        [sys.executable, "-m", "sniffkit", "scan", "127.0.0.1", "--json", "--table", "hosts"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    for _ in range(100):
        time.sleep(0.2 if process.poll() is None else 0)
        process.send_signal(signal.SIGTERM)  # to a process that has ended: nothing
    out, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (130, "sniffkit: interrupted; what was found by then is kept\n")
    assert '"10.0.0.1"' in out


def test_an_interrupt_while_flows_are_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    fake_nmap(tmp_path, monkeypatch, f"#!/bin/sh\ncat <<'END'\n{XML}\nEND\n")
    monkeypatch.setattr("sniffkit.capturing.capture", lambda *_, **__: nullcontext(SimpleNamespace(capture=None)))
    package = sys.modules["sniffkit.scan"]  # sk.scan is the function
    monkeypatch.setattr(package, "capture_points", lambda *_: [])
    monkeypatch.setattr(package, "link", interrupted)
    found = sk.scan("10.0.0.1-2", write=tmp_path / "x.pcapng")
    assert (found.interrupted, found.up) == (True, 2)
    assert found.notes[-1] == "interrupted before the flows of ports were looked up"


def out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """An nmap that finds what is in XML and says of `count` other addresses that it has no route to them."""
    skipped = [f"10.1.{at >> 8}.{at & 255}" for at in range(count)]
    elements = "".join(f'<target specification="{one}" status="skipped" reason="invalid"/>' for one in skipped)
    (tmp_path / "xml").write_text(XML.replace("<host ", f"{elements}<host ", 1))
    said = "".join(f"setup_target: failed to determine route to {one}\n" for one in skipped)
    (tmp_path / "said").write_text(said)
    fake_nmap(tmp_path, monkeypatch, f"#!/bin/sh\ncat {tmp_path}/said >&2\ncat {tmp_path}/xml\n")


def test_many_targets_out_of_reach_are_one_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out_of_reach(tmp_path, monkeypatch, 2)
    why = "was not scanned: failed to determine route to"
    notes = [f"target '10.1.0.{at}' {why} 10.1.0.{at}" for at in (0, 1)]
    assert sk.scan("10.0.0.0/15").notes == notes
    out_of_reach(tmp_path, monkeypatch, 20_000)
    began = time.monotonic()
    found = sk.scan("10.0.0.0/15")
    assert time.monotonic() - began < 10  # all that nmap said is not searched for each
    note = "20,000 targets were not scanned, among them '10.1.0.0': failed to determine route to 10.1.0.0"
    assert (found.notes, found.up, found.complete) == ([note], 2, False)


def test_an_interrupt_behind_nmaps_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    out_of_reach(tmp_path, monkeypatch, 1)
    monkeypatch.setattr(sys.modules["sniffkit.scan"], "not_scanned", interrupted)
    found = sk.scan("10.0.0.1-2")
    assert (found.interrupted, found.up) == (True, 2)
    assert found.notes == ["interrupted; what was found by then is kept"]


def test_what_nmap_warns_of_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "xml").write_text(XML)
    honoured = ["You have specified some options that require raw socket access.",
                "These options will not be honored without the necessary privileges."]  # fmt: skip
    ping = "Warning:  You are not root -- using TCP pingscan rather than ICMP"
    said = "\n".join(
        [*honoured, ping, ping, "RTTVAR has grown", "WARNING: No targets were specified, so 0 hosts scanned."]
    )
    fake_nmap(tmp_path, monkeypatch, f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\ncat {tmp_path}/xml\n")
    found = sk.scan("10.0.0.1-2")
    assert found.notes == [f"nmap: {' '.join(honoured)}", f"nmap: {' '.join(ping.split())}"]
    assert found.complete
    said = "\n".join(f"Warning: 10.0.0.{at} giving up on port" for at in range(100))
    fake_nmap(tmp_path, monkeypatch, f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\ncat {tmp_path}/xml\n")
    assert sk.scan("10.0.0.1-2").notes[7:] == ["nmap: Warning: 10.0.0.7 giving up on port", "nmap: 92 more warnings"]
