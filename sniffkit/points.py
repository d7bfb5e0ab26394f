"""Capture points, the sessions that watch them, and what a session leaves behind: for `sk.capture` and for commands."""

from __future__ import annotations

import errno
import math
import operator
import os
import stat

from sniffkit.errors import CaptureError, FilterError, PrivilegeError, SniffkitError, granting

TYPE_CHECKING = False  # as in sniffkit
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

MOST_RING_KIB = 4095 << 10  # of the core: 4095 blocks of 1 MiB


def point(text: str, netns: str | None = None) -> tuple[str | None, str]:
    """`NS/IF` or `IF` as (namespace, interface). A namespace given as a path keeps its slashes."""
    if not isinstance(text, str):
        raise SniffkitError(f"a capture point is IF or NS/IF, not {text!r}")
    if "/" in text:
        namespace, _, interface = text.rpartition("/")
        return namespace, interface
    return netns, text


def namespace(value: str | int | os.PathLike[str] | None) -> str | None:
    """A namespace as callers name it, a PID also by its number, as text; what can be none is left as it is."""
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    return str(value) if isinstance(value, int) else value


def within(
    name: str, value: float | None, least: float, most: float = math.inf, whole: bool = True, above: bool = False
) -> None:
    """Raises SniffkitError if the value of option `name` is below `least` (or is it, where it must be `above` that),
    above `most` or no (whole) number.
    """
    if value is None:
        return
    try:
        number = operator.index(value) if whole else value + 0.0  # type: ignore[arg-type]
    except TypeError:
        raise SniffkitError(f"{name} is a {'whole ' if whole else ''}number, not {value!r}") from None
    if not least <= number <= most or (above and number == least):
        bounds = f"{'more than' if above else 'at least'} {least}" if most == math.inf else f"{least} to {most}"
        raise SniffkitError(f"{name} is {bounds}, not {value!r}")


def file_name(name: str, value: str | bytes | os.PathLike[str] | None) -> str | None:
    """The value of option `name` as text. Raises SniffkitError if it is no file's name."""
    if value is None:
        return None
    try:
        text = os.fsdecode(value)
    except TypeError:
        text = "-"
    if text == "-":
        raise SniffkitError(f"{name} is a file's name, not {value!r}")
    return text


def utf8(*texts: str | None) -> None:
    """Raises SniffkitError for what is no text, or one that UTF-8 cannot say: what the core takes are strings."""
    for text in texts:
        if text is not None and not isinstance(text, str):
            raise SniffkitError(f"{text!r} is not a text")
        if text is not None and not text.isascii() and any("\ud800" <= one <= "\udfff" for one in text):
            raise SniffkitError(f"{text!r} is not UTF-8")


def start(points: Sequence[tuple[str | None, str]], options: Any, given_up: Callable[[], bool] | None = None) -> Any:
    """Start a `_core.LiveSession`, with its errors as sniffkit's own. given_up: asked while that lasts."""
    from sniffkit import _core

    try:
        return _core.LiveSession(list(points), options, given_up)
    except PermissionError as error:
        # The core does not know what it runs in: the program to be let is this Python, wherever it is.
        what, lacking, _ = str(error).partition(" is missing; ")
        raise PrivilegeError(f"{what}{lacking}{granting()}" if lacking else what) from None
    except ValueError as error:
        raise FilterError(str(error)) from None
    except OSError as error:
        raise CaptureError(str(error)) from None


def is_file_at(path: str, descriptor: int) -> bool:
    """Whether what is written to this name comes out at this descriptor (`/dev/stdout`), and is not thrown away."""
    try:
        there, here = os.stat(path), os.fstat(descriptor)
    except (OSError, ValueError):
        return False
    return os.path.samestat(there, here) and here.st_rdev != os.stat(os.devnull).st_rdev


def own_output(stdout: int) -> str | None:
    """A filter for the connection that carries what is written to descriptor `stdout`; None if there is none.

    Capturing it would capture its own output, without end. It is the descriptor's own, or that of an SSH session: sudo
    takes $SSH_CONNECTION away, so parents are asked too.
    """
    mode = os.fstat(stdout)
    if stat.S_ISSOCK(mode.st_mode) and (own := socket_filter(stdout)) is not None:
        return own
    if stat.S_ISREG(mode.st_mode) or mode.st_rdev == os.stat(os.devnull).st_rdev:
        return None
    process = "self"
    for _ in range(64):
        try:
            with open(f"/proc/{process}/environ", "rb") as file:
                environment = file.read().split(b"\0")
            with open(f"/proc/{process}/stat") as file:
                process = file.read().rpartition(")")[2].split()[1]
        except OSError:
            return None
        for entry in environment:
            if entry.startswith(b"SSH_CONNECTION="):
                return connection_filter(entry.decode(errors="replace").partition("=")[2])
        if process in ("0", "1"):
            return None
    return None


