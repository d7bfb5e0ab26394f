"""Where captures are kept, and which is the newest."""

from __future__ import annotations

import os

from sniffkit.errors import CaptureFileError

SUFFIXES = (".pcapng", ".pcap")


def captures_dir(given: str | None = None) -> str:
    """Where `capture` saves: `--dir`, else $SNIFFKIT_CAPTURES, else `captures/`."""
    return given or os.environ.get("SNIFFKIT_CAPTURES") or "captures"


def new_capture_path(directory: str, points: list[tuple[str | None, str]]) -> str:
    """`<UTC time>-ns1-veth1.pcapng` in `directory`; a name that is taken gets a number."""
    from datetime import UTC, datetime

    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = "+".join("-".join(part.replace("/", "_").strip("_") for part in one if part) for one in points[:3])
    more = f"+{len(points) - 3}" if len(points) > 3 else ""
    begin = os.path.join(directory, f"{stamp}-{names}{more}")
    path = f"{begin}.pcapng"
    number = 2
    while os.path.exists(path):
        path = f"{begin}-{number}.pcapng"
        number += 1
    return path


def newest_capture() -> str:
    """The capture in the captures directory that was written last. Raises CaptureFileError if there is none."""
    directory = captures_dir()
    found = []
    if os.path.isdir(directory):
        with os.scandir(directory) as entries:
            found = [entry for entry in entries if entry.name.endswith(SUFFIXES) and entry.is_file()]
    if not found:
        raise CaptureFileError(f"no FILE given and no capture in {directory.rstrip('/')}/ yet: sniffkit capture --help")
    return max(found, key=lambda entry: (entry.stat().st_mtime_ns, entry.name)).path
