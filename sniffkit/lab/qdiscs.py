"""Queueing disciplines of an interface, by tc(8): shaping, delay, loss, and what comes in sent through an ifb."""

from __future__ import annotations

from typing import Any, NamedTuple

from sniffkit.lab.model import Interface
from sniffkit.lab.ops import SHAPE, Op, link_id
from sniffkit.lab.schema import Int, Key, Keys, Name, Percent, Rate, Size, Time


class Qdisc(NamedTuple):
    """What a queueing discipline takes, and the kernel option and module that give it."""

    option: str
    module: str
    keys: dict[str, Key]


QDISCS = {
    "htb": Qdisc(
        "CONFIG_NET_SCH_HTB",
        "sch_htb",
        {
            "rate": Key(Rate, "what it always gets", required=True),
            "ceil": Key(Rate, "what it may borrow (rate)"),
            "burst": Key(Size, "bytes at once"),
        },
    ),
    "tbf": Qdisc(
        "CONFIG_NET_SCH_TBF",
        "sch_tbf",
        {
            "rate": Key(Rate, "the most that goes out", required=True),
            "burst": Key(Size, "bytes at once (32kb)"),
            "latency": Key(Time, "longest wait before a packet is dropped (50ms)"),
        },
    ),
    "netem": Qdisc(
        "CONFIG_NET_SCH_NETEM",
        "sch_netem",
        {
            "delay": Key(Time, "added delay"),
            "jitter": Key(Time, "by which the delay varies"),
            "loss": Key(Percent, "share of packets lost"),
            "duplicate": Key(Percent, "share of packets sent twice"),
            "corrupt": Key(Percent, "share of packets with a wrong bit"),
            "rate": Key(Rate, "as a slower link"),
            "limit": Key(Int(1, 1_000_000), "packets that may wait (1000)"),
        },
    ),
    "sfq": Qdisc("CONFIG_NET_SCH_SFQ", "sch_sfq", {"perturb": Key(Int(1, 3600), "seconds between new hashes (10)")}),
}
QDISC = Keys({name: Key(Keys(one.keys), f"tc-{name}(8)") for name, one in QDISCS.items()}, what="queueing discipline")
INGRESS = Keys(
    {
        "redirect": Key(Name, "what comes in goes through this interface of the node, such as an ifb"),
        "mirror": Key(Name, "what comes in is copied to this interface of the node"),
    }
)


def operations(one: Interface) -> list[Op]:
    """The tc commands of an interface. netem goes below htb or tbf when both are given."""
    out: list[Op] = []
    needs = (link_id(*one.point),)

    def tc(key: str, words: str, what: str, undo: str | None = None) -> None:
        argv = ["tc", *words.split()]
        args: dict[str, Any] = {"argv": argv, "what": f"{one}: {what}"}
        if undo is not None:
            args["undo"] = ["tc", *undo.split()]
        line = f"ip netns exec {one.node} {' '.join(argv)}"
        out.append(Op(SHAPE, "command", one.node, f"{one.name} {key}", args, needs, line))

    parent = "root"
    for name, given in (one.qdisc or {}).items():
        handle = f"{len(out) + 1}:"
        words = f"qdisc replace dev {one.name} {parent} handle {handle} {name}"
        root = f"qdisc del dev {one.name} root" if parent == "root" else None
        if name == "htb":
            tc("htb", f"{words} default 1", "qdisc htb", root)
            ceil = given.get("ceil", given["rate"])
            burst = f" burst {given['burst']}" if "burst" in given else ""
            tc(
                "htb class",
                f"class replace dev {one.name} parent {handle} classid {handle}1 htb "
                f"rate {given['rate']} ceil {ceil}{burst}",
                "htb class",
            )
            parent = f"parent {handle}1"
            continue
        tc(name, f"{words} {' '.join(words_of(name, given))}", f"qdisc {name}", root)
        parent = f"parent {handle}1" if name == "tbf" else f"parent {handle}"
    if one.ingress:
        tc(
            "ingress",
            f"qdisc replace dev {one.name} handle ffff: ingress",
            "ingress",
            f"qdisc del dev {one.name} ingress",
        )
        for how, target in one.ingress.items():
            action = f"action mirred egress {how} dev {target}"
            tc(
                f"ingress {how}",
                f"filter add dev {one.name} parent ffff: protocol all u32 match u32 0 0 {action}",
                f"ingress {how}",
            )
    return out


def words_of(name: str, given: dict[str, Any]) -> list[str]:
    """tc's words for a qdisc."""
    if name == "tbf":
        given = {"burst": "32kb", "latency": "50ms", **given}
    if name == "sfq":
        given = {"perturb": 10, **given}
    out = []
    for key, value in given.items():
        if key == "jitter":
            continue
        out.append(f"{key} {value}")
        if key == "delay" and "jitter" in given:
            out.append(given["jitter"])
    return out
