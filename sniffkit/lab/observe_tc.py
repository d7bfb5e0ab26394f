"""The queueing disciplines of a namespace, in the words of a lab file: read through netlink, nothing is changed.

Layouts and numbers: linux/pkt_sched.h, linux/pkt_cls.h, linux/tc_act/tc_mirred.h. Times in ticks: /proc/net/psched, as
iproute2's tc_core.c reads it.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sniffkit.lab import wire
from sniffkit.lab.qdiscs import QDISCS, htb_rest
from sniffkit.lab.routing import PROTOCOLS

GETQDISC, GETTCLASS, GETTFILTER = 38, 42, 46
ROOT, INGRESS, INGRESS_HANDLE = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFF0000
ALL, IP, IP6 = 0x0003, 0x0800, 0x86DD  # ethertypes of filters
MIRRED = {1: "redirect", 2: "mirror"}  # TCA_EGRESS_…
TC_ACT_UNSPEC, TC_ACT_PIPE = -1, 3  # on to the next filter, on to the next action
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
MTU = 1600  # tc's burst is this much, and what goes out in a clock tick, where none is given
WORD = 0xFFFFFFFF


class Inexpressible(Exception):
    """A lab file has no words for it."""


@dataclass(slots=True)
class Queues:
    """What an interface has: its keys `qdisc` and `ingress`, and what there are no words for."""

    qdisc: dict[str, Any] = field(default_factory=dict)
    ingress: dict[str, str] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)


class Object(NamedTuple):
    """A qdisc, class or filter: struct tcmsg and its options. dev: the index of its interface."""

    kind: str
    dev: int
    handle: int
    parent: int
    info: int
    options: bytes


def queues(asked: wire.Socket, names: dict[int, str]) -> dict[str, Queues]:
    """By interface; those that have only what the kernel gave them are left out. names: index → interface."""
    out: dict[str, Queues] = {}
    found: dict[int, list[Object]] = {}
    for one in _objects(asked, GETQDISC):
        if one.handle and one.dev in names:  # without a handle it is the kernel's own choice
            found.setdefault(one.dev, []).append(one)
    for index, qdiscs in found.items():
        mine = out[names[index]] = Queues()
        for one in qdiscs:
            try:
                if one.parent == ROOT:
                    mine.qdisc = _chain(asked, one, qdiscs)
                elif one.parent == INGRESS:
                    mine.ingress = _ingress(asked, one, names)
            except Inexpressible as error:
                mine.strange.append(str(error))
    return out


def _objects(asked: wire.Socket, kind: int, index: int = 0, parent: int = 0) -> list[Object]:
    out = []
    for body in asked.dump(kind, struct.pack("=BxxxiIII", 0, index, 0, parent, 0)):
        _, at, handle, above, info = struct.unpack_from("=BxxxiIII", body)
        found = wire.attributes(body[20:])
        out.append(Object(found[1].rstrip(b"\0").decode(), at, handle, above, info, found.get(2, b"")))
    return out


def _chain(asked: wire.Socket, root: Object, there: list[Object]) -> dict[str, Any]:
    """A qdisc and the one below it, and so on."""
    out: dict[str, Any] = {}
    below: Object | None = root
    used = 0
    while below is not None:
        one = below
        if one.kind not in QDISCS or one.kind in out:
            raise Inexpressible(f"qdisc {one.kind}")
        leaf = None
        if one.kind == "htb":
            out["htb"], leaf = _htb(asked, one)
        else:
            out[one.kind] = {"tbf": _tbf, "netem": _netem, "sfq": _sfq}[one.kind](one)
        used += 1
        children = [other for other in there if other.parent != ROOT and other.parent >> 16 == one.handle >> 16]
        below = children[0] if children else None
        if len(children) > 1 or (leaf is not None and below is not None and below.parent != leaf):
            raise Inexpressible("qdiscs in several classes")
    if used != sum(one.parent != INGRESS for one in there):
        raise Inexpressible("qdiscs that no other leads to")
    return out


# numbers → the words of tc


def rate(number: int) -> str:
    """Bytes a second as a rate."""
    bits = number * 8
    for unit, size in (("g", 10**9), ("m", 10**6), ("k", 10**3)):
        if bits and bits % size == 0:
            return f"{bits // size}{unit}bit"
    return f"{bits}bit"


def size(number: int) -> str:
    """Bytes."""
    return f"{number // 1024}kb" if number and number % 1024 == 0 else f"{number}b"


def time(microseconds: float) -> str:
    """A time."""
    if microseconds and microseconds % 1_000_000 == 0:
        return f"{int(microseconds // 1_000_000)}s"
    if microseconds and microseconds % 1000 == 0:
        return f"{int(microseconds // 1000)}ms"
    return f"{microseconds:.3f}".rstrip("0").rstrip(".") + "us"


def percent(number: int) -> str:
    """A share of 2³²-1, in as few digits as say it."""
    for digits in range(7):
        text = f"{number / WORD * 100:.{digits}f}"
        if abs(round(float(text) / 100 * WORD) - number) <= 1:
            break
    return f"{text}%"


def _clock() -> tuple[float, int]:
    """Ticks in a microsecond, and the clock's frequency."""
    with open("/proc/net/psched", encoding="ascii") as file:
        to_us, to_ticks, resolution, frequency = (int(word, 16) for word in file.read().split())
    if resolution == 1_000_000_000:
        to_us = to_ticks
    return to_us / to_ticks * resolution / 1_000_000, frequency if resolution == 1_000_000 else 100


