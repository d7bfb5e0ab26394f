"""Several interfaces in several namespaces in one session, each named as users name them."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from livenet import Capture, Net, frame, tool, tshark_numbers

import sniffkit as sk


def point_names(live: sk.LiveCapture) -> list[str]:
    return [stats.name for stats in live.stats]


def test_a_namespace_by_name_path_and_pid(net: Net) -> None:
    sleeper = subprocess.Popen(["ip", "netns", "exec", net.b, "sleep", "60"])
    try:
        here = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{sleeper.pid}/ns/net") == here:
            time.sleep(0.01)
        for name in (net.b, f"/run/netns/{net.b}", str(sleeper.pid), f"/proc/{sleeper.pid}/ns/net"):
            with sk.capture(f"{name}/veth2", filter="udp") as live:
                net.send([frame(7)])
            # whichever way it is named, tables show the one name that it has
            assert point_names(live) == [net.veth2]
            assert live.packets(["netns", "interface"]).to_arrow().to_pylist() == [
                {"netns": net.b, "interface": "veth2"}
            ]
        for own in (sleeper.pid, Path("/run/netns") / net.b):
            with sk.capture("veth2", netns=own) as live:
                assert point_names(live) == [net.veth2]
    finally:
        sleeper.kill()
        sleeper.wait()


def test_the_process_stays_where_it_is(net: Net) -> None:
    before = os.readlink("/proc/self/ns/net")
    with sk.capture(net.veth1, net.veth2):
        threads = os.listdir("/proc/self/task")
        assert {os.readlink(f"/proc/self/task/{one}/ns/net") for one in threads} == {before}
    assert {os.readlink(f"/proc/self/task/{one}/ns/net") for one in os.listdir("/proc/self/task")} == {before}
    with pytest.raises(sk.CaptureError):
        sk.capture(net.veth1, f"{net.b}/missing")
    threads = os.listdir("/proc/self/task")
    assert {os.readlink(f"/proc/self/task/{one}/ns/net") for one in threads} == {before}


def test_frames_of_all_points_come_in_time_order(net: Net) -> None:
    with sk.capture(net.veth1, net.veth2, f"{net.b}/lo", filter="icmp") as live:
        net.ping(200)
        net.run(net.b, "ping", "-q", "-c", "1", "127.0.0.1")
    table = live.packets(["ts", "interface", "frame_number"]).to_arrow()
    times = table["ts"].cast("int64").to_pylist()
    assert len(times) == 802
    assert times == sorted(times)
    assert table["frame_number"].to_pylist() == list(range(1, 803))
    # request out, in; reply out, in
    assert table["interface"].to_pylist()[:4] == ["veth1", "veth2", "veth2", "veth1"]
    assert [stats.captured for stats in live.stats] == [400, 400, 2]


def test_frames_behind_a_silence_are_in_time_order_and_come_at_once(net: Net) -> None:
    with sk.capture(net.veth2, net.veth1, filter="udp") as live:
        for number in range(1, 7):
            time.sleep(0.6)  # longer than frames are held
            net.send([frame(number)])
            assert live.wait_for(2 * number, 0.4)
    table = live.packets(["ts", "interface"]).to_arrow()
    assert table["interface"].to_pylist() == ["veth1", "veth2"] * 6
    times = table["ts"].cast("int64").to_pylist()
    assert times == sorted(times)


def test_a_busy_point_beside_a_silent_one(net: Net) -> None:
    with sk.capture(net.veth2, f"{net.a}/lo") as live:
        for n in range(30):
            net.send([frame(n)])
            time.sleep(0.002)
        # they come through although the silent ring never has anything
        assert live.wait_for(30, 5)
    assert [stats.captured for stats in live.stats] == [30, 0]


def test_any_takes_every_interface_of_its_namespace(net: Net) -> None:
    with sk.capture("any", netns=net.b, filter="icmp") as live:
        net.ping()
        net.run(net.b, "ping", "-q", "-c", "1", "127.0.0.1")
    rows = live.packets(["netns", "interface", "direction", "ip_dst"]).to_arrow().to_pylist()
    assert [(row["ip_dst"], row["direction"]) for row in rows] == [
        ("10.231.0.2", "in"),
        ("10.231.0.1", "out"),
        ("127.0.0.1", "in"),  # on loopback once, as in tcpdump
        ("127.0.0.1", "in"),
    ]
    assert {row["netns"] for row in rows} == {net.b}


def test_any_prints_the_names_of_interfaces(net: Net, capture: Capture) -> None:
    running = capture("--netns", net.b, "-i", "any", "--no-save", "-c", "4", "icmp")
    net.ping()
    net.run(net.b, "ping", "-q", "-c", "1", "127.0.0.1")
    code, out, err = running.end(None)
    assert code == 0, err
    words = [line.split()[1:4] for line in out.decode().splitlines()]
    assert words == [["veth2", "In", "IP"], ["veth2", "Out", "IP"], ["lo", "In", "IP"], ["lo", "In", "IP"]]


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ("-t", r"IP 10\.231\.0\.[12] > .*"),
        ("-nntt", r"\d{10}\.\d{6} IP .*"),
        ("-lttt", r" 00:00:00\.\d{6} IP .*"),
        ("-tttt", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} IP .*"),
    ],
)
def test_times_of_lines(net: Net, capture: Capture, flags: str, line: str) -> None:
    running = capture("--netns", net.a, "-i", "veth1", "--no-save", flags, "-c", "2", "icmp")
    net.ping()
    _, out, err = running.end(None)
    lines = out.decode().splitlines()
    assert len(lines) == 2, err
    assert all(re.fullmatch(line, one) for one in lines), lines


def test_a_filter_of_the_cooked_header_means_the_same_on_the_file(net: Net, tmp_path: Path) -> None:
    path = str(tmp_path / "any.pcapng")
    with sk.capture("any", netns=net.b, filter="icmp", write=path):
        net.ping()
    for filter, direction in (("inbound", "in"), ("outbound", "out")):
        with sk.capture("any", netns=net.b, filter=f"icmp and {filter}") as live:
            net.ping()
        for table in (live.packets(["direction"]), sk.open(path).packets(["direction"], filter=filter)):
            assert table.to_arrow()["direction"].to_pylist() == [direction]
        assert len(tool("tcpdump", "-nr", path, filter).splitlines()) == 1
    with sk.capture(net.veth2, filter="icmp", write=tmp_path / "eth.pcapng"):
        net.ping()
    # which way a frame went is no part of Ethernet; and -Q is of live captures
    with pytest.raises(sk.FilterError, match="not supported on Ethernet when reading savefiles at column 1"):
        sk.open(tmp_path / "eth.pcapng").packets(filter="inbound").to_arrow()


def test_directions(net: Net) -> None:
    for direction, expected in (
        ("in", ["10.231.0.2"]),
        ("out", ["10.231.0.1"]),
        ("inout", ["10.231.0.2", "10.231.0.1"]),
    ):
        with sk.capture(net.veth2, filter="icmp", direction=direction) as live:
            net.ping()
        assert live.packets(["ip_dst"]).to_arrow()["ip_dst"].to_pylist() == expected
        assert live.stats[0].received == len(expected)  # the kernel's own filter keeps the rest out of the ring


def test_time_stamps_have_nanoseconds_and_are_now(net: Net) -> None:
    with sk.capture(net.veth2, filter="udp") as live:
        before = time.time_ns()
        net.send(frame(n) for n in range(50))
        after = time.time_ns()
    times = live.packets(["ts"]).to_arrow()["ts"].cast("int64").to_pylist()
    assert all(before - 1_000_000 <= ts <= after + 1_000_000 for ts in times)
    assert len({ts % 1000 for ts in times}) > 1


def test_promiscuous_mode_is_set_and_given_back(net: Net) -> None:
    def mode() -> bool:
        return "promiscuity 1" in net.run(net.b, "ip", "-d", "link", "show", "veth2")

    assert not mode()
    with sk.capture(net.veth2):
        assert mode()
    assert not mode()
    with sk.capture(net.veth2, promiscuous=False):
        assert not mode()


def test_frames_for_others_come_only_in_promiscuous_mode(net: Net) -> None:
    """veth hands every frame up; what tells them apart is the packet type, as tcpdump -p on a real interface."""
    with sk.capture(net.veth2, promiscuous=False, filter="udp") as live:
        net.send([bytes.fromhex("020000000099") + frame(1)[6:], frame(2)])
    assert 2 in live.packets(["ip_id"]).to_arrow()["ip_id"].to_pylist()


def test_unfinished_checksums_are_offloaded_never_bad(net: Net) -> None:
    script = (
        "import socket,threading\n"
        "s=socket.create_server(('10.231.0.2',8000)) if {server} else None\n"
        "c=s.accept()[0] if s else socket.create_connection(('10.231.0.2',8000))\n"
        "print(c.recv(100) if s else c.send(b'x'*100), flush=True)\n"
    )
    with sk.capture(net.veth1, net.veth2, filter="tcp port 8000") as live:
        server = subprocess.Popen(
            ["ip", "netns", "exec", net.b, "python3", "-c", script.format(server=True)], stdout=subprocess.DEVNULL
        )
        while ":8000" not in net.run(net.b, "ss", "-ltn"):
            time.sleep(0.02)
        net.run(net.a, "python3", "-c", script.format(server=False))
        server.wait(10)
    rows = live.packets(["malformed", "tcp_flags"]).to_arrow().to_pylist()
    assert len(rows) >= 14
    assert {row["malformed"] for row in rows} == {None}
    from livenet import blocks, options

    flags = []
    for kind, body in blocks(live.path):
        if kind == 6:
            size = int.from_bytes(body[12:16], "little")
            flags += [
                int.from_bytes(value, "little") for code, value in options(body, 20 + (size + 3) // 4 * 4) if code == 2
            ]
    assert any(flag & 1 << 9 for flag in flags), "veth leaves checksums to hardware that is not there"


def make_tun(net: Net, name: str) -> int:
    """A tun interface in namespace b, up; the descriptor through which packets come in from outside."""
    import fcntl
    import struct

    from sniffkit.netlink import run_in

    def make() -> int:
        device = os.open("/dev/net/tun", os.O_RDWR)
        # TUNSETIFF; IFF_TUN | IFF_NO_PI (linux/if_tun.h)
        fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1001))
        return device

    device = run_in(net.b, make)
    net.run(net.b, "ip", "link", "set", name, "up")
    return device


def test_an_interface_without_link_header(net: Net, tmp_path: Path) -> None:
    device = make_tun(net, "tun0")
    try:
        with sk.capture(f"{net.b}/tun0", net.veth2, filter="udp", write=tmp_path / "x.pcapng") as live:
            os.write(device, frame(1)[14:])
            net.send([frame(2)])
        rows = live.packets(["interface", "protocols", "ip_id", "direction"]).to_arrow().to_pylist()
        assert [(row["interface"], row["protocols"].split(":")[0], row["ip_id"], row["direction"]) for row in rows] == [
            ("tun0", "raw", 1, "in"),
            ("veth2", "eth", 2, "in"),
        ]
        # each interface block says its own link type: tshark reads that, tcpdump (one type a file) does not
        assert tshark_numbers(tmp_path / "x.pcapng") == [1, 2]
        done = subprocess.run(
            ["tcpdump", "-nr", str(tmp_path / "x.pcapng")], check=False, capture_output=True, text=True
        )
        assert "different from the type of the first interface" in done.stderr
        with pytest.raises(sk.CaptureError, match=r"pcap holds one link type, not .*tun0 \(link type 101\) and "):
            sk.capture(f"{net.b}/tun0", net.veth2, write=tmp_path / "x.pcap")
        assert not (tmp_path / "x.pcap").exists()
    finally:
        os.close(device)


def test_namespaces_that_end_alike_are_two(net: Net, tmp_path: Path) -> None:
    """Also where one of them ends like the `ip netns` name of a third."""
    paths = []
    for name in ("a/net", "b/net", f"c/{net.a}"):
        paths.append(tmp_path / name)
        paths[-1].parent.mkdir()
        paths[-1].touch()
        subprocess.run(["unshare", f"--net={paths[-1]}", "ip", "link", "set", "lo", "up"], check=True)
    try:
        inodes = [path.stat().st_ino for path in paths]
        points = [f"{path}/lo" for path in paths]
        with sk.capture(
            *points, net.veth1, filter="icmp", write=tmp_path / "x.pcapng", flows=tmp_path / "f.parquet"
        ) as live:
            for count, path in enumerate(paths, 1):
                ping = ["ping", "-q", "-i", "0.002", "-c", str(count), "-e", "77", "127.0.0.1"]
                subprocess.run(["nsenter", f"--net={path}", *ping], check=True, stdout=subprocess.DEVNULL)
        labels = [f"net-{inodes[0]}", f"net-{inodes[1]}", f"{net.a}-{inodes[2]}"]
        assert point_names(live) == [*(f"{label}/lo" for label in labels), net.veth1]
        for flows in (live.flows(), sk.open(tmp_path / "x.pcapng").flows()):
            rows = flows.to_arrow().select(["netns", "orig_pkts"]).to_pylist()
            assert [(row["netns"], row["orig_pkts"]) for row in rows] == list(zip(labels, (1, 2, 3), strict=True))
        with sk.capture(points[0], f"{net.b}/lo", filter="icmp") as alone:
            pass
        assert point_names(alone) == ["net/lo", f"{net.b}/lo"]
    finally:
        for path in paths:
            subprocess.run(["umount", path], check=True)
