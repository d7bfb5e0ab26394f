"""What a capture holds, in figures: the questions that capinfos and `tshark -z` answer, as tables."""

from __future__ import annotations

from collections.abc import Callable
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
    "tcp": ("sniffkit.stats.tcp", "TCP health: the flows with something wrong, worst first"),
}

# The layers that conversations and endpoints are told apart by, as tshark names them.
LAYERS = ("eth", "ip", "ipv6", "tcp", "udp", "sctp")


class Stats:
    """The sections of a capture's statistics; each is a table, computed when it is asked for.

    layer: one of eth, ip, ipv6, tcp, udp, sctp. interval: seconds.
    """

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def summary(self) -> Result:
        """One row: packets, bytes, first and last time, duration, rates (packets and bytes a second)."""
        return self._section("summary")

    def hierarchy(self) -> Result:
        """One row a protocol in its place in the stack: depth, path, frames and bytes with everything inside it."""
        return self._section("hierarchy")

    def conversations(self, layer: str = "ip") -> Result:
        """One row a pair of ends: frames and bytes each way, start and duration. a sent the first frame."""
        return self._section("conversations", layer=layer)

    def endpoints(self, layer: str = "ip") -> Result:
        """One row an end: frames and bytes sent (tx), received (rx) and in all."""
        return self._section("endpoints", layer=layer)

    def lengths(self) -> Result:
        """One row a range of frame lengths (bytes on the wire): count, share, mean, smallest, largest."""
        return self._section("lengths")

    def io(self, interval: float = 1.0) -> Result:
        """One row an interval, also where nothing came: start (s after the first frame), frames, bytes."""
        return self._section("io", interval=interval)

    def tcp(self) -> Result:
        """TCP flows with retransmissions, zero windows, resets or a handshake that failed, worst first."""
        return self._section("tcp")

    def _section(self, name: str, **options: object) -> Result:
        import importlib

        make: Callable[..., Result] = importlib.import_module(SECTIONS[name][0]).table
        return make(self._capture, **options)


def check_layer(layer: str) -> str:
    """`layer` if there is one of that name. Raises SniffkitError with those that are."""
    if layer not in LAYERS:
        raise SniffkitError(f"no layer {layer!r}; there are: {' '.join(LAYERS)}")
    return layer
