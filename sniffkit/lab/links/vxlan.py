"""vxlan: Ethernet in UDP between hosts that only share IP (RFC 7348).

    h1 ──vx0 (id 42)──eth0 ══ UDP 4789 ══ eth0──vx0 (id 42)── h2

One remote, a multicast group on `link`, or remotes by a static `fdb`. Numbers: linux/if_link.h IFLA_VXLAN_*.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from sniffkit.lab.links.kind import Kind, Unsaid
from sniffkit.lab.model import Interface, LabSpec
from sniffkit.lab.ops import PORT, Op, link_id, tool
from sniffkit.lab.schema import BareIp, Flag, Int, Key, Keys, ListOf, Mac
from sniffkit.lab.wire import attribute, ip, ip_text

NO_MAC = "00:00:00:00:00:00"

FDB = Keys(
    {
        "dst": Key(BareIp, "the remote host", required=True),
        "mac": Key(Mac, "whose frames go there (all that are unknown)"),
    },
    shorthand="dst",
)


def data(given: Mapping[str, Any]) -> bytes:
    """The addresses, whose attribute depends on the IP version."""
    out = b""
    far = given.get("remote") or given.get("group")
    if far:
        out += attribute(16 if ":" in far else 2, ip(far))
    if "local" in given:
        out += attribute(17 if ":" in given["local"] else 4, ip(given["local"]))
    return out


def read(found: Mapping[int, bytes]) -> dict[str, Any]:
    """The addresses back."""
    out = {}
    for numbers in ((2, 16), (4, 17)):
        for number in numbers:
            if number in found and any(found[number]):
                text = ip_text(found[number])
                name = "local" if numbers == (4, 17) else "group" if ip_address(text).is_multicast else "remote"
                out[name] = text
    return out


def words(given: Mapping[str, Any]) -> str:
    """The same for `ip link`."""
    return " ".join(f"{name} {given[name]}" for name in ("remote", "group", "local") if name in given)


def over_ipv6(one: Interface) -> bool:
    """Whether its outer IP is version 6."""
    return any(":" in one.data.get(name, "") for name in ("remote", "group", "local"))


def headers(one: Interface) -> int:
    """The bytes before an inner packet: Ethernet, VXLAN, UDP and the outer IP."""
    return 70 if over_ipv6(one) else 50


def receives(one: Interface) -> object:
    """What is one interface's alone, as frames to it are told by that: vxlan_vni_in_use of drivers/net/vxlan."""
    far = [one.data[name] for name in ("remote", "group", "local") if name in one.data]
    near = any(":" in text and ip_address(text).is_link_local for text in far)  # one on each interface below
    where = one.parent or one.point
    return one.kind, where[0], one.data["id"], one.data["port"], over_ipv6(one), where if near else None


def check(one: Interface, spec: LabSpec) -> None:
    """A group needs a link to join it on, and no remote; a VNI is there once; a host's MAC address has one remote."""
    group, remote = one.data.get("group"), one.data.get("remote")
    one.data.setdefault("port", 4789)
    if group and remote:
        raise spec.source.error((*one.path, "group"), f"{one}: group and remote contradict each other")
    if group and not ip_address(group).is_multicast:
        raise spec.source.error(
            (*one.path, "group"), f"{one}: group: {group} is no multicast address; did you mean remote?"
        )
    if group and one.parent is None:
        raise spec.source.error((*one.path, "group"), f"{one}: group needs link: the interface to join it on")
    if remote and ip_address(remote).is_multicast:
        raise spec.source.error((*one.path, "remote"), f"{one}: remote: {remote} is multicast; did you mean group?")
    far = remote or group
    if far and "local" in one.data and (":" in far) != (":" in one.data["local"]):
        text = f"{one}: local {one.data['local']} and {far} are of two IP versions"
        spec.source.refuse((*one.path, "local"), text)
    for entry in one.data.get("fdb", []):
        if (":" in entry["dst"]) != over_ipv6(one):
            text = f"{one}: fdb: {entry['dst']}: this one is over IPv{6 if over_ipv6(one) else 4}"
            hint = "" if far or "local" in one.data else ", unless its local is of IPv6"
            spec.source.refuse((*one.path, "fdb"), text + hint)
    other = spec.first(receives(one), one)
    if other is not one:
        text = f"{one}: id {one.data['id']} is {other}'s already, on port {one.data['port']}"
        spec.source.refuse((*one.path, "id"), text)
    behind: dict[str, str] = {}
    for mac, far in ((entry.get("mac", NO_MAC), entry["dst"]) for entry in one.data.get("fdb", [])):
        if mac != NO_MAC and not int(mac[:2], 16) & 1 and behind.setdefault(mac, far) != far:
            text = f"{one}: fdb: {mac} is behind {behind[mac]} already; only a group's address has several remotes"
            raise spec.source.error((*one.path, "fdb"), text)


def extra(one: Interface, spec: LabSpec) -> list[Op]:
    """The static forwarding entries."""
    out = []
    for entry in one.data.get("fdb", []):
        mac = entry.get("mac", NO_MAC)
        line = f"{tool('bridge', one.node)} fdb append {mac} dev {one.name} dst {entry['dst']}"
        args = {"dev": one.name, "mac": mac, "dst": entry["dst"]}
        out.append(
            Op(PORT + 10, "fdb", one.node, f"{one.name} {mac} {entry['dst']}", args, (link_id(*one.point),), line)
        )
    return out


UNSAID = {
    6: Unsaid("tos"),
    8: Unsaid("ageing", "=I", (300,)),
    9: Unsaid("maxaddress", "=I"),
    10: Unsaid("srcport", "!HH"),
    11: Unsaid("proxy"),
    12: Unsaid("rsc"),
    13: Unsaid("l2miss"),
    14: Unsaid("l3miss"),
    18: Unsaid("udpcsum", usual=(1,)),
    19: Unsaid("udp6zerocsumtx"),
    20: Unsaid("udp6zerocsumrx"),
    21: Unsaid("remcsumtx"),
    22: Unsaid("remcsumrx"),
    23: Unsaid("gbp", ""),
    25: Unsaid("external"),
    26: Unsaid("flowlabel", "!I"),
    27: Unsaid("gpe", ""),
    28: Unsaid("ttl inherit"),
    29: Unsaid("df"),
    30: Unsaid("vnifilter"),
    31: Unsaid("localbypass", usual=(1,)),
}


KIND = Kind(
    "vxlan",
    "CONFIG_VXLAN",
    "vxlan",
    "Ethernet in UDP between hosts",
    {
        "id": Key(Int(0, (1 << 24) - 1), "VNI, 24 bits", required=True, attribute=(1, "u32")),
        "remote": Key(BareIp, "the one other host"),
        "group": Key(BareIp, "multicast group of all hosts"),
        "local": Key(BareIp, "source address"),
        "port": Key(Int(1, 65535), "UDP port (4789)", attribute=(15, "be16"), default=4789, word="dstport"),
        "ttl": Key(Int(0, 255), "TTL of the outer header", attribute=(5, "u8"), default=0),
        "learning": Key(
            Flag(),
            "learn remotes from frames (true)",
            attribute=(7, "u8"),
            default=True,
            word=("learning", "nolearning"),
        ),
        "fdb": Key(ListOf(FDB), "static remotes"),
    },
    parent="may",
    check=check,
    adds=headers,
    data=data,
    read=read,
    words=words,
    extra=extra,
    apart=("fdb",),
    unsaid=UNSAID,
)
