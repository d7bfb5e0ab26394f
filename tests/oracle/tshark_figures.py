"""The figures of `sniffkit stats` and of tshark's taps and capinfos for one capture, in the same shape."""

from __future__ import annotations

import re
import subprocess
import warnings
from collections.abc import Hashable
from pathlib import Path

import sniffkit as sk

LAYERS = ("eth", "ip", "ipv6", "tcp", "udp")
TAPS = ["io,phs", *(f"{tap},{layer}" for tap in ("conv", "endpoints") for layer in LAYERS), "plen,tree", "io,stat"]
PORTED = ("tcp", "udp")
TITLES = {"Ethernet": "eth", "IPv4": "ip", "IPv6": "ipv6", "TCP": "tcp", "UDP": "udp"}
CONVERSATION = re.compile(r"(\S+) +<-> (\S+) +(\d+) (\d+) (bytes|kB|MB) +(\d+) (\d+) (bytes|kB|MB) ")
UNITS = {"bytes": 1, "kB": 1000, "MB": 1_000_000}
# Frames are single, as rows of `packets` are.
UNASSEMBLED = ("-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE")

# What a hierarchy must name wherever tshark does.
LOWER = {"eth", "vlan", "ieee8021ad", "llc", "mpls", "pppoes", "ppp", "chdlc", "sll", "null", "raw"}
LOWER |= {"arp", "ip", "ipv6", "ah", "icmp", "icmpv6", "tcp", "udp", "sctp", "gre", "erspan", "vxlan", "geneve"}
# Made of several frames by tshark, or named by a dissector that sniffkit does not have; stacks here are of one frame.
OF_MANY_FRAMES = {"tls", "http", "data"}

Figures = dict[str, dict[Hashable, object]]


