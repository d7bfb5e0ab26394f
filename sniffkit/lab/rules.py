"""Routing rules in rtnetlink: the request for one, and taking one away among others of its priority.

Layouts and numbers: linux/fib_rules.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from sniffkit.lab import wire
from sniffkit.lab.ops import Op
from sniffkit.lab.routing import PROTOCOLS, RULE_ACTIONS, family, prefix

if TYPE_CHECKING:
    from sniffkit.lab.engine import Engine

HEADER = struct.Struct("=BBBBBBBBI")  # struct fib_rule_hdr: family, lengths of `to` and `from`, …, action, flags
# What a rule says, by names of the header and numbers of attributes.
Parts = dict[int | str, Any]
INVERT = 2  # FIB_RULE_INVERT; the other flags say how the rule fares
PRIORITY, MARK, MASK, PROTOCOL = 6, 10, 16, 21  # FRA_…
# What the kernel shows of a rule that was given none: FRA_SUPPRESS_…, FRA_FWMASK, FRA_SPORT_MASK, FRA_DPORT_MASK
USUAL = {**dict.fromkeys((13, 14, MASK), b"\xff" * 4), **dict.fromkeys((28, 29), b"\xff" * 2)}


def encode(given: dict[str, Any]) -> bytes:
    """A rule of a lab file as the body of a request."""
    source, source_length = prefix(given.get("from", "default"))
    target, target_length = prefix(given.get("to", "default"))
    table = given.get("table", 0)
    action = RULE_ACTIONS[given["action"]] if "action" in given else 1
    family_ = family(given.get("from"), given.get("to"))
    body = HEADER.pack(family_, target_length, source_length, 0, table if table < 256 else 252, 0, 0, action, 0)
    body += wire.attribute(PRIORITY, struct.pack("=I", given["priority"]))
    if table:
        body += wire.attribute(15, struct.pack("=I", table))
    if source:
        body += wire.attribute(2, source)
    if target:
        body += wire.attribute(1, target)
    for number, key in ((3, "iif"), (17, "oif")):
        if key in given:
            body += wire.attribute(number, wire.text(given[key]))
    if "fwmark" in given:
        body += wire.attribute(MARK, struct.pack("=I", given["fwmark"]))
    if "ipproto" in given:
        body += wire.attribute(22, struct.pack("=B", PROTOCOLS[given["ipproto"]]))
    if "dport" in given:
        body += wire.attribute(24, struct.pack("=HH", given["dport"], given["dport"]))
    return body


def add(engine: Engine, op: Op) -> tuple[str, bytes]:
    """RTM_NEWRULE: behind those of its priority. Not NLM_F_EXCL, for which one that says more is the same."""
    engine.rules.clear()
    return op.node, wire.message(wire.NEWRULE, wire.CREATE, encode(op.args))


def remove(engine: Engine, op: Op) -> None:
    """Take a rule away, if it is there: it, and not what the kernel takes for it.

    RTM_DELRULE removes the first rule that has what it names, whatever else that one has. Where this is another one, it
    and all that follow it in the priority go, each of them the first then, and come again in their order without this.
    """
    asked = encode(op.args)
    wanted = parts(asked)
    place = (op.node, asked[0])
    if place not in engine.rules:
        engine.rules[place] = engine.socket(op.node).dump(wire.GETRULE, HEADER.pack(asked[0], *bytes(8)))
    known = engine.rules[place]
    near = wire.attribute(PRIORITY, wanted[PRIORITY]) if PRIORITY in wanted else b""
    found = [(body, parts(body)) for body in known if near in body]
    there = [body for body, one in found if one.get(PRIORITY) == wanted.get(PRIORITY)]
    said = [one for _, one in found if one.get(PRIORITY) == wanted.get(PRIORITY)]
    if wanted not in said:
        return

    def hit(one: Parts) -> int:
        return next(place for place, other in enumerate(said) if one.items() <= other.items())

    ours, start = said.index(wanted), hit(wanted)
    requests = [wire.message(wire.DELRULE, 0, asked)]
    if start < ours:
        while (lower := min(map(hit, said[start:]))) < start:
            start = lower
        requests = [wire.message(wire.DELRULE, 0, _request(body)) for body in there[start:]]
        again = [body for body in there[start:] if body is not there[ours]]
        requests += [wire.message(wire.NEWRULE, wire.CREATE, _request(body)) for body in again]
    engine.socket(op.node).send(requests)
    known.remove(there[ours])


def _request(body: bytes) -> bytes:
    """A rule that the kernel showed, as a request for it. The priority 0 is not shown."""
    *header, flags = HEADER.unpack_from(body)
    attributes = body[HEADER.size :]
    if PRIORITY not in wire.attributes(attributes):
        attributes += wire.attribute(PRIORITY, bytes(4))
    return HEADER.pack(*header, flags & INVERT) + attributes


def parts(body: bytes) -> Parts:
    """What a rule says, without what stands for any; not who made it."""
    _, target, source, tos, _, _, _, action, flags = HEADER.unpack_from(body)
    out: Parts = {"to": target, "from": source, "tos": tos, "action": action, "invert": flags & INVERT}
    found = wire.attributes(body[HEADER.size :])
    usual = USUAL if any(found.get(MARK, b"")) else {**USUAL, MASK: None}
    out |= {number: data for number, data in found.items() if number != PROTOCOL and data != usual.get(number)}
    return {key: value for key, value in out.items() if (any(value) if isinstance(value, bytes) else value)}
