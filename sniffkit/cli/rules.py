"""When rows of the flow table end, as options of commands: one for each rule that is a time."""

from __future__ import annotations

TYPE_CHECKING = False  # as in sniffkit.cli
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# rule, as Capture.flows() takes it -> what its option says; the capture's own clock is meant
RULES = {
    "tcp_idle": "End a TCP flow after S seconds without packets (300).",
    "udp_idle": "The same for UDP and every other IP protocol (60).",
    "arp_idle": "The same for ARP and every other Ethernet type (10).",
    "active": "A flow older than S seconds goes on in a new row ({active}).",
}


def rule_options(active: str) -> Callable[[Any], Any]:
    """Give a command the options of RULES; active: what it does without --active."""
    import click

    seconds = click.FloatRange(min=0, min_open=True, max=1e9)

    def decorate(command: Any) -> Any:
        for name, text in reversed(RULES.items()):
            flag, shown = f"--{name.replace('_', '-')}", text.format(active=active)
            command = click.option(flag, name, type=seconds, metavar="S", help=shown)(command)
        return command

    return decorate


def rules_of(options: dict[str, Any]) -> dict[str, float]:
    """The rules among the options of a command that are given, by name, in seconds."""
    return {name: options[name] for name in RULES if options.get(name) is not None}
