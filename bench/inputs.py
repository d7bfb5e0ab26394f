"""The captures that are measured on: made once by `../shared/perf/make_big.py`, kept under bench/data (not in git)."""

from __future__ import annotations

import os
import shutil
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
