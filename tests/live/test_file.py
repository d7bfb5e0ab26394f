"""What a capture file says of itself, and that the peers read it without complaint."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

from livenet import Capture, Net, blocks, eventually, frame, numbers, options, tool, tshark_numbers

import sniffkit as sk


def texts(found: list[tuple[int, bytes]], code: int) -> list[str]:
    return [value.decode() for one, value in found if one == code]


def test_pcapng_describes_every_point(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth1, "-i", net.veth2, "-i", f"{net.b}/lo", "-w", "x.pcapng", "udp")
    net.send(frame(n) for n in range(5))
    assert running.end()[0] == 0
    found = blocks(tmp_path / "x.pcapng")
    assert [kind for kind, _ in found if kind != 6] == [0x0A0D0D0A, 1, 1, 1, 5, 5, 5]

    comments = texts(options(found[0][1], 16), 1)
    assert comments == [
        f"command: sniffkit capture -i {net.veth1} -i {net.veth2} -i {net.b}/lo -w x.pcapng udp",
        f"topology: {net.veth1} -- {net.veth2}; {net.b}/lo",
    ]
    described = []
    for _, body in found[1:4]:
        assert body[:8] == b"\1\0\0\0" + (262144).to_bytes(4, "little")  # Ethernet, snap length
        info = options(body, 8)
        assert [value for code, value in info if code == 9] == [b"\x09"]
        assert [value for code, value in info if code == 11] == [b"\0udp"]
        described.append((texts(info, 2)[0], texts(info, 3)[0]))
    inodes = {name: os.stat(f"/run/netns/{name}").st_ino for name in (net.a, net.b)}
    index = {
        (name, one["ifname"]): one["ifindex"]
        for name in (net.a, net.b)
        for one in json.loads(net.run(name, "ip", "-j", "link"))
    }
    a, b = index[net.a, "veth1"], index[net.b, "veth2"]
    place = {name: f"netns /run/netns/{name} inode {inodes[name]}" for name in (net.a, net.b)}
    assert described == [
        (net.veth1, f"{place[net.a]}, ifindex {a}, veth peer {net.veth2} ifindex {b}"),
        (net.veth2, f"{place[net.b]}, ifindex {b}, veth peer {net.veth1} ifindex {a}"),
        (f"{net.b}/lo", f"{place[net.b]}, ifindex 1"),
    ]


def test_peers_read_it_cleanly(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth1, "-i", net.veth2, "-w", "x.pcapng", "udp")
    net.send(frame(n) for n in range(20))
    assert running.end()[0] == 0
    path = str(tmp_path / "x.pcapng")
    tshark = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", "-e", "frame.interface_name"], capture_output=True, text=True
    )
    assert sorted(set(tshark.stdout.split())) == [net.veth1, net.veth2]
    assert [line for line in tshark.stderr.splitlines() if "as user" not in line] == []
    report = tool("capinfos", path)
    for line in (f"Name = {net.veth1}", "Filter string = udp", "Number of packets = 20", "Number of stat entries = 1"):
        assert line in report
    assert "Capture application: sniffkit" in report
    dump = subprocess.run(["tcpdump", "-nr", path], capture_output=True, text=True)
    assert (dump.returncode, len(dump.stdout.splitlines())) == (0, 40)
    assert len(dump.stderr.splitlines()) == 1  # "reading from file …"


def test_direction_is_stored_in_the_packet_block(net: Net, tmp_path: Path) -> None:
    with sk.capture(net.veth1, net.veth2, write=tmp_path / "x.pcapng", filter="udp"):
        net.send([frame(1)])
    flags = [options(body, 20 + 60) for kind, body in blocks(tmp_path / "x.pcapng") if kind == 6]
    assert [int.from_bytes(one[0][1], "little") & 3 for one in flags] == [2, 1]
    seen = tool("tshark", "-r", str(tmp_path / "x.pcapng"), "-T", "fields", "-e", "frame.packet_flags_direction")
    assert [int(text, 16) for text in seen.split()] == [2, 1]


def test_pcap_by_suffix(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth2, "-w", "x.pcap", "-s", "40", "udp")
    net.send(frame(n, size=100) for n in range(5))
    assert running.end()[0] == 0
    assert (tmp_path / "x.pcap").read_bytes()[:4] == bytes.fromhex("4d3cb2a1")  # nanoseconds
    assert len(tool("tcpdump", "-nr", str(tmp_path / "x.pcap")).splitlines()) == 5
    rows = sk.open(str(tmp_path / "x.pcap")).packets(["frame_len", "cap_len"]).to_arrow().to_pylist()
    assert rows == [{"frame_len": 100, "cap_len": 40}] * 5


def test_standard_output_into_tshark(net: Net, capture: Capture) -> None:
    read, write = os.pipe()
    command = ["tshark", "-l", "-r", "-", "-T", "fields", "-e", "ip.id"]
    reader = subprocess.Popen(command, stdin=read, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    running = capture("-i", net.veth2, "-w", "-", "udp", stdout=write)
    os.close(read)
    os.close(write)
    assert reader.stdout is not None
    net.send([frame(1)])
    # while the capture runs
    assert reader.stdout.readline().strip() == "0x0001"
    net.send([frame(2)])
    code, _, said = running.end()
    assert (code, reader.communicate()[0].strip()) == (0, "0x0002"), said
    assert "2 packets captured" in said


def test_a_reader_that_goes_away_ends_it_quietly(net: Net, capture: Capture) -> None:
    for arguments in (("-w", "-"), ("-w", "/dev/stdout"), ("--no-save",), ("--print", "-w", "x.pcapng")):
        read, write = os.pipe()
        running = capture("-i", net.veth2, *arguments, "udp", stdout=write)
        os.close(write)
        net.send(frame(n) for n in range(3))
        assert os.read(read, 10)
        os.close(read)
        for n in range(200):
            if running.process.poll() is not None:
                break
            net.send([frame(n)])
            time.sleep(0.05)
        code, _, said = running.end(None)
        lines = [line for line in said.splitlines() if not re.match(r"sniffkit: (listening|wrote)|\d+ packets? ", line)]
        assert (code, lines) == (0, []), said


def test_a_killed_capture_lacks_at_most_the_last_second(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth2, "-w", "x.pcapng", "--flows", "f.parquet", "udp")
    net.send(frame(n) for n in range(100))
    assert eventually(lambda: (tmp_path / "x.pcapng").stat().st_size > 100 * 60, 2)
    net.send(frame(n) for n in range(100, 110))
    running.process.kill()
    running.process.wait()
    got = numbers(tmp_path / "x.pcapng")
    assert got == list(range(len(got)))
    assert len(got) >= 100
    assert tshark_numbers(tmp_path / "x.pcapng") == got
    assert [path.name for path in tmp_path.iterdir()] == ["x.pcapng"]  # no half of a flow table


def test_written_data_is_there_within_a_second_of_silence(net: Net, capture: Capture, tmp_path: Path) -> None:
    capture("-i", net.veth2, "-w", "x.pcapng", "udp")
    for n in range(3):
        net.send([frame(n)])
        assert eventually(lambda n=n: numbers(tmp_path / "x.pcapng") == list(range(n + 1)), 1.5)
