"""Captures at the points of a lab, and what is expected of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sniffkit.errors import LabError
from sniffkit.lab.describe import to_yaml
from sniffkit.lab.model import LabSpec
from sniffkit.lab.schema import nearest

if TYPE_CHECKING:
    from sniffkit.api import Capture
    from sniffkit.capturing import LiveCapture
    from sniffkit.lab.running import Lab
    from sniffkit.tables import Table

# A lab has many points and little traffic: a ring of the default size each would be too much.
RING_KIB = 2048
MAX_COMMENT = 60_000  # a pcapng option holds 65,535 bytes


def points_of(spec: LabSpec, given: Sequence[str]) -> list[str]:
    """`NODE/IF` as they are, a node's name as all its interfaces, `all` or nothing as every interface of the lab."""
    out: list[str] = []
    for text in given or ("all",):
        if text == "all":
            out += [str(one) for one in spec.interfaces.values() if one.up]
        elif text in spec.nodes:
            found = [str(one) for one in spec.of(text) if one.up]
            if not found:
                raise LabError(f"{text} has no interface to capture on")
            out += found
        else:
            if not spec.has(text):
                known = [*spec.nodes, *map(str, spec.interfaces.values())]
                raise LabError(f"lab {spec.name} has no {text!r}{nearest(text, known)}")
            out.append(text)
    if not out:
        raise LabError(f"lab {spec.name} has no interface to capture on")
    return [text.removeprefix("host/") for text in dict.fromkeys(out)]


def comment(spec: LabSpec) -> str | None:
    """The section comment that carries a lab, without its keys; None for one that does not fit."""
    text = f"lab:\n{to_yaml(spec, redact=True)}"
    return text if len(text.encode()) <= MAX_COMMENT else None


def section_comments(path: str) -> list[str]:
    """The comments of the first section header of a pcapng file (draft-ietf-opsawg-pcapng, 4.1)."""
    with open(path, "rb") as file:
        head = file.read(24)
        if len(head) < 24 or head[:4] != b"\x0a\x0d\x0d\x0a":
            raise LabError(f"{path}: not a pcapng file")
        order = "<" if head[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
        length = struct.unpack(f"{order}I", head[4:8])[0]
        if not 28 <= length <= 1 << 20:
            raise LabError(f"{path}: a section header of {length} bytes")
        body = file.read(length - 28)
    out, offset = [], 0
    while offset + 4 <= len(body):
        code, size = struct.unpack_from(f"{order}HH", body, offset)
        if code == 0:
            break
        if code == 1:
            out.append(body[offset + 4 : offset + 4 + size].decode(errors="replace"))
        offset += 4 + (size + 3 & ~3)
    return out


class LabCapture:
    """A capture in a lab that is up; live inside its `with` block. `expect` ends it and looks at what came."""

    def __init__(self, lab: Lab, points: Sequence[str], options: dict[str, Any]) -> None:
        self.points = points_of(lab.spec, points)
        self._spec = lab.spec
        self._options = {"buffer_kib": RING_KIB, "comment": comment(lab.spec), **options}
        self.live: LiveCapture | None = None

    def __enter__(self) -> LabCapture:
        from sniffkit.capturing import capture
        from sniffkit.lab.running import need_home

        if any("/" not in point for point in self.points):
            need_home(self._spec.name)
        self.live = capture(*self.points, **self._options)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    @property
    def capture(self) -> Capture:
        """What was captured, as `sk.open` gives it."""
        if self.live is None:
            raise LabError("the capture has not been started: use it in a `with` block")
        return self.live.capture

    def packets(self, filter: str | None = None, at: str | None = None) -> list[dict[str, Any]]:
        """The rows of the packets table that match a capture filter, at one point or all."""
        return self._rows(self.capture.packets(filter=filter or None), at)

    def flows(self, filter: str | None = None, at: str | None = None) -> list[dict[str, Any]]:
        """The rows of the flows table of packets that match a capture filter, at one point or all."""
        return self._rows(self.capture.flows(filter=filter or None), at)

    def _rows(self, table: Table, at: str | None) -> list[dict[str, Any]]:
        points = self.points if at is None else points_of(self._spec, [at])
        missing = [point for point in points if point not in self.points]
        if missing:
            raise LabError(f"at {at}: {' '.join(missing)} was not captured; there are: {' '.join(self.points)}")
        rows: list[dict[str, Any]] = table.to_arrow().to_pylist()
        if set(points) == set(self.points):
            return rows
        if any(row["interface"] is None for row in rows):
            path = self.live.path if self.live is not None else ""
            raise LabError(f"at {at}: {path} does not say at which interface a frame was seen: name it .pcapng")
        return [row for row in rows if place(row) in points]

    def expect(
        self,
        filter: str = "",
        *,
        at: str | None = None,
        count: int | None = None,
        flows: dict[str, Any] | None = None,
        **columns: Any,
    ) -> LabCapture:
        """Assert that packets, or flows, are there: those that match `filter`, at `at`, with these column values.

        at: a node or NODE/IF that is captured; everywhere by default. count: exactly so many (0: none), else at least
        one. flows: column values of the flows table instead.
        Raises AssertionError that shows what was seen, LabError for a point or column that there is not.
        """
        capture = self.capture
        table = (capture.packets if flows is None else capture.flows)(filter=filter or None)
        wanted = columns if flows is None else {**flows, **columns}
        known = [name for name, _ in table.columns()]
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise LabError(f"no column {unknown[0]!r}{nearest(unknown[0], known)}")
        rows = self._rows(table, at)
        found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
        if len(found) == count or (count is None and found):
            return self
        what = " ".join([filter or "anything", *(f"{name}={value!r}" for name, value in wanted.items())])
        where = at or ", ".join(self.points)
        seen = "\n  ".join(summary(row) for row in (self.packets(None, at) if flows is None else rows)[:20])
        raise AssertionError(
            f"{what} at {where}: {len(found)} seen, {'some' if count is None else count} expected; seen there:\n  "
            f"{seen or 'nothing'}"
        )


def place(row: dict[str, Any]) -> str:
    """Where a frame or flow was seen, as the file names it."""
    name = str(row["interface"] or "?")  # pcap files do not say
    return name if "/" in name or not row.get("netns") else f"{row['netns']}/{name}"


def summary(row: dict[str, Any]) -> str:
    """A packet's or flow's row as a line."""
    point = place(row)
    if "orig_h" in row:
        ends = f"{row['orig_h']}:{row['orig_p']} -> {row['resp_h']}:{row['resp_p']}"
        return f"{point} {row['proto']} {ends} {row['orig_pkts']}/{row['resp_pkts']} packets {row['conn_state'] or ''}"
    source, target = row["ip_src"] or row["eth_src"], row["ip_dst"] or row["eth_dst"]
    ports = f" {row['src_port']} -> {row['dst_port']}" if row["src_port"] is not None else ""
    return f"{point} {row['protocols']} {source} -> {target}{ports} ({row['frame_len']} bytes)"
