"""macsec: Ethernet encrypted and authenticated between neighbours (802.1AE), with keys from the file.

    h1 ──macsec0──eth0 ══ 88e5 … ══ eth0──macsec0── h2

`key` encrypts what is sent, `receive` holds the key of each sender. Numbers: linux/if_link.h IFLA_MACSEC_*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sniffkit.errors import LabError
from sniffkit.lab.links.kind import Kind, Unsaid, mtu_again
from sniffkit.lab.model import Interface, LabSpec
from sniffkit.lab.ops import LATE, Op, inside, link_id
from sniffkit.lab.schema import REDACTED, Flag, Int, Key, Keys, ListOf, Secret, Text
from sniffkit.lab.wire import attribute, decode, encode

SECRET = Secret("a key: 32 hexadecimal digits", r"[0-9a-fA-F]{32}")
RECEIVE = Keys(
    {
        "from": Key(Text("NODE/IF", r"[^/]+/[^/]+"), "the sender's interface below, with a mac", required=True),
        "key": Key(SECRET, "the sender's key", required=True),
    }
)


HEADERS = 32  # the tag with its port, and the 16 bytes that authenticate: 802.1AE
WINDOW, REPLAY_PROTECT = 5, 12


def data(given: Mapping[str, Any]) -> bytes:
    """Replay protection, which has a window only where it is on."""
    if "replay_window" not in given:
        return b""
    return attribute(WINDOW, encode("u32", given["replay_window"])) + attribute(REPLAY_PROTECT, encode("u8", 1))


def read(found: Mapping[int, bytes]) -> dict[str, Any]:
    """The same back."""
    return {"replay_window": decode("u32", found[WINDOW])} if any(found.get(REPLAY_PROTECT, b"")) else {}


def words(given: Mapping[str, Any]) -> str:
    """The same for `ip link`."""
    return f"replay on window {given['replay_window']}" if "replay_window" in given else ""


def check(one: Interface, spec: LabSpec) -> None:
    """Every sender must be there and have a MAC address that the file knows."""
    for number, entry in enumerate(one.data.get("receive", [])):
        node, _, name = entry["from"].partition("/")
        sender = spec.interfaces.get((node, name))
        path = (*one.path, "receive", number, "from")
        if sender is None:
            raise spec.source.error(path, f"{one}: no interface {entry['from']}")
        if sender.mac is None:
            raise spec.source.error(path, f"{one}: {sender} needs a mac: macsec tells senders by it")


def extra(one: Interface, spec: LabSpec) -> list[Op]:
    """The security associations, by `ip macsec`; the MTU once more, as the link is made with that of its parent."""
    if REDACTED in (one.data.get("key"), *(entry["key"] for entry in one.data.get("receive", []))):
        raise LabError(
            f"{one}: its keys were left out of the capture that the lab comes from: write them into the file"
        )
    commands = []
    if "key" in one.data:
        commands.append(["tx", "sa", "0", "pn", "1", "on", "key", "01", one.data["key"]])
    for entry in one.data.get("receive", []):
        node, _, name = entry["from"].partition("/")
        sender = ["rx", "port", "1", "address", str(spec.interfaces[node, name].mac)]
        commands.append(sender)
        commands.append([*sender, "sa", "0", "pn", "1", "on", "key", "01", entry["key"]])
    out = [mtu_again(one, (link_id(*one.point),))] if one.mtu is not None else []
    for number, command in enumerate(commands):
        argv = ["ip", "macsec", "add", one.name, *command]
        line = inside(one.node) + " ".join(argv)
        args = {"argv": argv, "what": f"{one}: macsec", "shows": [["ip", "macsec", "show", one.name], ""]}
        out.append(Op(LATE, "command", one.node, f"{one.name} macsec {number}", args, (link_id(*one.point),), line))
    return out


UNSAID = {
    3: Unsaid("icvlen", usual=(16,)),
    4: Unsaid("cipher", "=Q", (0x0080020001000001, 0x0080C20001000001)),  # GCM-AES-128, by both of its numbers
    6: Unsaid("encodingsa"),
    8: Unsaid("protect", usual=(1,)),
    9: Unsaid("send_sci", usual=(1,)),
    10: Unsaid("end_station"),
    11: Unsaid("scb"),
    13: Unsaid("validate", usual=(2,)),
    15: Unsaid("offload"),
}


KIND = Kind(
    "macsec",
    "CONFIG_MACSEC",
    "macsec",
    "Ethernet encrypted between neighbours",
    {
        "encrypt": Key(
            Flag(),
            "encrypt, not only authenticate (false)",
            attribute=(7, "u8"),
            default=False,
            word=("encrypt on", "encrypt off"),
        ),
        "replay_window": Key(Int(0, 2**31), "drop replayed frames, and those that so many others have overtaken"),
        "key": Key(SECRET, "key of what is sent"),
        "receive": Key(ListOf(RECEIVE), "who is heard, and their keys"),
    },
    parent="must",
    check=check,
    adds=lambda _: HEADERS,
    data=data,
    read=read,
    words=words,
    extra=extra,
    apart=("key", "receive"),
    unsaid=UNSAID,
)
