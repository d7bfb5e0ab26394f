"""Routes and rules in the words of ip-route(8) and ip-rule(8), as a text or as a mapping."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from sniffkit.lab.schema import BareIp, Choice, Int, Key, Keys, ListOf, Name, Network, Text, Type, nearest
from sniffkit.lab.yamlfile import Path, Source

TABLES = {"local": 255, "main": 254, "default": 253}
ROUTE_TYPES = {"unicast": 1, "local": 2, "broadcast": 3, "blackhole": 6, "unreachable": 7, "prohibit": 8}
UNIVERSE, LINK, HOST = 0, 253, 254  # RT_SCOPE_…
SCOPES = {"local": HOST, "broadcast": LINK}  # types whose destinations are near by nature
RULE_ACTIONS = {"blackhole": 6, "unreachable": 7, "prohibit": 8}


class Table(Type):
    """A routing table: a number, or main, local, default."""

    words = "a table: a number, main, local or default"

    def parse(self, value: Any, path: Path, source: Source) -> int:
        if isinstance(value, str) and value in TABLES:
            return TABLES[value]
        if isinstance(value, str) and value.isdecimal() and len(value) < 11:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**32:
            raise self.wrong(value, path, source)
        return value

    def schema(self) -> dict[str, Any]:
        number = {"type": "string", "pattern": "^[0-9]{1,10}$"}
        return {"anyOf": [{"enum": list(TABLES)}, {"type": "integer", "minimum": 1}, number]}


class Number(Int):
    """As Int, also from the words of a text."""

    def parse(self, value: Any, path: Path, source: Source) -> int:
        if isinstance(value, str) and len(value) < 13:
            try:
                value = int(value, 0)
            except ValueError:
                raise self.wrong(value, path, source) from None
        return super().parse(value, path, source)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [super().schema(), {"type": "string", "pattern": "^[0-9A-Fa-f_ox]{1,12}$"}]}


HOP = Keys(
    {
        "via": Key(BareIp, "next hop", required=True),
        "dev": Key(Name, "interface"),
        "weight": Key(Number(1, 256), "share of the flows (1)"),
    },
    shorthand="via",
)
ROUTE = {
    "to": Key(Network, "network, or default", required=True),
    "via": Key(BareIp, "next hop"),
    "dev": Key(Name, "interface"),
    "table": Key(Table(), "routing table (main; local for the types local and broadcast)"),
    "metric": Key(Number(0, 2**32 - 1), "the lowest wins"),
    "src": Key(BareIp, "source address of what starts here"),
    "type": Key(Choice(*ROUTE_TYPES), "unicast, or what becomes of the packet"),
    "nexthops": Key(ListOf(HOP), "several next hops, flows shared between them"),
}
RULE = {
    "from": Key(Network, "source network"),
    "to": Key(Network, "destination network"),
    "iif": Key(Name, "incoming interface"),
    "oif": Key(Name, "outgoing interface"),
    "fwmark": Key(Number(0, 2**32 - 1), "mark set by nftables"),
    "ipproto": Key(Choice("icmp", "tcp", "udp", "icmpv6", "ipv6-icmp"), "protocol"),
    "dport": Key(Number(1, 65535), "destination port"),
    "table": Key(Table(), "the table to look in"),
    "priority": Key(Number(0, 2**32 - 1), "the lowest is asked first", required=True),
    "action": Key(Choice(*RULE_ACTIONS), "instead of a table"),
}
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}


def _route(given: dict[str, Any]) -> dict[str, Any]:
    """As the kernel has it: a single next hop is a plain one, and a metric of 0 none."""
    out = {key: value for key, value in given.items() if (key, value) != ("metric", 0)}
    hops = out.get("nexthops", [])
    if len(hops) == 1 and "via" not in out and out.get("dev") in (None, hops[0].get("dev")):
        del out["nexthops"]
        out |= {key: value for key, value in hops[0].items() if key != "weight"}
    return out


def _rule(given: dict[str, Any]) -> dict[str, Any]:
    """As the kernel has it: a mark of 0, without a mask, is any. Protocol 58 has two names."""
    out = {key: value for key, value in given.items() if (key, value) != ("fwmark", 0)}
    return out | ({"ipproto": "icmpv6"} if out.get("ipproto") == "ipv6-icmp" else {})


class Words(Keys):
    """A mapping, or the same as a text of pairs: `default via 10.0.0.1 table 100`. `first` needs no word of its own."""

    def __init__(
        self,
        keys: dict[str, Key],
        what: str,
        first: str | None,
        bare: str,
        kinds: dict[str, int],
        plain: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        super().__init__(keys, what=what)
        self.first, self.bare, self.kinds, self.plain = first, bare, kinds, plain
        self.words = f"a {what} such as {bare!r}"

    def parse(self, value: Any, path: Path, source: Source) -> dict[str, Any]:
        if isinstance(value, str):
            value = self.pairs(value.split(), path, source)
        elif not isinstance(value, dict):
            raise self.wrong(value, path, source)
        return self.plain(super().parse(value, path, source))

    def pairs(self, words: list[str], path: Path, source: Source) -> dict[str, str]:
        """The words of a text as a mapping."""
        out: dict[str, str] = {}
        kind_key = "type" if "type" in self.keys else "action"
        if words and words[0] in self.kinds:
            out[kind_key] = words.pop(0)
        if self.first is not None and words and words[0] not in self.keys:
            out[self.first] = words.pop(0)
        while words:
            word = words.pop(0)
            if self.first is None and word in self.kinds:
                out[kind_key] = word
                continue
            if word not in self.keys:
                raise source.error(path, f"{self.what}: no word {word!r}{nearest(word, self.keys)}")
            if not words:
                raise source.error(path, f"{self.what}: {word} has no value")
            out[word] = words.pop(0)
        return out

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "description": self.words}, super().schema()]}


Route = Words(ROUTE, "route", "to", "10.1.0.0/24 via 10.0.0.1", ROUTE_TYPES, _route)
Rule = Words(RULE, "rule", None, "from 10.0.0.0/24 table 100 priority 1000", RULE_ACTIONS, _rule)
SYSCTL_NAME = Text("a sysctl below net such as net.ipv4.ip_forward", r"net[./](?!.*\.\.)[a-zA-Z0-9_./@+-]+")
SYSCTL_VALUE = Text("a value, in ASCII", r"[\t -~]*")


def family(*texts: str | None) -> int:
    """AF_INET or AF_INET6, by the first address there is."""
    for text in texts:
        if text and text != "default":
            return 10 if ":" in text else 2
    return 2


def table_of(given: dict[str, Any]) -> int:
    """The table of a route: where ip-route(8) puts one of its type that names none."""
    usual = "local" if given.get("type") in SCOPES else "main"
    return int(given.get("table", TABLES[usual]))


def scope_of(given: dict[str, Any]) -> int:
    """The scope of a route, as ip-route(8) chooses it: how far away its destinations are."""
    far = "via" in given or bool(given.get("nexthops")) or given.get("type", "unicast") != "unicast"
    return SCOPES.get(given.get("type", ""), UNIVERSE if far else LINK)


def slot_of(given: dict[str, Any]) -> tuple[object, ...]:
    """What a namespace has one route of: version, network, table and metric; IPv6's is 1024 where none is given."""
    version = family(given["to"], given.get("via"), *(hop["via"] for hop in given.get("nexthops", [])))
    address, length = prefix(given["to"])
    metric = given.get("metric", 0) or (1024 if version == 10 else 0)
    return version, address if length else b"", length, table_of(given), metric


def text_of(given: dict[str, Any], order: dict[str, Key], first: str | None) -> str:
    """The words that ip(8) takes."""
    names: dict[str, dict[Any, str]] = {
        "table": {number: name for name, number in TABLES.items()},
        "ipproto": {"icmpv6": "ipv6-icmp"},
    }
    out = [given[key] for key in ("type",) if key in given]
    for key in order:
        if key not in given or key in ("type", "nexthops", "action"):
            continue
        value = names.get(key, {}).get(given[key], given[key])
        out.append(str(value) if key == first else f"{key} {value}")
    for hop in given.get("nexthops", []):
        dev = f" dev {hop['dev']}" if "dev" in hop else ""
        out.append(f"nexthop via {hop['via']}{dev} weight {hop.get('weight', 1)}")
    if "action" in given:
        out.append(given["action"])
    return " ".join(out)


def prefix(network: str) -> tuple[bytes, int]:
    """The bytes and the length of a network; `default` has neither."""
    if network == "default":
        return b"", 0
    found = ipaddress.ip_network(network)
    return found.network_address.packed, found.prefixlen
