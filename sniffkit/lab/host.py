"""`lab from-host`: the lab file of what runs on this machine. It is only read; nothing is changed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sniffkit.errors import LabError, SniffkitError
from sniffkit.lab import describe, mtu, processes
from sniffkit.lab.found import Found, look, settings
from sniffkit.lab.links import KINDS, kind, vxlan
from sniffkit.lab.links import bridge as bridges
from sniffkit.lab.links import settings as keys_of
from sniffkit.lab.links.kind import unsaid
from sniffkit.lab.model import HOST, LabSpec, Point
from sniffkit.lab.model import Interface as Wanted
from sniffkit.lab.observe import SeenLink
from sniffkit.lab.spec import MAX_INTERFACE_NAME
from sniffkit.lab.yamlfile import Source
from sniffkit.netlink import Interface, all_interfaces, namespace_path, namespaces

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]*")
LONGEST_NODE = 60
TUN_TYPE, TUN_PERSIST = 3, 6  # IFLA_TUN_…
TUN_KINDS = {b"\1": "tun", b"\2": "tap"}
VXLAN_LINK = 3
NOARP = 0x80  # IFF_…
FLAGS = {NOARP: "arp off", 0x100: "promisc on", 0x200: "allmulticast on"}
# Kinds that have ARP when they are made.
WITH_ARP = {"veth", "bridge", "vlan", "vxlan", "macvlan", "macvtap", "tap", "macsec"}
# Costs that the kernel gives ports by their speed, and to those that tell none: br_if.c.
USUAL_COSTS = {2, 4, 19, 100}


@dataclass(slots=True)
class Entry:
    """An interface as in a lab file. why: what keeps it out of the file, or nothing."""

    point: Point
    item: dict[str, Any] = field(default_factory=dict)
    why: str | None = None
    peer: Point | None = None
    parent: Point | None = None

    def __str__(self) -> str:
        return "/".join(self.point)


def from_host(only: list[str]) -> str:
    """The YAML text. only: these namespaces; none: all that have names, and this machine's own as `host`."""
    return _Host(only).text()


