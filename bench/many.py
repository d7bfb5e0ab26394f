"""Cases of `sniffkit sql` and of many files: what is measured, and the Dask cluster that one of them needs."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench.inputs import BYTES_PER_PACKET, DATA, ROOT, NoInput, big

VENV = ROOT / ".venv" / "bin"
SCHEDULER = "127.0.0.1:8799"
STARTS_WITHIN = 30  # seconds
APART = 160  # seconds between two copies: more than a capture lasts


def copies(packets: int, count: int) -> str:
    """So many captures that follow each other, each a copy of the big one at a later time; a glob."""
    whole = big(packets)
    folder = DATA / f"copies-{packets}-{count}"
    done = folder / "done"
    if done.exists():
        return f"{folder}/*.pcap"
    if shutil.which("editcap") is None:
        raise NoInput("editcap is missing (Debian: wireshark-common)")
    if shutil.disk_usage(DATA).free < 2 * count * packets * BYTES_PER_PACKET:
        raise NoInput(f"{count} copies need {count * packets * BYTES_PER_PACKET / 1e9:.0f} GB, twice that free")
    folder.mkdir(exist_ok=True)
    print(f"bench: making {folder.relative_to(ROOT)}", file=sys.stderr, flush=True)
    for number in range(count):
        target = folder / f"{number:03}.pcap"
        subprocess.run(["editcap", "-F", "pcap", "-t", str(number * APART), str(whole), str(target)], check=True)
    done.touch()
    return f"{folder}/*.pcap"


def into(name: str, command: list[str]) -> list[str]:
    """A command that makes a data set in a directory of its own."""
    return [*command, "-o", f"{DATA}/out-{name}/"]


def cluster() -> str:
    """A scheduler and two workers of one thread each, until the measuring ends; its engine."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise NoInput("dask is missing: pip install 'sniffkit[dask]'") from None
    dask, host, port = str(VENV / "dask"), *SCHEDULER.split(":")
    log = (DATA / "dask.log").open("wb")
    commands = [[dask, "scheduler", "--host", host, "--port", port, "--no-dashboard"]]
    worker = [dask, "worker", SCHEDULER, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    commands += [[*worker, "--local-directory", str(DATA)]] * 2
    for command in commands:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        atexit.register(process.kill)
    end = time.monotonic() + STARTS_WITHIN
    while Path(log.name).read_bytes().count(b"Registered to") < 2:
        if time.monotonic() > end:
            raise NoInput(f"the Dask cluster did not start: see {Path(log.name).relative_to(ROOT)}")
        time.sleep(0.1)
    return f"dask://{SCHEDULER}"