def burst(ticks: int, bytes_per_second: int) -> int:
    """The bytes that tc turned into so many ticks: a multiple of 1024 if one fits."""
    in_microsecond, _ = _clock()
    near = ticks / in_microsecond * bytes_per_second / 1_000_000
    step = int(bytes_per_second / (1_000_000 * in_microsecond)) + 2
    whole = [(int(near / 1024) + more) * 1024 for more in (0, 1)]
    tried = [*whole, *range(max(0, int(near) - step), int(near) + step + 1)]
    return next((number for number in tried if _fits(number, ticks, bytes_per_second)), round(near))


def _fits(number: int, ticks: int, bytes_per_second: int) -> bool:
    """Whether tc turns so many bytes into so many ticks: of whole microseconds, or of their fractions too."""
    in_microsecond, _ = _clock()
    wait = 1_000_000 * (number / bytes_per_second)
    return ticks in (int(int(wait) * in_microsecond), int(wait * in_microsecond))


def _burst(ticks: int, bytes_per_second: int) -> dict[str, str]:
    """The key `burst`, if it is not what tc takes without one."""
    usual = bytes_per_second // _clock()[1] + MTU
    return {} if _fits(usual, ticks, bytes_per_second) else {"burst": size(burst(ticks, bytes_per_second))}


def _ratespec(data: bytes) -> int:
    return int(struct.unpack_from("=BBHhHI", data)[5])


def _wide(found: dict[int, bytes], number: int, otherwise: int) -> int:
    return wire.decode("u64", found[number][:8]) if number in found else otherwise


# each queueing discipline


def _tbf(one: Object) -> dict[str, Any]:
    found = wire.attributes(one.options)
    data = found[1]
    bytes_per_second = _wide(found, 4, _ratespec(data))
    limit, buffer, _ = struct.unpack_from("=III", data, 24)
    if _ratespec(data[12:]):
        raise Inexpressible("qdisc tbf with a peakrate")
    whole = burst(buffer, bytes_per_second)
    wait = (limit - whole) / bytes_per_second * 1_000_000
    wait = next(
        (about for about in (round(wait, -3), round(wait)) if _limit(about, bytes_per_second, whole) == limit), wait
    )
    out = {"rate": rate(bytes_per_second)}
    out |= {} if whole == 32 * 1024 else {"burst": size(whole)}
    return out | ({} if wait == 50_000 else {"latency": time(wait)})


def _limit(microseconds: float, bytes_per_second: int, whole: int) -> int:
    return int(bytes_per_second * microseconds / 1_000_000 + whole)