def socket_filter(descriptor: int) -> str | None:
    """A filter for the connection of an internet socket; None for another, or one that is not connected."""
    import socket

    try:
        with socket.socket(fileno=os.dup(descriptor)) as own:
            if own.family not in (socket.AF_INET, socket.AF_INET6):
                return None
            ends = [own.getpeername(), own.getsockname()]
            protocol = "tcp" if own.type == socket.SOCK_STREAM else "udp"
    except OSError:
        return None
    return connection_filter(" ".join(f"{end[0]} {end[1]}" for end in ends), protocol)


def connection_filter(connection: str, protocol: str = "tcp") -> str | None:
    """A filter for what $SSH_CONNECTION says: client address and port, server address and port. None if it is something
    else.
    """
    import ipaddress

    try:
        client, client_port, server, server_port = connection.split()
        ends = [ipaddress.ip_address(host.partition("%")[0]) for host in (client, server)]
        ports = [int(client_port), int(server_port)]
    except ValueError:
        return None
    hosts = [getattr(end, "ipv4_mapped", None) or end for end in ends]
    ends_at = " and ".join(f"{protocol} port {port}" for port in ports)
    return f"{ends_at} and host {hosts[0]} and host {hosts[1]}"


def parquet_of(flows: str | None, write: str | None) -> str | None:
    """The Parquet file that is written while capturing for the flow table `flows`, whose suffix names its format.

    write: the capture file beside it. Raises SniffkitError if the table would take its place, or cannot be.
    """
    if flows is None:
        return None
    try:
        if stat.S_ISDIR(os.stat(flows).st_mode):
            raise SniffkitError(f"{flows}: {os.strerror(errno.EISDIR)}")
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise SniffkitError(f"{flows}: {error.strerror}") from None
    if write is not None and os.path.realpath(write) == os.path.realpath(flows):
        raise SniffkitError(f"{flows}: the capture and its flow table would be one file")
    if flows.lower().endswith(".parquet"):
        return flows
    # With our number in it: nothing else has that name, and no other capture. A name has at most 255 bytes.
    directory, name = os.path.split(flows)
    return os.path.join(directory, f"{name.encode()[:200].decode(errors='ignore')}.{os.getpid()}.parquet")


def rehearse(flows: str) -> None:
    """Load all that `convert` needs: behind `-Z USER` the interpreter's own files may be out of reach."""
    import importlib
    import io

    import pyarrow as pa
    import pyarrow.parquet

    import sniffkit.remote
    import sniffkit.sinks.file  # noqa: F401
    from sniffkit.sinks import SINKS, Output

    suffix = Output(flows, False, False).suffix
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"ts": pa.array([0], pa.timestamp("ns", "UTC"))}), file)
    with pyarrow.parquet.ParquetFile(file) as read:
        rows = pa.RecordBatchReader.from_batches(read.schema_arrow, read.iter_batches())
        importlib.import_module(SINKS[suffix]).write(rows, io.BytesIO(), suffix, None)


def convert(table: str | None, flows: str) -> None:
    """Turn the Parquet flow table into the format that was asked for.

    If that fails the Parquet file stays, and so does what had the other's name: it is given when the file is whole.
    """
    if table is None or table == flows:
        return
    from sniffkit.sinks import Output, put

    try:
        import pyarrow as pa
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(table) as file:
            rows = pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(use_threads=False))
            put(rows, Output(flows, False, False))
    except Exception as error:  # too little memory for pyarrow too: what was captured is told of all the same
        from sniffkit.remote import one_line

        said = one_line(error).partition(". Detail: Python exception")[0]
        if not isinstance(error, SniffkitError):
            said = f"{flows}: {said}"
        raise incomplete(f"{said}; {kept_as(table)}") from None
    os.unlink(table)


def settle(session: Any, table: str | None, flows: str | None, again: str = "") -> tuple[str | None, list[str]]:
    """Make the flow table of an ended session what was asked for; its name if it is there, and a line for whatever
    could not be written.

    table: as it was written while capturing; flows: as it was asked for; again: what to say of one that was not
    written. The session tells its first error alone, perhaps by the table's hidden name.
    """
    error: str = session.error or ""
    of_table = flows is not None and error.startswith(f"{table}: ")
    if of_table:
        error = f"{flows}{error.removeprefix(str(table))}"
    lines = [kept(error)] if error else []
    if flows is None:
        return None, lines
    if session.flow_rows is None:
        lost = f"no flow table was written{again}"
        if of_table:
            return None, [f"{error}; {lost}"]
        return None, [*lines, f"{flows}: {lost}"]
    try:
        convert(table, flows)
    except CaptureError as failed:
        return None, [*lines, str(failed)]
    return flows, lines


def kept_as(table: str | None) -> str:
    """What is said of a flow table that could not be made what was asked for."""
    return f"the flow table is kept as {table}"


def kept(error: str) -> str:
    """What is said of a capture whose writing failed."""
    return f"{error}; what was written before is kept"


def incomplete(text: str) -> CaptureError:
    """An error after which something is kept: exit code 1."""
    return CaptureError(text, exit_code=1)