class _Host:
    def __init__(self, only: list[str]) -> None:
        self.notes: list[str] = []
        inodes = {name: os.stat(namespace_path(name)).st_ino for name in only or namespaces()}
        for name in [name for name in inodes if name == HOST or len(name) > LONGEST_NODE or not NAME.fullmatch(name)]:
            if only:
                raise LabError(f"--netns {name}: a lab cannot have a node of that name")
            self.notes.append(f"namespace {name}: a lab cannot have a node of that name")
            del inodes[name]
        self.nodes: dict[str, Found] = {}
        for name in inodes:
            try:
                self.nodes[name] = look(name)
            except (SniffkitError, OSError):
                if only:
                    raise
                self.notes.append(f"namespace {name}: it cannot be entered")
        if not only:
            self.nodes[HOST] = look(None)
        known = {inode: name for name, inode in inodes.items() if name in self.nodes}
        if not only:
            known[self.nodes[HOST].inode] = HOST
        # The same as all_interfaces calls them, where it has found a peer.
        self.everything = [one for one in all_interfaces("all") if one.inode is not None]
        self.labels = {one.netns or "": known.get(one.inode or 0) for one in self.everything}
        self.entries: dict[Point, Entry] = {}
        for one in self.everything:
            node = known.get(one.inode or 0)
            seen = self.nodes[node].seen.links.get(one.name) if node is not None else None
            if node is not None and seen is not None and one.kind != "loopback":
                entry = self.entry(one, node, seen)
                self.entries.setdefault(entry.point, entry)
        self.leave_out()
        self.fit_mtus()

    # interfaces

    def entry(self, one: Interface, node: str, seen: SeenLink) -> Entry:
        """An interface, without what depends on others being there."""
        out = Entry((node, one.name))
        name = TUN_KINDS.get(seen.data.get(TUN_TYPE, b""), "tun") if one.kind == "tun" else one.kind
        if len(one.name) > MAX_INTERFACE_NAME or not NAME.fullmatch(one.name):
            out.why = "a lab cannot have an interface of that name"
        elif name == "ether":
            out.why = "it is this machine's own" if node == HOST else "it is no link that can be made"
            name = "physical"
        elif name not in KINDS:
            out.why = f"lab files have no kind {name}"
        elif one.kind == "tun" and seen.data.get(TUN_PERSIST) == b"\0":
            out.why = "it goes with the program that made it"
        if name != "veth":
            out.item["kind"] = name
        if name == "veth":
            self.peer(out, one, seen)
        elif name in KINDS and kind(name).parent != "no":
            self.parent(out, one, seen)
        if name in KINDS and kind(name).how == "link":
            out.item |= kind(name).decode(seen.data)
        self.of_kind(out, name, seen)
        self.of_all(out, one, seen)
        return out

    def peer(self, out: Entry, one: Interface, seen: SeenLink) -> None:
        """The other end of a veth."""
        if one.peer is None:
            out.why = "its other end is in a namespace without a name"
            return
        label, _, name = one.peer.rpartition("/")
        node = self.labels.get(label) if seen.elsewhere else out.point[0]
        if node is None:
            out.why = f"its other end {one.peer} is left out"
        else:
            out.peer = (node, name)

    def parent(self, out: Entry, one: Interface, seen: SeenLink) -> None:
        """What an interface stands on, in its own namespace or another."""
        node, name = out.point[0], out.item["kind"]
        index = seen.parent
        if name == "vxlan":
            index = int.from_bytes(seen.data.get(VXLAN_LINK, b"\0"), "little")
            if not index and not seen.elsewhere:
                return
        inode = one.peer_inode if seen.elsewhere else self.nodes[node].inode
        below = next((other for other in self.everything if other.index == index and other.inode == inode), None)
        where = self.labels.get(below.netns or "") if below is not None else None
        if below is None:
            out.why = "what it stands on is in a namespace without a name"
        elif where is None:
            out.why = f"what it stands on, {below.netns or HOST}/{below.name}, is left out"
        else:
            out.parent = (where, below.name)
            out.item["link"] = below.name if where == node else f"{where}/{below.name}"

    def of_kind(self, out: Entry, name: str, seen: SeenLink) -> None:
        """What a kind has beside its attributes: ports, VLANs, forwarding entries; what cannot be read back."""
        there = self.nodes[out.point[0]].seen
        said = unsaid(kind(name).unsaid, seen.data) if name in KINDS else []
        said += [word for flag, word in FLAGS.items() if seen.flags & flag and (flag != NOARP or name in WITH_ARP)]
        said += seen.also
        above = next((one for one in there.links.values() if one.index == seen.master), None)
        said += [f"in the {above.kind} {above.name}"] if above is not None and above.kind != "bridge" else []
        if said and name != "physical":
            self.notes.append(f"{out}: {', '.join(said)}")
        if name == "bridge":
            self.bridge(out, seen)
        elif name == "vxlan":
            entries = [(mac, far) for dev, mac, far in there.fdb if dev == out.point[1]]
            if entries:
                out.item["fdb"] = [far if mac == vxlan.NO_MAC else {"mac": mac, "dst": far} for mac, far in entries]
        elif name == "macsec":
            self.notes.append(f"{out}: its keys cannot be read back: give it `key` and `receive`")

    def bridge(self, out: Entry, seen: SeenLink) -> None:
        """Ports, their settings and VLANs."""
        there = self.nodes[out.point[0]].seen
        ports: dict[str, dict[str, Any]] = {}
        for port in there.links.values():
            if port.master == seen.index:
                ports[port.name] = given = keys_of(bridges.PORT_KEYS, port.slave)
                said = unsaid(bridges.PORT_UNSAID, port.slave)
                self.notes += [f"{out}: its port {port.name}: {', '.join(said)}"] if said else []
                if port.kind != "veth" and given.get("cost") in USUAL_COSTS:
                    del given["cost"]
        out.item |= {"ports": ports} if ports else {}
        if bridges.moving(seen.data):
            self.notes.append(f"{out}: its times are those of the spanning tree's root, as they are in force")
        if not out.item.get("vlan_filtering"):
            return
        usual = out.item.get("default_pvid", 1)
        vlans = {name: there.vlans.get(name, {}) for name in [*ports, out.point[1]]}
        if usual and not all(vlans.values()):
            usual = 0
            self.notes.append(f"{out}: its default_pvid, as a port is in no VLAN; here each port names its VLANs")
        for name, found in vlans.items():
            (out.item if name == out.point[1] else ports[name]).update(_vlans(found, usual))
        if any(set(bridges.VLANS) & set(given) for given in [out.item, *ports.values()]) or not usual:
            out.item["default_pvid"] = usual  # a file whose ports name VLANs has 0 unless it says so

    def of_all(self, out: Entry, one: Interface, seen: SeenLink) -> None:
        """What any interface may have."""
        found = self.nodes[out.point[0]]
        item = out.item
        there = found.seen.addresses.get(one.name, [])
        kept = [text for text in there if (one.name, text) not in found.seen.automatic]
        if kept:
            item["address"] = kept
        leased = [text for text in there if text not in kept and not text.startswith("fe80:")]
        if leased:
            self.notes.append(f"{out}: {' '.join(leased)}, which it was given for a time")
        if seen.mtu not in self.usual_mtus(out, seen):
            item["mtu"] = seen.mtu
        below = self.nodes[out.parent[0]].seen.links[out.parent[1]].mac if out.parent else None
        if one.name in found.macs and seen.mac not in ("", below):  # it may be that of what it stands on
            item["mac"] = seen.mac
        tc = found.queues.get(one.name)
        if tc is not None:
            item |= {"qdisc": tc.qdisc} if tc.qdisc else {}
            item |= {"ingress": tc.ingress} if tc.ingress else {}
            self.notes += [f"{out}: {text}" for text in tc.strange]
        if not seen.up:
            item["up"] = False

    def usual_mtus(self, out: Entry, seen: SeenLink) -> set[int]:
        """What an interface's MTU is when nobody has set it."""
        name = out.item.get("kind", "veth")
        links = self.nodes[out.point[0]].seen.links
        if name in ("physical", "nlmon"):
            return {seen.mtu}
        if name == "bridge":
            return {min((port.mtu for port in links.values() if port.master == seen.index), default=1500)}
        if out.parent is None:
            return {1500, 1450, 1430} if name == "vxlan" else {1500}
        below = self.nodes[out.parent[0]].seen.links[out.parent[1]].mtu
        return {"vxlan": {below - 50, below - 70}, "macsec": {below - 32}}.get(name, {below})

    def leave_out(self) -> None:
        """What cannot be in the file takes with it what stands on it and its other end; bridges lose it as a port."""
        changed = True
        while changed:
            changed = False
            for one in self.entries.values():
                for what, point in (("what it stands on", one.parent), ("its other end", one.peer)):
                    other = self.entries.get(point) if point is not None else None
                    if one.why is None and point is not None and (other is None or other.why is not None):
                        one.why, changed = f"{what}, {'/'.join(point)}, is left out", True
        for one in self.entries.values():
            there = {
                entry.point[1]
                for entry in self.entries.values()
                if entry.point[0] == one.point[0] and entry.why is None
            }
            for port in [port for port in one.item.get("ports", {}) if port not in there]:
                del one.item["ports"][port]
                self.notes.append(f"{one}: its port {port}, which is left out")
            for how, target in list(one.item.get("ingress", {}).items()):
                if target not in there:
                    del one.item["ingress"][how]
                    self.notes.append(f"{one}: ingress {how} {target}, which is left out")

    def fit_mtus(self) -> None:
        """A bridge that others stand on is made with the MTU that its ports give it later; an MTU that has not become
        smaller with the one below cannot be had again."""
        spec = LabSpec("", Source())
        kept = [one for one in self.entries.values() if one.why is None]
        stood_on = {one.parent for one in kept}
        for one in kept:
            seen = self.nodes[one.point[0]].seen.links[one.point[1]]
            if one.item.get("kind") == "bridge" and one.point in stood_on and seen.mtu != mtu.USUAL:
                one.item["mtu"] = seen.mtu
            wanted = Wanted(*one.point, one.item.get("kind", "veth"), (), mtu=one.item.get("mtu"), data=one.item)
            wanted.parent = one.parent
            spec.add(wanted)
        for wanted in sorted(spec.interfaces.values(), key=spec.level):
            most = mtu.limit(wanted, spec)
            if wanted.mtu is not None and most is not None and wanted.mtu > most:
                self.notes.append(
                    f"{wanted}: its mtu {wanted.mtu}, over the {most} that what it stands on lets it have"
                )
                del wanted.data["mtu"]
                wanted.mtu = None

    # the text

    def text(self) -> str:
        """The file."""
        lines = ["# What `sniffkit lab from-host` found.", *self.node_lines(), *self.link_lines()]
        for name, found in self.nodes.items():
            if name != HOST:
                self.notes += [f"{name}: {text}" for text in [*found.seen.strange, *found.notes]]
                for text in found.seen.addresses.get("lo", []):
                    if ("lo", text) not in found.seen.automatic:
                        self.notes.append(f"{name}/lo: {text}: a lab has it on a dummy")
                for text in processes.inside(found.inode):
                    ports = ", ".join(processes.listening(int(text.split()[0])))
                    self.notes.append(f"{name}: the process {text}{' on ' if ports else ''}{ports}")
        if HOST in self.nodes:
            self.notes.append("this machine's own routes, rules, nftables and sysctls")
        if self.notes:
            lines += ["# Left out:", *(f"#   {' '.join(note.split())}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def node_lines(self) -> Iterator[str]:
        """`nodes`."""
        given: dict[str, dict[str, Any]] = {}
        for name, found in self.nodes.items():
            if name != HOST:
                names = {one.point[1] for one in self.entries.values() if one.point[0] == name and one.why is None}
                given[name] = settings(found, names, f"/etc/netns/{name}/resolv.conf")
        if not any(given.values()):
            yield f"nodes: {describe.plain(list(given))}"
            return
        yield "nodes:"
        for name, node in given.items():
            yield f"  {describe.plain(name)}:"
            yield from describe.block(node, "    ")

    def link_lines(self) -> Iterator[str]:
        """`links` and `bridges`; as comments what cannot be in them."""
        links: list[str] = []
        switches: list[str] = []
        done: set[Point] = set()
        for one in self.entries.values():
            if one.point in done:
                continue
            done.add(one.point)
            if one.why is not None:
                self.notes.append(f"{one}: {one.why}: {describe.plain(describe.interface(one.item))}")
            elif one.item.get("kind") == "bridge":
                switches.append(f"  {describe.plain(str(one))}: {describe.plain(describe.bridge(one.item))}")
            else:
                item = {str(one): describe.interface(one.item)}
                if one.peer is not None:
                    item["/".join(one.peer)] = describe.interface(self.entries[one.peer].item)
                    done.add(one.peer)
                links.append(f"  - {describe.plain(item)}")
        for head, lines in (("links:", links), ("bridges:", switches)):
            if lines:
                yield head
                yield from lines


def _vlans(found: dict[int, int], usual: int) -> dict[str, Any]:
    """The VLANs of a port as in a lab file. usual: the one that ports are in whose VLANs the file does not name."""
    if found == {usual: bridges.PVID | bridges.UNTAGGED}:
        return {}
    out: dict[str, Any] = {}
    tagged: list[int] = []
    untagged: list[int] = []
    for vid, flags in sorted(found.items()):
        if flags & bridges.PVID:
            out["pvid"] = vid
            if not flags & bridges.UNTAGGED:
                tagged.append(vid)
        else:
            (untagged if flags & bridges.UNTAGGED else tagged).append(vid)
    out |= {"untagged": untagged} if untagged else {}
    return out | ({"tagged": tagged} if tagged else {})
