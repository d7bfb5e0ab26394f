"""NAT and firewalls of a node as one nftables ruleset (nft(8)), in tables of the lab's own."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from sniffkit.lab.model import LabSpec, NodeSpec
from sniffkit.lab.ops import FILTER, Op, netns_id
from sniffkit.lab.schema import BareIp, Choice, Int, Key, Keys, ListOf, Name, Subnet, Text, nearest
from sniffkit.lab.yamlfile import Path

NAT = Keys(
    {
        "masquerade": Key(
            Name, "what leaves by this interface gets its address: IPv4, or IPv6 where the file gives it that alone"
        ),
        "snat": Key(Subnet, "what comes from this network and leaves by `out` gets the address `to`"),
        "dnat": Key(BareIp, "what goes to this address (and `port`) is sent to `to`"),
        "out": Key(Name, "snat: the interface it leaves by"),
        "protocol": Key(Choice("tcp", "udp"), "dnat: protocol of the port (tcp)"),
        "port": Key(Int(1, 65535), "dnat: port"),
        "to": Key(Text("an address, dnat also ADDRESS:PORT", r"[0-9a-fA-F.:\[\]]+"), "the new address"),
        "hairpin": Key(Subnet, "dnat: clients in this network, the server's own, are masqueraded too"),
    }
)
# what an entry does → the keys it needs, and those it may have
NEEDS: dict[str, tuple[str, ...]] = {"masquerade": (), "snat": ("out", "to"), "dnat": ("to",)}
MAY: dict[str, tuple[str, ...]] = {"masquerade": (), "snat": (), "dnat": ("protocol", "port", "hairpin")}
CHAIN = Keys(
    {
        "policy": Key(Choice("accept", "drop"), "what becomes of the rest (accept)"),
        "rules": Key(ListOf(Text("a rule as nft takes it")), "rules as nft takes them: `ct state established accept`"),
    },
    shorthand="rules",
)
FIREWALL = Keys({name: Key(CHAIN, f"chain {name}") for name in ("input", "forward", "output")})
TABLE = re.compile(
    r"(?:^|[;}])\s*(?:(?:add|create)\s+)?table\s+(?:(ip|ip6|inet|arp|bridge|netdev)\s+)?([\w./-]+)", re.MULTILINE
)
QUOTED = re.compile(r'"[^"]*"|#.*')
FLUSH = re.compile(r"\bflush\s+ruleset(?:[ \t]+(ip6?|inet|arp|bridge|netdev))?\b")
# What nft shows of the elements of a set that packets fill, or that expire.
FILLED = re.compile(
    r"^(\t\tflags [^\n]*\b(?:dynamic|timeout)\b[^\n]*(?:\n\t\t(?!elements)[^\n]*)*)\n\t\telements = \{.*?\}$",
    re.M | re.S,
)
OURS = re.compile(r"\blab_(?:nat|filter)\b")


def check(spec: LabSpec, node: NodeSpec, names: list[str]) -> None:
    """Each entry of nat does one thing and has what that needs; `nft` leaves that and the firewall there.

    names: the interfaces of the node.
    """
    for number, entry in enumerate(node.settings.get("nat", [])):
        path = (*node.path, "nat", number)
        does = [key for key in NEEDS if key in entry]
        if len(does) != 1:
            raise spec.source.error(path, f"{node.name}: nat: one of masquerade, snat or dnat, this has {len(does)}")
        for key in NEEDS[does[0]]:
            if key not in entry:
                raise spec.source.error(path, f"{node.name}: nat: {does[0]} needs {key}")
        for key in entry:
            if key not in (does[0], *NEEDS[does[0]], *MAY[does[0]]):
                spec.source.refuse((*path, key), f"{node.name}: nat: {key} says nothing of {does[0]}")
        for key in {"masquerade", "out"} & set(entry):
            if entry[key] not in names:
                text = f"{node.name}: nat: no interface {node.name}/{entry[key]}{nearest(entry[key], names)}"
                raise spec.source.error((*path, key), text)
        _check_addresses(spec, node, entry, path)
    made = _tables(ruleset(spec, node))
    for family in FLUSH.findall(QUOTED.sub("", node.settings.get("nft", ""))):
        gone = [table for table in made if family in ("", table.split()[0])]
        if gone:
            text = f"{node.name}: nft: flush ruleset takes away what nat and firewall made: {', '.join(gone)}"
            spec.source.refuse((*node.path, "nft"), text)


def _check_addresses(spec: LabSpec, node: NodeSpec, entry: dict[str, Any], path: Path) -> None:
    """All of one version, and no more ports than nft takes: it would look up as a name what is no address."""
    if "masquerade" in entry:
        return
    given = entry.get("snat") or entry["dnat"]
    number = 6 if ":" in given else 4
    found = re.fullmatch(r"\[(.*)\](?::([0-9]+))?" if number == 6 else r"(.*?)(?::([0-9]+))?", entry["to"])
    address, port = (found[1], found[2]) if found else (entry["to"], None)
    try:
        right = ipaddress.ip_address(address).version == number
    except ValueError:
        right = False
    if not right or int((port or "0")[:6]) > 65535:
        what = f"IPv{number} address{', nor one with its port' if 'dnat' in entry else ''}, as {given} is"
        spec.source.refuse((*path, "to"), f"{node.name}: nat: to: {entry['to']!r} is no {what}")
    if port and "port" not in entry:
        needed = "needs port" if "dnat" in entry else "is of addresses alone"
        spec.source.refuse((*path, "to"), f"{node.name}: nat: to: {entry['to']!r} {needed}")
    if "protocol" in entry and "port" not in entry:
        spec.source.refuse((*path, "protocol"), f"{node.name}: nat: protocol needs port: all is sent to {entry['to']}")
    if "hairpin" in entry and (":" in entry["hairpin"]) != (number == 6):
        text = f"{node.name}: nat: hairpin: {entry['hairpin']} is no network of IPv{number}, as {given} is"
        spec.source.refuse((*path, "hairpin"), text)


def ruleset(spec: LabSpec, node: NodeSpec) -> str:
    """The tables lab_nat and lab_filter."""
    out: list[str] = []
    settings = node.settings
    for family in ("ip", "ip6"):
        entries = [one for one in settings.get("nat", []) if family in _families(spec, node, one)]
        if entries:
            out += [f"table {family} lab_nat {{"]
            out += _chain("prerouting", "nat", "dstnat", [rule for one in entries for rule in _before(one, family)])
            out += _chain("postrouting", "nat", "srcnat", [rule for one in entries for rule in _after(one, family)])
            out += ["}"]
    if settings.get("firewall"):
        out += ["table inet lab_filter {"]
        for name, chain in settings["firewall"].items():
            out += _chain(name, "filter", "filter", chain.get("rules", []), chain.get("policy", "accept"))
        out += ["}"]
    return "\n".join(out) + "\n" if out else ""


def _families(spec: LabSpec, node: NodeSpec, entry: dict[str, Any]) -> tuple[str, ...]:
    """The families of tables that an entry is in; IPv4 addresses may also come by DHCP, link-local ones go nowhere."""
    if "masquerade" not in entry:
        return ("ip6",) if ":" in (entry.get("snat") or entry["dnat"]) else ("ip",)
    out = spec.interfaces.get((node.name, entry["masquerade"]))
    found = [ipaddress.ip_interface(text) for text in out.addresses] if out is not None else []
    # Beside IPv4 addresses, those of IPv6 are usually routed as they are.
    return ("ip", "ip6") if {one.version for one in found if not one.is_link_local} == {6} else ("ip",)


def _chain(hook: str, kind: str, priority: str, rules: list[str], policy: str = "accept") -> list[str]:
    head = [f"  chain {hook} {{", f"    type {kind} hook {hook} priority {priority}; policy {policy};"]
    return [*head, *(f"    {rule}" for rule in rules), "  }"]


def _before(entry: dict[str, Any], family: str) -> list[str]:
    if "dnat" not in entry:
        return []
    port = f" {entry.get('protocol', 'tcp')} dport {entry['port']}" if "port" in entry else ""
    return [f"{family} daddr {entry['dnat']}{port} dnat to {entry['to']}"]


def _after(entry: dict[str, Any], family: str) -> list[str]:
    if "masquerade" in entry:
        return [f'oifname "{entry["masquerade"]}" masquerade']
    if "snat" in entry:
        return [f'{family} saddr {entry["snat"]} oifname "{entry["out"]}" snat to {entry["to"]}']
    if "hairpin" in entry:
        # Without it the server answers its neighbour directly, with an address that the client never called.
        return [f"{family} saddr {entry['hairpin']} {family} daddr {entry['hairpin']} ct status dnat masquerade"]
    return []


def _tables(text: str) -> list[str]:
    """The tables that a ruleset names, with their families."""
    return [f"{family or 'ip'} {name}" for family, name in TABLE.findall(QUOTED.sub("", text))]


def added_to(op: Op) -> str | None:
    """The id of the lab's tables, where a node's own ruleset may add to them: its undoing leaves that."""
    adds = op.key == "nft" and OURS.search(QUOTED.sub("", op.args.get("stdin", "")))
    return f"command:{op.node}/rules" if adds else None


def operations(spec: LabSpec, node: NodeSpec) -> list[Op]:
    """One `nft -f -` for the lab's tables, one for the node's own ruleset.

    That one is made anew with them: it may add to them, and which of two chains of one priority a packet meets first
    hangs on which was there first.
    """
    out: list[Op] = []
    for key, text in (("rules", ruleset(spec, node)), ("nft", node.settings.get("nft", ""))):
        if not text:
            continue
        tables = _tables(text)
        undo = "".join(f"add table {table}\ndelete table {table}\n" for table in tables)
        args: dict[str, Any] = {"argv": ["nft", "-f", "-"], "stdin": text, "what": f"{node.name}: {key}"}
        args |= {"undo": ["nft", "-f", "-"], "undo_stdin": undo}
        # One at a time: nft does not find the tables of several `list` in one run.
        args["shows"] = [["sh", "-c", "for table; do nft -s list table $table; done", "sh", *tables], ""]
        line = f"ip netns exec {node.name} nft -f - <<'END'\n{text.rstrip()}\nEND"
        needs = (netns_id(node.name), *(op.id for op in out))
        out.append(Op(FILTER, "command", node.name, key, args, needs, line))
    return out