def _netem(one: Object) -> dict[str, Any]:
    delay, limit, loss, gap, duplicate, jitter = struct.unpack_from("=6I", one.options)
    found = wire.attributes(one.options[24:])
    in_microsecond, _ = _clock()
    corrupt, _ = struct.unpack("=II", found.get(4, bytes(8)))
    correlated = any(any(found.get(number, b"")) for number in (1, 3)) or any(found.get(4, b"")[4:8])
    if gap or correlated or any(number in found for number in (5, 12)) or any(found.get(6, b"")[4:]):
        raise Inexpressible("qdisc netem with correlations, gaps, slots or models")
    waits = [_wide(found, number, int(ticks / in_microsecond * 1000)) for number, ticks in ((10, delay), (11, jitter))]
    slower = _wide(found, 8, int(struct.unpack_from("=I", found.get(6, bytes(4)))[0]))
    out: dict[str, Any] = {}
    # tc takes the jitter behind the delay only.
    if waits[0] or waits[1]:
        out["delay"] = time(_whole(waits[0] / 1000))
    if waits[1]:
        out["jitter"] = time(_whole(waits[1] / 1000))
    out |= {
        name: percent(share)
        for name, share in (("loss", loss), ("duplicate", duplicate), ("corrupt", corrupt))
        if share
    }
    out |= {"rate": rate(slower)} if slower else {}
    return out | ({} if limit == 1000 else {"limit": limit})


def _whole(microseconds: float) -> float:
    """The whole number that tc made this time of, if there is one: it counts in ticks."""
    in_microsecond, _ = _clock()
    whole = round(microseconds)
    return whole if int(whole * in_microsecond) == round(microseconds * in_microsecond) else microseconds


def _sfq(one: Object) -> dict[str, Any]:
    perturb = struct.unpack_from("=Ii", one.options)[1]
    if perturb == 0:
        raise Inexpressible("qdisc sfq that never perturbs")
    return {} if perturb == 10 else {"perturb": perturb}


class Class(NamedTuple):
    """A class of htb."""

    handle: int
    parent: int
    rate: int
    ceil: int
    burst: dict[str, str]

    @property
    def keys(self) -> dict[str, Any]:
        """As in a lab file."""
        ceil = {} if self.ceil == self.rate else {"ceil": rate(self.ceil)}
        return {"rate": rate(self.rate), **ceil, **self.burst}


