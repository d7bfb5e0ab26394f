"""The captures that are measured on: made once by `../shared/perf/make_big.py`, kept under bench/data (not in git)."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "bench" / "data"
SHARED = Path(os.environ.get("SNIFFKIT_SHARED", ROOT.parent / "shared"))
PACKETS_PER_FLOW = 10  # make_big.py needs more than six
BYTES_PER_PACKET = 600  # about what make_big writes


class NoInput(Exception):
    """An input that cannot be made; the message says why."""


def big(packets: int, flows: int | None = None) -> Path:
    """A capture of that many packets and flows: DNS, HTTP, TLS, UDP, ICMP, ARP; VLAN, QinQ, VXLAN, IPv6."""
    flows = flows or packets // PACKETS_PER_FLOW
    path = DATA / f"big-{packets}-{flows}.pcap"
    done = path.with_suffix(".done")
    if done.exists() and path.exists():
        return path
    maker = SHARED / "perf" / "make_big.py"
    if not maker.exists():
        raise NoInput("../shared/perf/make_big.py is not there (SNIFFKIT_SHARED says where else to look)")
    DATA.mkdir(parents=True, exist_ok=True)
    room = shutil.disk_usage(DATA).free
    if room < 2 * packets * BYTES_PER_PACKET:
        raise NoInput(
            f"{path.name} needs {packets * BYTES_PER_PACKET / 1e9:.1f} GB, twice that free; {room / 1e9:.1f} GB are"
        )
    print(f"bench: making {path.relative_to(ROOT)}", file=sys.stderr, flush=True)
    command = [sys.executable, str(maker), str(path), "--packets", str(packets), "--flows", str(flows), "--seed", "1"]
    try:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    except subprocess.CalledProcessError as error:
        raise NoInput(f"make_big.py exited {error.returncode}") from None
    done.touch()
    return path


def transfer(packets: int, flows: int = 64, payload: int = 1_358) -> Path:
    """A capture of large UDP packets, each flow from a port of its own."""
    path = DATA / f"transfer-{packets}.pcap"
    if path.exists():
        return path
    DATA.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    body = bytes(payload)
    with part.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for number in range(packets):
            udp = struct.pack("!HHHH", 10_000 + number % flows, 5_001, 8 + payload, 0)
            addresses = bytes([10, 232, 0, 1, 10, 232, 0, 2])
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 28 + payload, number & 0xFFFF, 0, 64, 17, 0) + addresses
            size = 14 + 28 + payload
            file.write(struct.pack("<IIII", number // 1_000_000, number % 1_000_000, size, size))
            file.write(b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0" + ip + udp + body)
    part.rename(path)
    return path


def head(capture: Path, packets: int) -> Path:
    """The first packets of a capture, for peers too slow for all of it."""
    path = capture.with_name(f"{capture.stem}-head-{packets}.pcap")
    if not path.exists():
        part = path.with_suffix(".part")
        command = ["tcpdump", "-r", str(capture), "-c", str(packets), "-w", str(part)]
        try:
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoInput(f"tcpdump cannot cut {path.name}: {error}") from None
        part.rename(path)
    return path


def into_page_cache(path: Path) -> None:
    """Read a file once, so that no contender pays for the disk."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 18):  # small: this process's size is the floor of what is measured
            pass