def theirs(path: Path) -> Figures:
    """What tshark and capinfos say."""
    about, ordered = capinfos(path)
    found: Figures = {tap: {} for tap in TAPS} | {"capinfos": about}
    command = ["tshark", "-n", "-q", "-r", str(path), *UNASSEMBLED]
    taps = [part for tap in (*TAPS[:-1], f"io,stat,{interval(found)}") for part in ("-z", tap)]
    text = subprocess.run([*command, *taps], check=True, capture_output=True, text=True, timeout=60).stdout
    tap = ""
    stack: list[str] = []
    for line in text.splitlines():
        title = re.match(r"(\w+) (Conversations|Endpoints)$", line)
        if title:
            tap = f"{'conv' if title[2] == 'Conversations' else 'endpoints'},{TITLES[title[1]]}"
        elif line == "Protocol Hierarchy Statistics":
            tap = "io,phs"
        elif line.startswith("| IO Statistics"):
            tap = "io,stat"
        elif line == "Packet Lengths:":
            tap = "plen,tree"
        elif tap == "io,stat" and (row := re.match(r"\|\s*(\d+)(?:\.\d+)? <>[^|]*\| +(\d+) \| +(\d+) \|", line)):
            found[tap][int(row[1])] = (int(row[2]), int(row[3]))
        elif tap == "plen,tree" and (
            row := re.match(r" (\d+-\d+|5120 and greater) +(\d+) +(\S+) +(\S+) +(\S+) ", line)
        ):
            mean, least, most = (None if word == "-" else float(word) for word in row.group(3, 4, 5))
            found[tap][row[1]] = (int(row[2]), mean, least, most)
        elif tap == "io,phs" and (level := re.match(r"( *)(\S+) +frames:(\d+) bytes:(\d+)", line)):
            stack[len(level[1]) // 2 :] = [level[2]]
            # A stack of labels is one layer; tshark has a level for each.
            place = re.sub(r"\bmpls(:mpls)+\b", "mpls", ":".join(stack))
            found[tap].setdefault(place, (int(level[3]), int(level[4])))
        elif tap.startswith("conv") and (pair := CONVERSATION.match(line)):
            # Above 10,000 bytes tshark says how many whole kB there are.
            rough = UNITS[pair[5]] * UNITS[pair[8]] > 1
            there = int(pair[6]), None if rough else int(pair[7])
            add(found[tap], pair[1], pair[2], there, (int(pair[3]), None if rough else int(pair[4])))
        elif tap.startswith("endpoints") and re.search(r"\d\s*$", line):
            words = line.split()
            found[tap][":".join(words[:-6])] = tuple(map(int, words[-6:]))
    complete(found, ordered)
    return found


def complete(found: Figures, ordered: bool) -> None:
    """Add the row of the I/O series that tshark leaves out: what comes at the very end, so all within one millisecond.

    Its rows begin at the first frame. Where others are earlier, or have no time, there is nothing to compare.
    """
    about, series = found["capinfos"], found["io,stat"]
    duration, every = about["duration"], interval(found)
    if not ordered or not isinstance(duration, int):
        del found["io,stat"]
    elif not series or duration % (every * 10**9) == 0:
        frames, size = (int(str(about[name])) for name in ("packets", "bytes"))
        shown = [row for row in series.values() if isinstance(row, tuple)]
        rest = frames - sum(row[0] for row in shown), size - sum(row[1] for row in shown)
        series[duration // 10**9] = rest


def capinfos(path: Path) -> tuple[dict[Hashable, object], bool]:
    """Packets, bytes and duration (ns); whether no frame is earlier than the one before."""
    fields = ["capinfos", "-T", "-M", "-r", "-c", "-d", "-u", "-S", "-a", "-e", "-o", str(path)]
    words = subprocess.run(fields, check=True, capture_output=True, text=True, timeout=60).stdout.strip().split("\t")
    seconds = re.fullmatch(r"(\d+)\.?(\d*)", words[3])
    duration = int(seconds[1] + seconds[2].ljust(9, "0")[:9]) if seconds else None
    return {"packets": int(words[1]), "bytes": int(words[2]), "duration": duration}, words[-1] == "True"


def interval(figures: Figures) -> int:
    """Seconds of a row of the I/O series, so that it has no more than some hundred."""
    duration = figures["capinfos"]["duration"]
    # capinfos gives no duration where a frame has no time: then decades may lie between the first and the last.
    return max(1, duration // 10**9 // 100) if isinstance(duration, int) else 10**7


def ours(path: Path, every: int) -> Figures:
    """What `stats` says, the I/O series with rows of so many seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats = sk.open(path).stats
        found: Figures = {"io,phs": {}}
        for row in stats.hierarchy().to_arrow().to_pylist():
            found["io,phs"][row["path"]] = (row["frames"], row["bytes"])
        for layer in LAYERS:
            pairs: dict[Hashable, object] = {}
            for row in stats.conversations(layer).to_arrow().to_pylist():
                a, b = (f"{row[end]}:{row[f'{end}_port']}" if layer in PORTED else row[end] for end in ("a", "b"))
                there = (row["a_to_b_frames"], row["a_to_b_bytes"])
                add(pairs, a, b, there, (row["b_to_a_frames"], row["b_to_a_bytes"]))
            found[f"conv,{layer}"] = pairs
            names = ("frames", "bytes", "tx_frames", "tx_bytes", "rx_frames", "rx_bytes")
            found[f"endpoints,{layer}"] = {
                (f"{row['address']}:{row['port']}" if layer in PORTED else row["address"]): tuple(
                    row[name] for name in names
                )
                for row in stats.endpoints(layer).to_arrow().to_pylist()
            }
        one = stats.summary().to_arrow().to_pylist()[0]
        found["capinfos"] = {"packets": one["packets"], "bytes": one["bytes"], "duration": one["duration"]}
        found["plen,tree"] = {
            row["length"]: (row["frames"], row["mean"], row["least"], row["most"])
            for row in stats.lengths().to_arrow().to_pylist()
        }
        found["io,stat"] = {
            int(row["start"]): (row["frames"], row["bytes"]) for row in stats.io(every).to_arrow().to_pylist()
        }
    return found


Way = tuple[int, int | None]


def add(pairs: dict[Hashable, object], a: str, b: str, there: Way, back: Way) -> None:
    """A conversation under both ends, whichever is named first; tshark may have several of the same ends."""
    if b < a:
        a, b, there, back = b, a, back, there
    known: tuple[Way, Way] = pairs.get((a, b), ((0, 0), (0, 0)))  # type: ignore[assignment]
    there, back = both(there, known[0]), both(back, known[1])
    # What is its own other end went no way that can be told.
    pairs[a, b] = (both(there, back), (0, 0)) if a == b else (there, back)


def both(one: Way, other: Way) -> Way:
    """Frames and bytes together; bytes are None where they were rounded."""
    return one[0] + other[0], None if one[1] is None or other[1] is None else one[1] + other[1]


def differing(mine: Figures, tap: str, said: Figures) -> dict[Hashable, tuple[object, object]]:
    """What is not the same: mine, tshark's. Of the hierarchy what both name, and all that tshark names of LOWER."""
    a, b = mine[tap], said[tap]
    names: set[Hashable] = {*a} | {*b}
    if tap == "io,phs":
        both = {*a} & {*b}
        names = {path for path in both if str(path).rpartition(":")[2] not in OF_MANY_FRAMES}
        names |= {path for path in b if {*str(path).split(":")} <= LOWER}
    return {name: (a.get(name), b.get(name)) for name in names if not same(a.get(name), b.get(name))}


def same(mine: object, said: object) -> bool:
    """Equal, but for what was rounded."""
    if isinstance(mine, tuple) and isinstance(said, tuple) and isinstance(said[0], tuple):
        return all(a[0] == b[0] and b[1] in (None, a[1]) for a, b in zip(mine, said, strict=True))
    if isinstance(mine, tuple) and isinstance(said, tuple) and len(mine) == len(said) == 4 and None not in mine + said:
        return abs(mine[1] - said[1]) < 0.0051 and mine[2:] == said[2:] and mine[0] == said[0]  # means have two digits
    return mine == said
