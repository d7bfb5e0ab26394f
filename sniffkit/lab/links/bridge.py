"""bridge: a switch in one namespace; spanning tree (802.1D), VLANs per port (802.1Q), multicast snooping (RFC 4541).

    h1══p1─┐
    h2══p2─┤ br0        ports: [p1, p2, p3]
    h3══p3─┘            ports: {p1: {pvid: 10}, p2: {tagged: [10, 20]}}

Numbers: linux/if_link.h IFLA_BR_*, IFLA_BRPORT_*; linux/if_bridge.h.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from sniffkit.lab.links.kind import Kind, Unsaid, mtu_again, words_of
from sniffkit.lab.model import Interface, LabSpec
from sniffkit.lab.ops import PORT, Op, link_id, tool
from sniffkit.lab.schema import Flag, Int, Key, Keys, ListOf, MapOf, Name, Type, nearest
from sniffkit.lab.wire import attribute, encode
from sniffkit.lab.yamlfile import Path, Source

VID = Int(1, 4094)
PVID, UNTAGGED = 2, 4  # BRIDGE_VLAN_INFO_*
VLANS = {
    "pvid": Key(VID, "VLAN of untagged frames that come in; its frames go out untagged"),
    "untagged": Key(ListOf(VID), "VLANs that go out untagged"),
    "tagged": Key(ListOf(VID), "VLANs that go in and out tagged"),
}


def _switch(doc: str, number: int, word: str, default: bool = False) -> Key:
    """A flag of a port, which ip-link(8) takes as on or off."""
    return Key(Flag(), doc, attribute=(number, "u8"), default=default, word=(f"{word} on", f"{word} off"))


PORT_KEYS = {
    **VLANS,
    "cost": Key(Int(1, 65535), "path cost of the spanning tree", attribute=(3, "u32"), default=2),
    "priority": Key(Int(0, 63), "port priority of the spanning tree", attribute=(2, "u16"), default=32),
    "hairpin": _switch("send frames back out of the port they came in", 4, "hairpin"),
    "guard": _switch("drop BPDUs", 5, "guard"),
    "fast_leave": _switch("stop multicast at once on a leave", 7, "fastleave"),
    "learning": _switch("learn addresses (true)", 8, "learning", True),
    "flood": _switch("send frames for unknown addresses (true)", 9, "flood", True),
    "isolated": _switch("no frames to other isolated ports", 33, "isolated"),
}
TIMES = {"forward_delay": 1, "hello_time": 2, "max_age": 3, "ageing_time": 4}
NO_PORTS = ("bridge", "tun", "nlmon")
LEAST_DELAY = 2  # BR_MIN_FORWARD_DELAY of linux/br_private.h, where the spanning tree runs
DEFAULT_TIMES = {"forward_delay": 15, "hello_time": 2, "max_age": 20, "ageing_time": 300}


class Ports(Type):
    """A list of port names, or a mapping from names to their settings."""

    words = "a list of ports, or a mapping from ports to settings"
    _mapping = MapOf(Name, Keys(PORT_KEYS))

    def parse(self, value: Any, path: Path, source: Source) -> dict[str, Any]:
        if isinstance(value, dict) or value is None:
            return self._mapping.parse(value, path, source)
        names = ListOf(Name).parse(value, path, source)
        for number, name in enumerate(names):
            if name in names[:number]:
                raise source.error((*path, number), f"port {name} is there twice")
        return {name: {} for name in names}

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [ListOf(Name).schema(), self._mapping.schema()]}


def data(given: Mapping[str, Any]) -> bytes:
    """Times, which the kernel takes in hundredths of a second."""
    return b"".join(
        attribute(number, struct.pack("=I", given[name] * 100)) for name, number in TIMES.items() if name in given
    )


def read(found: Mapping[int, bytes]) -> dict[str, Any]:
    """The times back, in seconds."""
    times = {name: struct.unpack("=I", found[number])[0] // 100 for name, number in TIMES.items() if number in found}
    return {name: seconds for name, seconds in times.items() if seconds != DEFAULT_TIMES[name]}


ROOT_PORT, TOPOLOGY_CHANGE = 12, 14  # IFLA_BR_…


def moving(found: Mapping[int, bytes]) -> frozenset[str]:
    """Times that the spanning tree sets: the root bridge's are in force on all others, and addresses age sooner while
    the topology changes (IEEE Std 802.1D-2004, 17.13)."""
    out: frozenset[str] = frozenset()
    if any(found.get(ROOT_PORT, b"")):
        out |= {"forward_delay", "hello_time", "max_age"}
    if any(found.get(TOPOLOGY_CHANGE, b"")):
        out |= {"ageing_time"}
    return out


def words(given: Mapping[str, Any]) -> str:
    """The same for `ip link`."""
    return " ".join(f"{name} {given[name] * 100}" for name in TIMES if name in given)


def check(one: Interface, spec: LabSpec) -> None:
    """Ports are interfaces of the same node, each on one bridge; VLANs of ports need vlan_filtering, stp a delay."""
    vlans = False
    for name, port in one.data.get("ports", {}).items():
        path = (*one.path, "ports", name)
        found = spec.interfaces.get((one.node, name))
        if found is None:
            there = [other.name for other in spec.of(one.node) if other is not one]
            raise spec.source.error(path, f"{one}: no interface {one.node}/{name}{nearest(name, there)}")
        if found is one:
            raise spec.source.error(path, f"{one} cannot be its own port")
        if found.kind in NO_PORTS:  # br_add_if of net/bridge/br_if.c
            spec.source.refuse(path, f"{one}: {found} is a {found.kind}, which is no port of a bridge")
        if found.bridge is not None:
            raise spec.source.error(path, f"{found} is a port of {found.bridge} already")
        found.bridge, found.port = one.name, port
        vlans = vlans or bool(set(VLANS) & set(port))
    if one.data.get("stp") and one.data.get("forward_delay", 15) < LEAST_DELAY:
        path = (*one.path, "forward_delay")
        raise spec.source.error(path, f"{one}: with stp forward_delay is {LEAST_DELAY} or more")
    if (vlans or set(VLANS) & set(one.data)) and not one.data.get("vlan_filtering"):
        raise spec.source.error(one.path, f"{one}: VLANs of ports need vlan_filtering: true")
    if vlans:
        # Nothing belongs to VLAN 1 unless the file says so.
        one.data.setdefault("default_pvid", 0)


def extra(one: Interface, spec: LabSpec) -> list[Op]:
    """Ports, their settings and VLANs; the MTU once more, as until then that of the smallest port is in force."""
    out: list[Op] = []
    bridge, ip = link_id(*one.point), tool("ip", one.node)
    joined: list[str] = []
    for name, port in one.data.get("ports", {}).items():
        needs = (link_id(one.node, name), bridge)
        master = Op(
            PORT,
            "port",
            one.node,
            name,
            {"dev": name, "master": one.name},
            needs,
            f"{ip} link set dev {name} master {one.name}",
        )
        out.append(master)
        joined += [*needs[:-1], master.id]
        settings = {key: value for key, value in port.items() if PORT_KEYS[key].attribute}
        if settings:
            line = f"{ip} link set dev {name} type bridge_slave {' '.join(words_of(PORT_KEYS, settings))}"
            args = {"dev": name, "settings": settings}
            out.append(Op(PORT + 10, "port_settings", one.node, name, args, (*needs, master.id), line))
        out += vlan_entries(one, name, port, (*needs, master.id))
    if one.mtu is not None and joined:
        out.append(mtu_again(one, (*joined, bridge)))
    return out + vlan_entries(one, one.name, one.data, (bridge,))


def vlan_entries(one: Interface, dev: str, given: Mapping[str, Any], needs: tuple[str, ...]) -> list[Op]:
    """One operation a VLAN of a port, or of the bridge `one` itself; who names VLANs is not in that of all others."""
    flags: dict[int, int] = dict.fromkeys(given.get("tagged", []), 0)
    flags |= dict.fromkeys(given.get("untagged", []), UNTAGGED)
    if "pvid" in given:
        flags[given["pvid"]] = PVID | (0 if given["pvid"] in given.get("tagged", []) else UNTAGGED)
    usual, own = one.data.get("default_pvid", 1), dev == one.name
    at, command = "self" if own else "master", f"{tool('bridge', one.node)} vlan"
    out = []
    if flags and usual and usual not in flags:
        args = {"dev": dev, "vid": usual, "flags": PVID | UNTAGGED, "self": own}
        line = f"{command} del vid {usual} dev {dev} {at}"
        out.append(Op(PORT + 15, "no_vlan", one.node, dev, args, needs, line))
    for vid, flag in flags.items():
        said = f"{' pvid' if flag & PVID else ''}{' untagged' if flag & UNTAGGED else ''} {at}"
        args = {"dev": dev, "vid": vid, "flags": flag, "self": own}
        args |= {"usual": True} if vid == usual else {}  # without it the port is in it all the same
        line = f"{command} add vid {vid} dev {dev}{said}"
        out.append(Op(PORT + 20, "bridge_vlan", one.node, f"{dev} {vid}", args, needs, line))
    return out


def port_attributes(settings: Mapping[str, Any]) -> bytes:
    """IFLA_INFO_SLAVE_DATA of a port."""
    out = b""
    for name, value in settings.items():
        found = PORT_KEYS[name].attribute
        if found is not None:
            out += attribute(found[0], encode(found[1], value))
    return out


UNSAID = {
    8: Unsaid("vlan_protocol", "!H", (0x8100,)),
    9: Unsaid("group_fwd_mask", "=H"),
    22: Unsaid("mcast_router", usual=(1,)),
    24: Unsaid("mcast_query_use_ifaddr"),
    27: Unsaid("mcast_hash_max", "=I", (4096,)),
    28: Unsaid("mcast_last_member_count", "=I", (2,)),
    29: Unsaid("mcast_startup_query_count", "=I", (2,)),
    30: Unsaid("mcast_last_member_interval", "=Q", (100,)),
    31: Unsaid("mcast_membership_interval", "=Q", (26000,)),
    32: Unsaid("mcast_querier_interval", "=Q", (25500,)),
    33: Unsaid("mcast_query_interval", "=Q", (12500,)),
    34: Unsaid("mcast_query_response_interval", "=Q", (1000,)),
    35: Unsaid("mcast_startup_query_interval", "=Q", (3124, 3125)),  # a quarter of the one above, in the kernel's ticks
    36: Unsaid("nf_call_iptables"),
    37: Unsaid("nf_call_ip6tables"),
    38: Unsaid("nf_call_arptables"),
    43: Unsaid("mcast_igmp_version", usual=(2,)),
    44: Unsaid("mcast_mld_version", usual=(1,)),
    46: Unsaid("no_linklocal_learn 1, mcast_vlan_snooping 2 or mst_enabled 4:", "=I4x"),
    49: Unsaid("fdb_max_learned", "=I"),
}
PORT_UNSAID = {
    6: Unsaid("root_block"),
    10: Unsaid("proxy_arp"),
    12: Unsaid("proxy_arp_wifi"),
    25: Unsaid("mcast_router", usual=(1,)),
    27: Unsaid("mcast_flood", usual=(1,)),
    28: Unsaid("mcast_to_unicast"),
    29: Unsaid("vlan_tunnel"),
    30: Unsaid("bcast_flood", usual=(1,)),
    31: Unsaid("group_fwd_mask", "=H"),
    32: Unsaid("neigh_suppress"),
    34: Unsaid("backup_port", ""),
    37: Unsaid("mcast_eht_hosts_limit", "=I", (512,)),
    39: Unsaid("locked"),
    40: Unsaid("mab"),
    42: Unsaid("mcast_max_groups", "=I"),
    43: Unsaid("neigh_vlan_suppress"),
}


KIND = Kind(
    "bridge",
    "CONFIG_BRIDGE",
    "bridge",
    "a switch",
    {
        "ports": Key(Ports(), "its ports, interfaces of the same node"),
        "stp": Key(Flag(), "spanning tree (false)", attribute=(5, "u32"), default=False, word="stp_state"),
        "priority": Key(
            Int(0, 65535), "bridge priority of the spanning tree (32768)", attribute=(6, "u16"), default=32768
        ),
        "hello_time": Key(Int(1, 10), "seconds between BPDUs (2)"),
        "forward_delay": Key(Int(0, 30), "seconds of listening, and of learning (15); with stp 2 or more"),
        "max_age": Key(Int(6, 40), "seconds until a silent root is given up (20)"),
        "ageing_time": Key(Int(0, 1_000_000), "seconds until a silent address is forgotten (300)"),
        "vlan_filtering": Key(Flag(), "VLANs per port (false)", attribute=(7, "u8"), default=False),
        "default_pvid": Key(
            Int(0, 4094),
            "pvid of the ports that name no VLANs (1; 0 once a port names some)",
            attribute=(39, "u16"),
            default=1,
            word="vlan_default_pvid",
        ),
        "snooping": Key(
            Flag(),
            "multicast only to where it is wanted (true)",
            attribute=(23, "u8"),
            default=True,
            word="mcast_snooping",
        ),
        "querier": Key(
            Flag(), "ask who wants multicast (false)", attribute=(25, "u8"), default=False, word="mcast_querier"
        ),
        **VLANS,
    },
    check=check,
    data=data,
    read=read,
    moving=moving,
    words=words,
    extra=extra,
    apart=("ports", *VLANS),
    unsaid=UNSAID,
)
