"""Where captures are kept, in which format, and which is the newest."""

from __future__ import annotations

import os

from sniffkit.errors import CaptureFileError, OutputError, SniffkitError

TYPE_CHECKING = False  # as in sniffkit
if TYPE_CHECKING:
    from collections.abc import Callable

SUFFIXES = (".pcapng", ".pcap")
COMPRESSED = (".gz", ".zst", ".bz2", ".xz", ".lz4")
LONGEST = 200  # bytes of the points in a name, which has 255 at most


def captures_dir(given: str | None = None) -> str:
    """Where `capture` saves: `--dir`, else $SNIFFKIT_CAPTURES, else `captures/`. Raises OutputError for a name that
    is none.
    """
    if given is not None:
        from sniffkit.tables import directory_name

        return directory_name(given)
    return os.environ.get("SNIFFKIT_CAPTURES") or "captures"


def capture_format(path: str | None) -> str:
    """`pcap` or `pcapng`, as the suffix of a capture file to write says, also with the number of one that rotates.

    Raises SniffkitError for a suffix of compression: the file would not be what its name says.
    """
    name = (path or "").lower()
    if name.endswith(COMPRESSED):
        raise SniffkitError(f"{path}: captures are not compressed as they are written: do without the suffix")
    return "pcap" if name.rstrip("0123456789").endswith(".pcap") else "pcapng"


def make_exclusive(path: str) -> None:
    """Make an empty file. Raises FileExistsError if there is one."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))


def new_capture(
    directory: str, points: list[tuple[str | None, str]], make: Callable[[str], None] = make_exclusive
) -> tuple[str, str]:
    """A new, empty `<UTC time>-ns1-veth1.pcapng` in `directory`, and the name of its flow table beside it.

    A name that is taken gets a number: two captures never share one. make: makes the file as `make_exclusive` does.
    Raises OutputError if it cannot.
    """
    from datetime import UTC, datetime

    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = "+".join("-".join(part.replace("/", "_").strip("_") for part in one if part) for one in points[:3])
    more = f"+{len(points) - 3}" if len(points) > 3 else ""
    names = names.encode()[:LONGEST].decode(errors="ignore")
    begin = os.path.join(directory, f"{stamp}-{names}{more}")
    number, stem = 1, begin
    while True:
        path, flows = f"{stem}.pcapng", f"{stem}.flows.parquet"
        try:
            if not os.path.lexists(flows):
                make(path)
                return path, flows
        except FileExistsError:
            pass
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}") from None
        number += 1
        stem = f"{begin}-{number}"


def newest_capture() -> str:
    """The capture in the captures directory that was written last. Raises CaptureFileError if there is none."""
    directory = captures_dir()
    found = []
    if os.path.isdir(directory):
        with os.scandir(directory) as entries:
            # One that is empty has not begun.
            found = [
                one for one in entries if one.name.lower().endswith(SUFFIXES) and one.is_file() and one.stat().st_size
            ]
    if not found:
        raise CaptureFileError(f"no FILE given and no capture in {directory.rstrip('/')}/ yet: sniffkit capture --help")
    return max(found, key=lambda entry: (entry.stat().st_mtime_ns, entry.name)).path
