"""`sniffkit read`: what tcpdump's and tshark's users type, and what is said when it cannot be done."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from captures import flow_cases
from captures.wire import T0, Frame, eth, ip4, pcap, pcapng, tcp

SEEDS = Path(__file__).resolve().parent.parent / "rust" / "fuzz" / "corpus"
PCAP = str(SEEDS / "pcap" / "micros-le")
PCAPNG = str(SEEDS / "pcapng" / "sections-le")

Run = Callable[..., tuple[int, str, str]]

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


@pytest.fixture
def run(called: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `sniffkit read …` in UTC; returns exit code, stdout and stderr."""
    monkeypatch.setenv("TZ", "UTC")
    import time

    time.tzset()
    return partial(called, "read")


@pytest.mark.parametrize(
    ("flags", "stamp"),
    [
        ((), "22:13:20.123456 "),
        (("-t",), ""),
        (("-tt",), "1700000000.123456 "),
        (("-ttt",), " 00:00:00.000000 "),
        (("-tttt",), "2023-11-14 22:13:20.123456 "),
        (("-ttttt",), " 00:00:00.000000 "),
        (("-nn", "-l"), "22:13:20.123456 "),
    ],
)
def test_times_and_flags_of_tcpdump(run: Run, flags: tuple[str, ...], stamp: str) -> None:
    code, out, err = run(*flags, "-c", "1", PCAP)
    assert (code, err) == (0, "")
    assert out.startswith(f"{stamp}IP 10.0.0.1.4096 > 10.0.0.2.53: ")
    assert out.count("\n") == 1


def test_time_since_the_line_before_and_since_the_first(run: Run) -> None:
    def stamps(flag: str) -> list[str]:
        return [line.split(" ", 2)[1] for line in run(flag, PCAP, PCAPNG)[1].splitlines()]

    # The file that begins first goes back in time; a sign takes the place of the blank.
    assert stamps("-ttt")[:2] == ["00:00:00.000000", "00:00:00.500000"]
    assert run("-ttt", PCAP, PCAPNG)[1].splitlines()[3].startswith("-00:00:00.500000 ")
    assert stamps("-ttttt")[5] == "00:00:01.123456"


