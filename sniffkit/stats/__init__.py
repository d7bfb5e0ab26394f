"""What a capture holds, in figures: the questions that capinfos and `tshark -z` answer, as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sniffkit.errors import SniffkitError

if TYPE_CHECKING:
    from sniffkit.api import Capture
    from sniffkit.tables import Result

# section -> (module, what it shows); the module has `table(capture, **options) -> Result`. `stats` prints them in this
# order.
SECTIONS: dict[str, tuple[str, str]] = {
    "summary": ("sniffkit.stats.summary", "What capinfos says"),
    "hierarchy": ("sniffkit.stats.hierarchy", "Protocol hierarchy (tshark -z io,phs)"),
    "conversations": ("sniffkit.stats.conversations", "Conversations (tshark -z conv)"),
    "endpoints": ("sniffkit.stats.endpoints", "Endpoints (tshark -z endpoints)"),
    "lengths": ("sniffkit.stats.lengths", "Packet lengths (tshark -z plen,tree)"),
    "io": ("sniffkit.stats.io", "Frames and bytes over time (tshark -z io,stat)"),
    "health": ("sniffkit.stats.health", "TCP health over all flows"),
    "tcp": ("sniffkit.stats.tcp", "TCP health: the flows with something wrong, worst first"),
}

# The layers that conversations and endpoints are told apart by, as tshark names them; of those with ports the number
# of the protocol.
PORTED = {"tcp": 6, "udp": 17, "sctp": 132}
LAYERS = ("eth", "ip", "ipv6", *PORTED)


class Stats:
    """The sections of a capture's statistics; each is a table, computed when it is asked for.

    layer: one of eth, ip, ipv6, tcp, udp, sctp.
    """

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def summary(self) -> Result:
        """One row: packets, bytes, first and last time, duration (ns), rates (packets and bytes a second).

        interfaces: how many the frames name; all those without a name count as one.
        """
        return self._section("summary")

    def hierarchy(self) -> Result:
        """One row a protocol in its place in the stack: depth, path, frames and bytes with everything inside it.

        Frames of a link type that is not decoded are in no row.
        """
        return self._section("hierarchy")

    def conversations(self, layer: str = "ip") -> Result:
        """One row a pair of ends: frames and bytes each way, start (s after the first frame of all), duration (ns).

        a sent the first frame. In tunnels the outermost and the innermost IP header count, else the innermost header.
        """
        return self._section("conversations", layer=layer)

    def endpoints(self, layer: str = "ip") -> Result:
        """One row an end: frames and bytes sent (tx), received (rx) and in all."""
        return self._section("endpoints", layer=layer)

    def lengths(self) -> Result:
        """One row a range of frame lengths (bytes on the wire): count, share, mean, smallest, largest."""
        return self._section("lengths")

    def io(self, interval: float | None = None) -> Result:
        """One row an interval, also where nothing came: start (s after the first frame), frames, bytes.

        interval: seconds; by default 1, or 10, 100, … for a capture that would give over a million rows; SniffkitError
        where a given one does. Frames without a time are in no row.
        """
        return self._section("io", interval=interval)

    def health(self) -> Result:
        """One row: TCP flows, failed handshakes, resets, retransmitted and disordered segments, repeated ACKs, zero
        windows; rtts: handshakes that were timed, with smallest, largest and percentiles of their time, ns.
        """
        return self._section("health")

    def tcp(self) -> Result:
        """TCP flows with retransmitted or disordered segments, repeated ACKs, zero windows, a reset or a handshake that
        failed, worst first. tcp_rtt in ns.
        """
        return self._section("tcp")

    def _section(self, name: str, **options: object) -> Result:
        import importlib

        make: Callable[..., Result] = importlib.import_module(SECTIONS[name][0]).table
        return in_utc(name, make(self._capture, **options), self._capture.inputs)


def in_utc(name: str, result: Result, inputs: Sequence[object]) -> Result:
    """`result` of these inputs under this name, its times in UTC as in every table: in SQL they have no zone."""
    import pyarrow as pa

    from sniffkit.tables import Result

    data = result.to_arrow()
    kinds = [pa.timestamp("ns", "UTC") if pa.types.is_timestamp(field.type) else field.type for field in data.schema]
    return Result(name, data.cast(pa.schema(list(zip(data.column_names, kinds, strict=True)))), inputs)


def nanos(span: str) -> str:
    """A query's column: a span in ns (HUGEINT), at most what int64 holds (292 years), as durations of flows are."""
    most = 2**63 - 1
    return f"CASE WHEN {span} > {most} THEN {most} ELSE {span} END::BIGINT"


def check_layer(layer: str) -> str:
    """`layer` if there is one of that name. Raises SniffkitError with those that are."""
    if layer not in LAYERS:
        raise SniffkitError(f"no layer {layer!r}; there are: {' '.join(LAYERS)}")
    return layer
