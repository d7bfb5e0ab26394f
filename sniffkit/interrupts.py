"""Signals that end a command, and `signal` without what it takes to import."""

from __future__ import annotations

TYPE_CHECKING = False  # as in sniffkit
if TYPE_CHECKING:
    import signal as signal
else:
    try:
        # What `signal` is made of: to name each number there (`enum`) takes as long as the rest of the start.
        import _signal as signal
    except ImportError:
        import signal


def end_as_on_interrupt() -> None:
    """SIGTERM and a terminal that closes are as ^C: what is being written becomes whole, or is not left half."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # not under nohup, nor where a command has its own way
            signal.signal(number, signal.default_int_handler)