def _htb(asked: wire.Socket, one: Object) -> tuple[dict[str, Any], int]:
    """Its settings, and the class of what is in none."""
    start = wire.attributes(one.options).get(2, bytes(20))
    default = one.handle | struct.unpack_from("=III", start)[2]
    classes = {}
    for found in _objects(asked, GETTCLASS, one.dev):
        if found.kind == "htb" and found.handle >> 16 == one.handle >> 16:
            classes[found.handle] = _class(found)
    filters = _objects(asked, GETTFILTER, one.dev, one.handle)
    if len(classes) == 1 and default in classes and not filters:
        return classes[default].keys, default
    tops = [found for found in classes.values() if found.parent == ROOT]
    if len(tops) != 1 or default not in classes or default == tops[0].handle:
        raise Inexpressible("qdisc htb with such classes")
    top, rest = tops[0], classes[default]
    shares = _shares(filters, classes, {top.handle, default})
    out = {**top.keys, "classes": shares}
    whole = htb_rest(
        top.rate * 8, [classes[handle].rate * 8 for handle in classes if handle not in (top.handle, default)]
    )
    if (rest.rate, rest.ceil, rest.burst) != (whole // 8, top.ceil, top.burst):
        raise Inexpressible("qdisc htb whose default class is not the rest")
    if any(found.parent != top.handle for found in classes.values() if found is not top):
        raise Inexpressible("qdisc htb with classes below classes")
    return out, default


def _class(found: Object) -> Class:
    options = wire.attributes(found.options)
    data = options[1]
    speed, ceil = _wide(options, 6, _ratespec(data)), _wide(options, 7, _ratespec(data[12:]))
    buffer = struct.unpack_from("=I", data, 24)[0]
    return Class(found.handle, found.parent, speed, ceil, _burst(buffer, speed))


def _shares(filters: list[Object], classes: dict[int, Class], others: set[int]) -> list[dict[str, Any]]:
    """The entries of `classes`, in the order of their filters."""
    matches: dict[int, dict[int, dict[str, Any]]] = {}
    for one in sorted(filters, key=lambda found: found.info >> 16):
        options = wire.attributes(one.options)
        if one.kind == "u32" and 5 not in options:
            continue  # a hash table of u32
        target = struct.unpack("=I", options[1])[0] if one.kind == "u32" and 1 in options else 0
        protocol = struct.unpack("!H", struct.pack("=H", one.info & 0xFFFF))[0]
        if target not in classes or target in others or protocol in matches.get(target, {}) or 7 in options:
            raise Inexpressible("qdisc htb with such filters")
        matches.setdefault(target, {})[protocol] = _match(options[5], protocol)
    if set(matches) != set(classes) - others:
        raise Inexpressible("qdisc htb with a class that no filter leads to")
    out = []
    for target, found in matches.items():
        given = next(iter(found.values()))
        versions = {IP6 if ":" in given[key] else IP for key in ("src", "dst") if key in given} or {IP, IP6}
        if set(found) != versions or any(other != given for other in found.values()) or not given:
            raise Inexpressible("qdisc htb with such filters")
        out.append(classes[target].keys | given)
    return out


def _keys(selector: bytes) -> dict[int, tuple[int, int]]:
    """The words that a u32 filter compares: offset → mask, value (struct tc_u32_sel)."""
    out = {}
    for number in range(selector[2]):
        mask, value, offset, moved = struct.unpack_from("!II", selector, 16 + 16 * number) + struct.unpack_from(
            "=ii", selector, 24 + 16 * number
        )
        if moved:
            raise Inexpressible("u32 filters with offsets from the packet")
        if mask:
            out[offset] = (mask, value)
    return out


def _match(selector: bytes, protocol: int) -> dict[str, Any]:
    """The keys of a class that say what belongs to it."""
    words = _keys(selector)
    out: dict[str, Any] = {}
    if protocol not in (IP, IP6):
        raise Inexpressible("qdisc htb with such filters")
    addresses, next_header, ports, length = ((12, 16), 8, 20, 4) if protocol == IP else ((8, 24), 4, 40, 16)
    for key, offset in zip(("src", "dst"), addresses, strict=True):
        parts = [words.pop(offset + at, (0, 0)) for at in range(0, length, 4)]
        masked, start = (b"".join(struct.pack("!I", part[which]) for part in parts) for which in (0, 1))
        if any(masked):
            network = ipaddress.ip_network((start, int.from_bytes(masked, "big").bit_count()))
            if network.netmask.packed != masked:
                raise Inexpressible("u32 filters with holes in masks")
            out[key] = str(network)
    shift = 16 if protocol == IP else 8
    mask, value = words.pop(next_header, (0, 0))
    if mask:
        if mask != 0xFF << shift or value >> shift not in PROTOCOL_NAMES:
            raise Inexpressible("qdisc htb with such filters")
        out["protocol"] = PROTOCOL_NAMES[value >> shift]
    mask, value = words.pop(ports, (0, 0))
    for key, shift in (("sport", 16), ("dport", 0)):
        if mask >> shift & 0xFFFF == 0xFFFF:
            out[key] = value >> shift & 0xFFFF
            mask &= ~(0xFFFF << shift)
    if mask or words:
        raise Inexpressible("qdisc htb with such filters")
    if out.get("protocol") == "tcp" and {"sport", "dport"} & set(out):
        del out["protocol"]  # a port without a protocol is one of TCP
    return out


def _ingress(asked: wire.Socket, one: Object, names: dict[int, str]) -> dict[str, str]:
    """Where what comes in goes, or is copied to."""
    if one.kind != "ingress":
        raise Inexpressible(f"qdisc {one.kind}")
    out: dict[str, str] = {}
    passes = TC_ACT_UNSPEC
    for found in sorted(_objects(asked, GETTFILTER, one.dev, INGRESS_HANDLE), key=lambda one: one.info >> 16):
        options = wire.attributes(found.options)
        if found.kind == "u32" and 5 not in options:
            continue
        everything = found.kind == "matchall" or (found.kind == "u32" and not _keys(options[5]))
        actions = list(wire.attributes(options.get({"matchall": 2, "u32": 7}.get(found.kind, 0), b"")).values())
        if not everything or not actions or found.info & 0xFFFF != struct.unpack("=H", struct.pack("!H", ALL))[0]:
            raise Inexpressible("ingress with such filters")
        for number, data in enumerate(actions):
            if passes != (TC_ACT_PIPE if number else TC_ACT_UNSPEC):
                raise Inexpressible("ingress with filters or actions that nothing reaches")
            action = wire.attributes(data)
            if not action[1].startswith(b"mirred\0"):
                raise Inexpressible(f"ingress with the action {action[1].rstrip(bytes(1)).decode()}")
            passes, _, _, how, index = struct.unpack_from("=iiiiI", wire.attributes(action[2])[2], 8)
            if how not in MIRRED or index not in names or MIRRED[how] in out:
                raise Inexpressible("ingress with such actions")
            out[MIRRED[how]] = names[index]
    if not out:
        raise Inexpressible("ingress without a filter")
    return out
