"""`lab from-host`: the lab file of what runs on this machine. Read through netlink; nothing is changed."""

from __future__ import annotations

import ipaddress
from typing import Any

from sniffkit.lab.model import HOST
from sniffkit.netlink import Interface, all_interfaces, namespace_path, run_in

# Kinds that a lab file can say; an interface of any other kind is in the file as a comment.
SIMPLE = {"dummy", "ifb", "nlmon"}
MACVLAN_MODES = {1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"}
IPVLAN_MODES = {0: "l2", 1: "l3", 2: "l3s"}


def describe(only: list[str]) -> str:
    """The YAML text. only: these namespaces; none: all that have names, and this machine's own as `host`."""
    import json

    for name in only:
        namespace_path(name)
    everything = all_interfaces("all")
    wanted = [one for one in everything if one.kind != "loopback" and (not only or one.netns in only)]
    nodes: dict[str, dict[str, Any]] = {}
    for one in everything:
        if one.netns is not None and (not only or one.netns in only):
            nodes.setdefault(one.netns, {})
    links: list[str] = []
    done: set[tuple[str, str]] = set()
    details = {node: _details(None if node == HOST else node) for node in [*nodes, HOST]}
    there = {(one.netns or HOST, one.name) for one in wanted}
    for one in wanted:
        point = (one.netns or HOST, one.name)
        if point in done:
            continue
        done.add(point)
        item, why = _item(one, details[point[0]].get(one.name, {}), everything)
        if one.kind == "veth" and one.peer is not None:
            peer = _find(everything, one.peer)
            far = (peer.netns or HOST, peer.name)
            if far in there:
                done.add(far)
                other, _ = _item(peer, details[far[0]].get(peer.name, {}), everything)
                pair = {f"{point[0]}/{point[1]}": _short(item), f"{far[0]}/{far[1]}": _short(other)}
                links.append(f"  - {json.dumps(pair)}")
                continue
            why = f"its other end {'/'.join(far)} is left out"
        elif one.kind == "veth":
            why = "its other end is in a namespace without a name"
        text = json.dumps({f"{point[0]}/{point[1]}": _short(item)})
        links.append(f"  - {text}" if why is None else f"  # {text}  {why}")
    for node, settings in nodes.items():
        settings |= _routes(node)
    if any(settings for settings in nodes.values()):
        lines = ["nodes:", *(f"  {json.dumps(node)}: {json.dumps(settings)}" for node, settings in nodes.items())]
    else:
        lines = [f"nodes: {json.dumps(list(nodes))}"]
    body = "\n".join(links)
    head = "links:" if any(not line.startswith("  #") for line in links) else "links: []"
    return "# What `sniffkit lab from-host` found.\n" + "\n".join(lines) + f"\n{head}\n{body}\n"


def _find(everything: list[Interface], text: str) -> Interface:
    node, _, name = text.rpartition("/")
    return next(one for one in everything if (one.netns or "") == node and one.name == name)


def _short(item: dict[str, Any]) -> Any:
    """A lone address stands for itself, nothing for nothing."""
    if set(item) == {"address"} and len(item["address"]) == 1:
        return item["address"][0]
    return item or None


def _item(one: Interface, found: dict[str, Any], everything: list[Interface]) -> tuple[dict[str, Any], str | None]:
    """An interface's settings as in a lab file, and why it cannot be made, if so."""
    item: dict[str, Any] = {}
    why = None
    up = found.pop("up", True)
    if one.kind == "ether":
        item["kind"] = "physical"
        if one.netns is None:
            why = "this machine's own"
    elif one.kind != "veth":
        item["kind"] = one.kind
    if one.kind == "bridge":
        ports = [other.name for other in everything if other.netns == one.netns and other.master == one.name]
        item |= {"ports": ports, **found}
    elif one.kind in ("vlan", "vxlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"):
        item |= found
        if one.kind != "vxlan" and "link" not in item:
            why = "what it stands on is in a namespace without a name"
    elif one.kind not in SIMPLE | {"veth", "ether", "tun", "tap"}:
        why = "a kind that lab files do not have"
    addresses = [text for text in one.addresses if not ipaddress.ip_interface(text).is_link_local]
    if addresses:
        item["address"] = addresses
    if one.mtu not in (0, 1500, 65536) and one.kind in ("veth", "bridge", "dummy"):
        item["mtu"] = one.mtu
    if not up:
        item["up"] = False
    return item, why


def _details(netns: str | None) -> dict[str, dict[str, Any]]:
    """What each kind says of an interface: name → keys of the lab file."""

    def read() -> list[Any]:
        from pyroute2 import IPRoute

        with IPRoute() as ip:
            return list(ip.get_links())

    raw = run_in(netns, read)
    names = {one["index"]: one.get_attr("IFLA_IFNAME") for one in raw}
    out: dict[str, dict[str, Any]] = {}
    for one in raw:
        info = one.get_attr("IFLA_LINKINFO")
        data = info.get_attr("IFLA_INFO_DATA") if info else None
        kind = info.get_attr("IFLA_INFO_KIND") if info else None
        keys: dict[str, Any] = {} if one["flags"] & 1 else {"up": False}
        parent = one.get_attr("IFLA_LINK")
        if parent in names and one.get_attr("IFLA_LINK_NETNSID") is None and kind != "veth":
            keys["link"] = names[parent]
        if data is not None:
            keys |= _of_kind(str(kind), data, names)
        out[names[one["index"]]] = keys
    return out


def _of_kind(kind: str, data: Any, names: dict[int, str]) -> dict[str, Any]:
    get = data.get_attr if hasattr(data, "get_attr") else lambda _: None
    if kind == "vlan":
        protocol = {"protocol": "802.1ad"} if get("IFLA_VLAN_PROTOCOL") == 0x88A8 else {}
        return {"id": get("IFLA_VLAN_ID"), **protocol}
    if kind == "vxlan":
        far = get("IFLA_VXLAN_GROUP") or get("IFLA_VXLAN_GROUP6")
        out = {"id": get("IFLA_VXLAN_ID"), "port": get("IFLA_VXLAN_PORT")}
        if far:
            out["group" if ipaddress.ip_address(far).is_multicast else "remote"] = far
        local = get("IFLA_VXLAN_LOCAL") or get("IFLA_VXLAN_LOCAL6")
        out |= {"local": local} if local else {}
        link = get("IFLA_VXLAN_LINK")
        out |= {"link": names[link]} if link in names else {}
        return out | ({} if get("IFLA_VXLAN_LEARNING") else {"learning": False})
    if kind == "bridge":
        out = {"stp": True} if get("IFLA_BR_STP_STATE") else {}
        return out | ({"vlan_filtering": True} if get("IFLA_BR_VLAN_FILTERING") else {})
    if kind in ("macvlan", "macvtap"):
        mode = get("IFLA_MACVLAN_MODE")
        return {"mode": MACVLAN_MODES.get(mode, mode) if isinstance(mode, int) else mode}
    if kind in ("ipvlan", "ipvtap"):
        mode = get("IFLA_IPVLAN_MODE")
        return {"mode": IPVLAN_MODES[mode]} if mode in IPVLAN_MODES else {}
    return {}


def _routes(netns: str) -> dict[str, Any]:
    """The routes of table main that somebody set, and whether the namespace forwards."""

    def read() -> tuple[list[Any], dict[int, str], str]:
        from pyroute2 import IPRoute

        with IPRoute() as ip:
            names = {one["index"]: one.get_attr("IFLA_IFNAME") for one in ip.get_links()}
            routes = [one for family in (2, 10) for one in ip.get_routes(family=family, table=254)]
        with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as file:
            return routes, names, file.read().strip()

    routes, names, forward = run_in(netns, read)
    out: list[str] = []
    for one in routes:
        if one["proto"] == 2 or one["type"] != 1:  # the kernel's own, and those that are not unicast
            continue
        to = f"{one.get_attr('RTA_DST')}/{one['dst_len']}" if one.get_attr("RTA_DST") else "default"
        via, dev = one.get_attr("RTA_GATEWAY"), names.get(one.get_attr("RTA_OIF"))
        if via or dev:
            words = [to, f"via {via}" if via else "", f"dev {dev}" if dev else ""]
            out.append(" ".join(word for word in words if word))
    settings: dict[str, Any] = {"forward": True} if forward == "1" else {}
    return settings | ({"routes": out} if out else {})