def test_local_time_as_it_was_then(monkeypatch: pytest.MonkeyPatch) -> None:
    from sniffkit.cli.lines import local_zone

    monkeypatch.setenv("TZ", "Europe/Berlin")
    import time

    time.tzset()
    try:
        zone = dict(local_zone())
        assert zone[1_679_792_400] == 7200, "26 March 2023, 01:00 UTC"
        assert zone[1_698_541_200] == 3600, "29 October 2023, 01:00 UTC"
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_files_filter_and_stdin(run: Run) -> None:
    assert run(PCAP, PCAPNG)[1].count("\n") == 6
    assert run("-r", PCAP, "udp", "port", "53")[1].count("\n") == 1
    assert run(PCAP, "udp port 53")[1].count("\n") == 1
    assert run(PCAP, PCAPNG, "len > 46")[1].count("\n") == 5
    assert run(PCAP, "tcp") == (1, "", "")
    done = subprocess.run(
        [sys.executable, "-m", "sniffkit", "read", "-", "udp"],
        input=Path(PCAP).read_bytes(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout.count(b"\n"), done.stderr) == (0, 1, b"")


def test_fields_with_either_ones_flags(run: Run) -> None:
    expected = "1\t10.0.0.1\t4096,53\n2\t\t\n"
    for flags in (
        ["-T", "fields", "-e", "frame.number", "-e", "ip.src", "-e", "udp.port"],
        ["-Tfields", "-eframe.number", "-eip.src", "-eudp.port"],
        ["-T", "fields", "-E", "frame.number", "--field", "ip.src", "-E", "udp.port"],
        ["-nT", "fields", "-e", "frame.number", "-ne", "ip.src", "-eudp.port"],
    ):
        assert run(PCAP, *flags) == (0, expected, "")
    # Without -T fields -e is tcpdump's.
    assert "02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype IPv4 (0x0800), length 47" in run("-e", PCAP)[1]


@pytest.mark.parametrize("deep", [(), pytest.param(("--deep",), marks=needs_tshark)])
def test_fields_as_tshark_writes_them(run: Run, deep: tuple[str, ...]) -> None:
    def told(*changes: str) -> str:
        given = [part for change in changes for part in ("-E", change)]
        code, out, err = run(
            *deep, PCAP, "-T", "fields", *given, "-e", "frame.number", "-e", "udp.port", "-e", "ip.src"
        )
        assert (code, err) == (0, "")
        return out

    assert told("separator=,", "header=y", "aggregator=;") == "frame.number,udp.port,ip.src\n1,4096;53,10.0.0.1\n2,,\n"
    assert told("separator=/s", "quote=d", "occurrence=f") == '"1" "4096" "10.0.0.1"\n"2"  \n'
    assert told("quote=s", "occurrence=l") == "'1'\t'53'\t'10.0.0.1'\n'2'\t\t\n"


@pytest.mark.parametrize("deep", [(), pytest.param(("--deep",), marks=needs_tshark)])
def test_tcp_options_end_at_one_shorter_than_kind_and_length(run: Run, tmp_path: Path, deep: tuple[str, ...]) -> None:
    path = tmp_path / "options.pcap"
    frames, src, dst = [], "10.0.0.1", "10.0.0.2"
    for kind in (b"\1\1", b"\xb7\1", b"\xb7\0"):
        segment = bytearray(tcp(src, 1, dst, 2, 0x10, 1, 1, kind + b"\x08\x0a\0\0\0\1\0\0\0\2"))
        segment[12] = 8 << 4
        frames.append(Frame(T0, eth(0x0800, ip4(src, dst, 6, bytes(segment)))))
    path.write_bytes(pcap(frames))
    assert run(*deep, "-T", "fields", "-e", "tcp.options.timestamp.tsval", str(path)) == (0, "1\n\n\n", "")


def test_a_filter_with_a_star_and_one_that_is_a_file_too(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "udp").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert run(PCAP, "len*2>90")[1].count("\n") == 2
    # As in tcpdump: behind -r there are no files.
    assert run("-r", PCAP, "udp")[1].count("\n") == 1
    assert run("-r", PCAP, "len*2>94") == (1, "", "")


@pytest.mark.parametrize(("flag", "stamp"), [("-tttt", "2023-11-14 22:13:21.000000 "), ("-ttt", " 00:00:01.000000 ")])
def test_a_time_that_was_not_recorded_is_not_printed(run: Run, tmp_path: Path, flag: str, stamp: str) -> None:
    frames = [flow_cases.udp_frame(at, b"x") for at in (0, 500, 1000)]
    path = tmp_path / "x.pcapng"
    path.write_bytes(pcapng(["eth0"], list(zip([0, None, 0], frames, strict=True))))
    _, second, third = run(flag, str(path))[1].splitlines()
    assert second.startswith("IP ")
    assert third.startswith(f"{stamp}IP ")


def test_a_line_for_every_frame_without_times(run: Run, tmp_path: Path) -> None:
    # An unknown LLC on ATM: nothing of it is printed but its name.
    frame = struct.pack("<IIII", 1, 0, 5, 5) + b"\xaa\xaa\x07ab"
    path = tmp_path / "atm.pcap"
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 100) + frame * 2)
    assert run("-t", str(path)) == (0, "llc:data, length 5\n" * 2, "")
    assert run("-T", "fields", "-e", "ip.src", str(path)) == (0, "\n\n", "")


def test_tree_json_and_dumps(run: Run) -> None:
    _, tree, _ = run("-V", "-c", "1", PCAP)
    assert "\nInternet Protocol Version 4 (ip), 20 bytes at 14\n" in tree
    assert "    Destination Port: 53\n" in tree
    frames = [json.loads(line) for line in run("--json", PCAP)[1].splitlines()]
    assert [frame["frame.protocols"].split(":")[:2] for frame in frames] == [["eth", "ip"]] * 2
    assert run("-T", "json", PCAP)[1] == run("--json", PCAP)[1]
    assert "\n\t0x0000:  4500 0021 0000 4000 4011 0000 0a00 0001\n" in run("-x", "-c", "1", PCAP)[1]
    assert "\n\t0x0000:  0200 0000 0002 0200 0000 0001 0800 4500\n" in run("-xx", "-c", "1", PCAP)[1]
    assert "....hell\n" in run("-X", "-c", "1", PCAP)[1]
    assert "hello" in run("-A", "-c", "1", PCAP)[1]


