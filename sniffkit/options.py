"""Where captures are kept, and which is the newest."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from sniffkit.errors import CaptureFileError

SUFFIXES = (".pcapng", ".pcap")


def captures_dir(given: str | None = None) -> Path:
    """Where `capture` saves: `--dir`, else $SNIFFKIT_CAPTURES, else `captures/`."""
    return Path(given or os.environ.get("SNIFFKIT_CAPTURES") or "captures")


def new_capture_path(directory: Path, points: list[tuple[str | None, str]]) -> Path:
    """`<UTC time>-ns1-veth1.pcapng` in `directory`; a name that is taken gets a number."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = "+".join("-".join(part.replace("/", "_").strip("_") for part in one if part) for one in points[:3])
    more = f"+{len(points) - 3}" if len(points) > 3 else ""
    path = directory / f"{stamp}-{names}{more}.pcapng"
    number = 2
    while path.exists():
        path = directory / f"{stamp}-{names}{more}-{number}.pcapng"
        number += 1
    return path


def newest_capture() -> str:
    """The capture in the captures directory that was written last. Raises CaptureFileError if there is none."""
    directory = captures_dir()
    found = [path for path in directory.glob("*") if path.suffix in SUFFIXES and path.is_file()]
    if not found:
        raise CaptureFileError(f"no FILE given and no capture in {directory}/ yet: sniffkit capture --help")
    return str(max(found, key=lambda path: (path.stat().st_mtime_ns, path.name)))
