"""Queueing disciplines of an interface, by tc(8): shaping, delay, loss, and what comes in sent through an ifb."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

from sniffkit.lab.model import Interface, LabSpec
from sniffkit.lab.ops import SHAPE, Op, inside, link_id
from sniffkit.lab.routing import PROTOCOLS
from sniffkit.lab.schema import (
    FASTEST,
    MOST_TICKS,
    Choice,
    Int,
    Key,
    Keys,
    ListOf,
    Name,
    Network,
    Percent,
    Rate,
    Size,
    Time,
    Wait,
    nearest,
)


class Qdisc(NamedTuple):
    """What a queueing discipline takes, and the kernel option and module that give it."""

    option: str
    module: str
    keys: dict[str, Key]


MATCH = {
    "src": Key(Network, "source network"),
    "dst": Key(Network, "destination network"),
    "protocol": Key(Choice(*PROTOCOLS), "protocol; tcp where a port is given"),
    "sport": Key(Int(1, 65535), "source port"),
    "dport": Key(Int(1, 65535), "destination port"),
}
HTB_CLASS = Keys(
    {
        "rate": Key(Rate, "what it always gets", required=True),
        "ceil": Key(Rate, "what it may borrow (rate)"),
        "burst": Key(Size, "bytes at once"),
        **MATCH,
    }
)
TBF = {"burst": "32kb", "latency": "50ms"}  # unless it says so
LEAST = 8000  # bit/s for what is in no class, where the classes take all

QDISCS = {
    "htb": Qdisc(
        "CONFIG_NET_SCH_HTB",
        "sch_htb",
        {
            "rate": Key(Rate, "what it always gets", required=True),
            "ceil": Key(Rate, "what it may borrow (rate)"),
            "burst": Key(Size, "bytes at once"),
            "classes": Key(
                ListOf(HTB_CLASS), "what gets a share of its own; the first that matches, all else the rest"
            ),
        },
    ),
    "tbf": Qdisc(
        "CONFIG_NET_SCH_TBF",
        "sch_tbf",
        {
            "rate": Key(Rate, "the most that goes out", required=True),
            "burst": Key(Size, "bytes at once (32kb)"),
            "latency": Key(Wait, "longest wait before a packet is dropped (50ms)"),
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


def check(one: Interface, spec: LabSpec) -> None:
    """What only shows when the whole lab is known: classes that fit into their interface, targets that are there."""
    netem = (one.qdisc or {}).get("netem", {})
    if "jitter" in netem and "delay" not in netem:
        raise spec.source.error((*one.path, "qdisc", "netem"), f"{one}: netem: jitter needs delay")
    htb = (one.qdisc or {}).get("htb", {})
    for number, given in enumerate(htb.get("classes", [])):
        path = (*one.path, "qdisc", "htb", "classes", number)
        if not set(given) & set(MATCH):
            raise spec.source.error(path, f"{one}: a class needs one of {' '.join(MATCH)}")
        if len({":" in given[key] for key in ("src", "dst") if key in given}) > 1:
            raise spec.source.error(path, f"{one}: a class with an IPv4 and an IPv6 network")
    if sum(bits(given["rate"]) for given in htb.get("classes", [])) > bits(htb.get("rate", "0bit")):
        path = (*one.path, "qdisc", "htb", "classes")
        raise spec.source.error(path, f"{one}: its classes have more than its rate, {htb['rate']}")
    _fits(one, spec)
    for above, below in itertools.pairwise(one.qdisc or {}):
        if above == "sfq":
            text = f"{one}: {below} cannot stand below sfq, which holds no other: sfq comes last"
            spec.source.refuse((*one.path, "qdisc", below), text)
    for how, target in (one.ingress or {}).items():
        if (one.node, target) not in spec.interfaces:
            names = [other.name for other in spec.of(one.node)]
            path = (*one.path, "ingress", how)
            raise spec.source.error(path, f"{one}: no interface {one.node}/{target}{nearest(target, names)}")


def _fits(one: Interface, spec: LabSpec) -> None:
    """tc tells the kernel bursts as the time that they take, in ticks, and tbf's latency as bytes, each in 32 bits; of
    more it drops the rest without a word."""
    path, given = (*one.path, "qdisc"), one.qdisc or {}
    tbf, htb = [TBF | given["tbf"]] if "tbf" in given else [], [given["htb"]] if "htb" in given else []
    shapers = [((*path, "tbf"), each) for each in tbf] + [((*path, "htb"), each) for each in htb]
    for each in htb:
        shapers += [((*path, "htb", "classes", n), share) for n, share in enumerate(each.get("classes", []))]
    for where, each in shapers:
        if Size.number(each.get("burst", "0")) * 8 * 10**6 > MOST_TICKS * bits(each["rate"]):
            text = f"{one}: a burst of {each['burst']} is more than {each['rate']} sends in 274s"
            spec.source.refuse((*where, "burst"), text)
    for each in tbf:
        waiting = bits(each["rate"]) / 8 * Wait.number(each["latency"]) / 10**6
        if waiting + Size.number(each["burst"]) >= 2**32:
            text = f"{one}: a latency of {each['latency']} at {each['rate']} is a queue of 4 GiB or more"
            spec.source.refuse((*path, "tbf", "latency"), text)


def bits(rate: str) -> int:
    """A rate in bits a second."""
    return int(min(Rate.number(rate), FASTEST))  # one that is stored may be without end


def operations(one: Interface) -> list[Op]:
    """The tc commands of an interface. Of several qdiscs each goes below the one before it, as the file has them."""
    out: list[Op] = []
    show = f"qdisc show dev {one.name}\nclass show dev {one.name}\nfilter show dev {one.name}\n"
    show += f"filter show dev {one.name} ingress\n" if one.ingress else ""

    def tc(what: str, words: str, needs: tuple[str, ...], undo: str | None = None) -> tuple[str, ...]:
        argv = ["tc", *words.split()]
        args: dict[str, Any] = {"argv": argv, "what": f"{one}: {what}"}
        if undo is not None:
            args["undo"] = ["tc", *undo.split()]
        args["shows"] = [["tc", "-batch", "-"], show]
        line = inside(one.node) + " ".join(argv)
        out.append(Op(SHAPE, "command", one.node, f"{one.name} {what}", args, needs, line))
        return (*needs, out[-1].id)

    parent = "root"
    needs: tuple[str, ...] = (link_id(*one.point),)
    link = needs
    for number, (name, given) in enumerate((one.qdisc or {}).items(), 1):
        handle = f"{number}:"
        more = "default 1" if name == "htb" else " ".join(words_of(name, given))
        undo = f"qdisc del dev {one.name} root" if parent == "root" else None
        needs = tc(f"qdisc {name}", f"qdisc replace dev {one.name} {parent} handle {handle} {name} {more}", needs, undo)
        for what, words in htb_classes(one.name, handle, given) if name == "htb" else []:
            tc(f"htb {what}", words, needs)
        parent = f"parent {handle}1" if name in ("htb", "tbf") else f"parent {handle}"
    if one.ingress:
        undo = f"qdisc del dev {one.name} ingress"
        base = tc("ingress", f"qdisc replace dev {one.name} handle ffff: ingress", link, undo)
        words = f"filter add dev {one.name} parent ffff: protocol all u32 match u32 0 0"
        # One filter: the kernel asks no further one. A mirror goes on to the next action, a redirect ends there.
        hows = [how for how in ("mirror", "redirect") if how in one.ingress]
        words += "".join(f" action mirred egress {how} dev {one.ingress[how]}" for how in hows)
        tc(f"ingress {' '.join(hows)}", words, (*(link_id(one.node, one.ingress[how]) for how in hows), *base))
    return out


def htb_classes(dev: str, handle: str, given: dict[str, Any]) -> list[tuple[str, str]]:
    """What there is below an htb: one class, or one for each of `classes` and one for the rest, with their filters."""
    ceil = given.get("ceil", given["rate"])
    add = f"class replace dev {dev} parent {handle}"
    burst = f" burst {given['burst']}" if "burst" in given else ""
    if not given.get("classes"):
        return [("class", f"{add} classid {handle}1 htb rate {given['rate']} ceil {ceil}{burst}")]
    # Classes borrow from each other by the one that they share.
    rest = htb_rest(bits(given["rate"]), [bits(one["rate"]) for one in given["classes"]])
    out = [
        ("class", f"{add} classid {handle}ff htb rate {given['rate']} ceil {ceil}{burst}"),
        ("rest", f"{add}ff classid {handle}1 htb rate {rest}bit ceil {ceil}{burst}"),
    ]
    for number, one in enumerate(given["classes"], 1):
        mine = f"{handle}{number + (15 if number < 240 else 16):x}"  # ff is the shared one
        words = f"{add}ff classid {mine} htb rate {one['rate']} ceil {one.get('ceil', one['rate'])}"
        out.append((f"class {number}", words + (f" burst {one['burst']}" if "burst" in one else "")))
        versions = {"ip6" if ":" in one[key] else "ip" for key in ("src", "dst") if key in one} or {"ip", "ip6"}
        for order, version in enumerate(("ip", "ip6")):
            if version in versions:
                protocol = "ip" if version == "ip" else "ipv6"
                words = f"filter add dev {dev} parent {handle} protocol {protocol} prio {2 * number + order} u32"
                out.append((f"filter {number} {version}", f"{words} {matches(version, one)} flowid {mine}"))
    return out


def htb_rest(whole: int, classes: list[int]) -> int:
    """What is left for what is in no class, of a rate of `whole`."""
    return max(whole - sum(classes), min(whole, LEAST))


def matches(version: str, given: dict[str, Any]) -> str:
    """The words of tc-u32(8). A port without a protocol is one of TCP."""
    out = [f"match {version} {key} {given[key]}" for key in ("src", "dst") if key in given]
    protocol = given.get("protocol", "tcp" if "sport" in given or "dport" in given else None)
    out += [f"match {version} protocol {PROTOCOLS[protocol]} 0xff"] if protocol else []
    out += [f"match {version} {key} {given[key]} 0xffff" for key in ("sport", "dport") if key in given]
    return " ".join(out)


def words_of(name: str, given: dict[str, Any]) -> list[str]:
    """tc's words for a qdisc."""
    if name == "tbf":
        given = TBF | given
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