def test_damage_gives_the_lines_before_a_line_and_exit_1(run: Run) -> None:
    cut = str(SEEDS / "pcap" / "cut")
    code, out, err = run(cut)
    assert (code, out.count("\n")) == (1, 1)
    assert err.startswith(f"sniffkit: {cut}: at byte 87: cut short: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nosuch.pcap"], "nosuch.pcap: No such file or directory"),
        (["nosuch"], "nosuch: no such file, and no filter: bad filter"),
        ([PCAP, "tcp prot 80"], 'bad filter "tcp prot 80": syntax error at column 5 ("prot")'),
        ([PCAP, "-T", "fields"], "-T fields needs -e NAME"),
        ([PCAP, "-T", "fields", "-e", "ip.scr"], "no field 'ip.scr'; did you mean ip.src"),
        ([PCAP, "-x", "-A"], "-x, -X and -A exclude each other"),
        ([PCAP, "udp", "-Y", "udp"], "-Y and the capture filter 'udp' exclude each other"),
        ([PCAP, PCAP, "-Y", "udp"], "tshark reads one file at a time"),
        ([PCAP, "-c", "0"], "-c"),
        ([PCAP, "-c", str(2**64)], "is not in the range 1<=x<=9223372036854775808"),
        ([PCAP, "-T", "fields", "-E", "foo=1", "-e", "ip.src"], "-E foo=1: there are separator, aggregator, "),
        ([PCAP, "-T", "fields", "-E", "quote=x", "-e", "ip.src"], "-E quote=x: quote is one of d, s, n"),
        ([PCAP, "-T", "fields", "-E", "separator=ab", "-e", "ip.src"], "-E separator=ab: separator is one character"),
        ([PCAP, "-A", "-e", "-t", "-Y", "udp"], "-A and -e and -t: not where tshark prints the frames (-Y, --deep)"),
        (["-T", "fields", "-e", "ip.src", "-E", "header=y", "no.pcap"], "no.pcap: No such file or directory"),
        (["/"], "/: Is a directory"),
        ([__file__], "not a capture: text"),
    ],
)
def test_a_bad_request_is_one_line_and_exit_2(run: Run, arguments: list[str], says: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("sniffkit: ")
    assert err.count("\n") == 1
    assert says in err


@needs_tshark
def test_deep_is_decoded_by_tshark(run: Run) -> None:
    code, out, err = run("--deep", "-T", "fields", "-e", "frame.number", "-e", "frame.coloring_rule.name", PCAP)
    assert (code, err) == (0, "")
    assert [line.split("\t")[0] for line in out.splitlines()] == [str(n + 1) for n in range(len(out.splitlines()))]
    code, out, _ = run("--deep", "-V", "-c", "1", PCAP)
    assert (code, out.startswith("Frame 1: ")) == (0, True)
    code, _, err = run("--deep", PCAP, "udp")
    assert (code, "exclude each other; -Y takes tshark's filter" in err) == (2, True)


@needs_tshark
def test_broadcasts_of_a_file(run: Run) -> None:
    # As tcpdump: a file says no netmask, which leaves the addresses of all ones and of all zeros.
    code, out, err = run(str(SEEDS.parents[2] / "captures" / "dhcp" / "leases.pcap"), "ip broadcast")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 6
    assert all("255.255.255.255" in line for line in lines)


def test_without_a_file_it_is_the_newest_capture(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SNIFFKIT_CAPTURES", str(tmp_path))
    code, out, err = run()
    assert (code, out, "no FILE given" in err) == (2, "", True)
    shutil.copy(PCAPNG, tmp_path / "x.pcapng")
    code, out, err = run()
    assert (code, out) == (0, run(PCAPNG)[1])
    assert "x.pcapng" in err


def test_display_filters_go_to_tshark(run: Run) -> None:
    code, out, _ = run("-Y", "udp.dstport == 53", PCAP)
    assert (code, out.count("\n")) == (0, 1)
    assert "10.0.0.1 → 10.0.0.2" in out
    assert run("-Y", "ip", "-T", "fields", "-e", "frame.number", PCAP)[:2] == (0, "1\n2\n")
    assert run("-Y", "tcp", PCAP) == (1, "", "")
    # -c counts what is printed.
    assert run("-Y", "not udp", "-c", "1", "-T", "fields", "-e", "frame.number", PCAP) == (0, "2\n", "")
    assert run("-Y", "ip", "-c", "9", "-T", "fields", "-e", "frame.number", PCAP)[1] == "1\n2\n"
    assert run("-Y", "ip", "-c", "1", "/dev/stdin")[2].endswith("give one, not standard input or a pipe\n")
    code, out, err = run("-Y", "ip", "-T", "fields", "-e", "nonsense.x", "-e", "ip.src", PCAP)
    assert (code, out, err) == (2, "", "sniffkit: tshark: Some fields aren't valid: nonsense.x\n")
    cut = str(SEEDS / "pcap" / "cut")
    code, out, err = run("-Y", "frame", "-T", "fields", "-e", "frame.number", cut)
    assert (code, out) == (1, "1\n")
    assert "cut short" in err
    assert run("--deep", "-Y", "arp", cut)[:2] == (1, "")
    for flags in (["-Y", "udp", "--json"], ["--deep", "-T", "json"]):
        objects = [json.loads(line) for line in run(*flags, PCAP)[1].splitlines()]
        assert [one["_source"]["layers"]["frame"]["frame.number"] for one in objects][-1] == str(len(objects)), flags
        assert objects[0]["_source"]["layers"]["udp"]["udp.dstport"] == "53"
    assert run("-Y", "tcp", "--json", PCAP) == (1, "", "")
    code, out, err = run("-Y", "ip.nosuch == 1", PCAP)
    assert (code, out) == (2, "")
    assert err.startswith("sniffkit: tshark: ")
    assert "ip.nosuch" in err
    assert err.count("\n") == 1


def test_what_contradicts_itself_is_refused(run: Run) -> None:
    for flags, what in (
        (["--json", "-x"], "--json and -x"),
        (["-T", "json", "-A"], "-T json and -A"),
        (["-T", "fields", "-e", "ip.src", "-X"], "-T fields and -X"),
        (["-T", "fields", "-e", "ip.src", "--json"], "-T fields and --json"),
        (["-V", "-T", "fields", "-e", "ip.src"], "-T fields and -V"),
        (["-V", "--json"], "--json and -V"),
        (["--deep", "-V", "--json"], "--json and -V"),
    ):
        assert run(*flags, PCAP) == (2, "", f"sniffkit: {what} contradict each other\n")
    assert run("-E", "ip.src", PCAP) == (2, "", "sniffkit: -E ip.src needs -T fields\n")
    assert run("-V", "-x", "-c", "1", PCAP)[0] == 0


def test_words_that_are_no_file_do_not_lead_to_another_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SNIFFKIT_CAPTURES", str(tmp_path))
    shutil.copy(PCAP, tmp_path / "newest.pcap")
    says = "frame.number: no such file, and files come before the filter; -e NAME needs -T fields"
    assert run("-e", "frame.number", PCAP) == (2, "", f"sniffkit: {says}\n")
    code, out, err = run("nope", "icmp")
    assert (code, out) == (2, "")
    assert err.startswith("sniffkit: nope icmp: no such file, and no filter: bad filter")
    assert run("udp", "port", "53")[0] == 0, "a filter of several words is one of the newest capture"


def test_without_tshark_one_line_says_how_to_get_it(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run("-Y", "udp", PCAP) == (2, "", "sniffkit: tshark is not installed: sudo apt install tshark\n")
    assert run("--deep", PCAP) == (2, "", "sniffkit: tshark is not installed: sudo apt install tshark\n")


def test_a_closed_pipe_is_quiet() -> None:
    for flags in ([], ["-Y", "ip"]) if shutil.which("tshark") else ([],):
        reading, writing = os.pipe()
        os.close(reading)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "sniffkit", "read", PCAP, *flags],
                stdout=writing,
                stderr=subprocess.PIPE,
                check=False,
            )
        finally:
            os.close(writing)
        assert (done.returncode, done.stderr) == (0, b""), flags
