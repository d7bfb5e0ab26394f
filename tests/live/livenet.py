"""Namespaces, frames and running captures for the live tests."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import sniffkit as sk
from sniffkit.netlink import run_in

ROOT = Path(__file__).resolve().parent.parent.parent
SNIFFKIT = str(ROOT / ".venv" / "bin" / "sniffkit")

A_MAC, B_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def frame(number: int = 0, tags: bytes = b"", size: int = 60, proto: int = 17) -> bytes:
    """A numbered Ethernet frame from a to b: UDP 4096 → 4097, or another protocol above the same IPv4 header."""
    payload = struct.pack("!HHHHI", 4096, 4097, 12, 0, number)
    if proto == 1:
        payload = struct.pack("!BBHHHI", 8, 0, 0, 1, number & 0xFFFF, number)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), number & 0xFFFF, 0, 64, proto, 0)
    packet = head + bytes([10, 231, 0, 1, 10, 231, 0, 2]) + payload
    return (B_MAC + A_MAC + tags + b"\x08\x00" + packet).ljust(size, b"\0")


class Net:
    """Two namespaces joined by a veth pair: a/veth1 10.231.0.1, b/veth2 10.231.0.2; no IPv6, so no chatter."""

    def __init__(self, a: str, b: str) -> None:
        self.a, self.b = a, b
        self.veth1, self.veth2 = f"{a}/veth1", f"{b}/veth2"
        self._sockets: dict[tuple[str, str], socket.socket] = {}

    def socket(self, netns: str, interface: str) -> socket.socket:
        """A packet socket that sends whole frames on an interface and receives nothing."""

        def make() -> socket.socket:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            made.bind((interface, 0))
            return made

        key = (netns, interface)
        if key not in self._sockets:
            self._sockets[key] = run_in(netns, make)
        return self._sockets[key]

    def send(self, frames: Iterable[bytes]) -> None:
        """Send frames from a to b."""
        out = self.socket(self.a, "veth1")
        for one in frames:
            out.send(one)

    def run(self, netns: str, *command: str) -> str:
        return subprocess.run(
            ["ip", "netns", "exec", netns, *command], check=True, capture_output=True, text=True
        ).stdout

    def ping(self, count: int = 1) -> None:
        self.run(self.a, "ping", "-q", "-c", str(count), "-i", "0.002", "-W", "5", "10.231.0.2")

    def close(self) -> None:
        for one in self._sockets.values():
            one.close()


def make_net(tag: str) -> Iterator[Net]:
    a, b = f"skl{os.getpid()}{tag}a", f"skl{os.getpid()}{tag}b"
    spec = {"nodes": [a, b], "links": [{f"{a}/veth1": "10.231.0.1/24", f"{b}/veth2": "10.231.0.2/24"}]}
    lab = sk.lab(spec)
    net = Net(a, b)

    def quiet() -> None:
        for name in ("all", "default"):
            Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")

    with lab:
        for name in (a, b):
            run_in(name, quiet)
        for name, device, mac in ((a, "veth1", A_MAC), (b, "veth2", B_MAC)):
            net.run(name, "ip", "link", "set", device, "address", mac.hex(":"))
        net.run(a, "ip", "neigh", "replace", "10.231.0.2", "lladdr", B_MAC.hex(":"), "dev", "veth1")
        net.run(b, "ip", "neigh", "replace", "10.231.0.1", "lladdr", A_MAC.hex(":"), "dev", "veth2")
        try:
            yield net
        finally:
            net.close()


class Running:
    """`sniffkit capture …` in a process of its own, past the line that says it is live."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.said = b""
        assert process.stderr is not None
        while b"listening" not in self.said:
            line = process.stderr.readline()
            assert line, f"ended before it was live: {self.said.decode()}"
            self.said += line

    def end(self, how: signal.Signals | None = signal.SIGINT, timeout: float = 20) -> tuple[int, bytes, str]:
        """Send a signal, wait; exit code, standard output, standard error."""
        if how is not None:
            self.process.send_signal(how)
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, (self.said + err).decode()


Capture = Callable[..., Running]


def tool(*command: str) -> str:
    """Standard output of a peer that must not complain."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def numbers(path: Path | str) -> list[int]:
    """The numbers of our frames in a capture file (their IPv4 identification), as sniffkit reads it."""
    return [n for n in sk.open(str(path)).packets(["ip_id"]).to_arrow()["ip_id"].to_pylist() if n is not None]


def tshark_numbers(path: Path | str) -> list[int]:
    """The same as tshark reads it; slow to start."""
    return [int(line, 16) for line in tool("tshark", "-r", str(path), "-T", "fields", "-e", "ip.id").split()]


def blocks(path: Path | str) -> list[tuple[int, bytes]]:
    """Type and body of every pcapng block, checked to fill the file."""
    data = Path(path).read_bytes()
    found, at = [], 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size >= 12, f"block at {at}"
        assert data[at + size - 4 : at + size] == struct.pack("<I", size), f"block at {at}"
        found.append((kind, data[at + 8 : at + size - 4]))
        at += size
    return found


def options(body: bytes, at: int) -> list[tuple[int, bytes]]:
    """The options of a block's body from offset `at`."""
    found = []
    while at + 4 <= len(body):
        code, size = struct.unpack_from("<HH", body, at)
        if code == 0:
            break
        found.append((code, body[at + 4 : at + 4 + size]))
        at += 4 + (size + 3) // 4 * 4
    return found


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
