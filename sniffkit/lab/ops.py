"""One operation of a plan: plain data, so that a plan can be printed, kept in a file and compared with another."""

from __future__ import annotations

from typing import Any, NamedTuple

from sniffkit.lab.model import HOST

# Operations run by stage, so that requests to one namespace can go out in one batch. Links come in levels (what they
# stand on is made first), and so does setting them up.
NETNS, SYSCTL, LINK, PORT, ADDRESS, LATE, UP, SHAPE, ROUTE, RULE, FILTER, SERVICE = range(0, 1200, 100)
OWN = ADDRESS - 50  # sysctls of an interface: what addresses it may have hangs on them
SETTLED = SERVICE - 50  # what the kernel changes when an interface is set up


class Op(NamedTuple):
    """What to do, where, and what must be there before.

    do: name in the table of sniffkit.lab.actions; key: what it makes, unique with `do` and `node`;
    args: its arguments (JSON types); needs: ids of operations that take this one's result with them when undone, the
    one that it changes the result of last;
    line: the same as a user of iproute2 would type it.
    """

    stage: int
    do: str
    node: str
    key: str
    args: dict[str, Any]
    needs: tuple[str, ...]
    line: str

    @property
    def id(self) -> str:
        """Unique in a plan."""
        return f"{self.do}:{self.node}/{self.key}"


def tool(name: str, node: str) -> str:
    """ip or bridge, as typed for a node."""
    return name if node == HOST else f"{name} -n {node}"


def inside(node: str) -> str:
    """What stands before any other command for a node."""
    return "" if node == HOST else f"ip netns exec {node} "


def link_id(node: str, name: str) -> str:
    """The id of the operation that makes an interface."""
    return f"link:{node}/{name}"


def address_id(node: str, name: str, address: str) -> str:
    """The id of the operation that gives an interface an address."""
    return f"address:{node}/{name} {address}"


def netns_id(node: str) -> str:
    """The id of the operation that makes a namespace."""
    return f"netns:{node}/{node}"
