"""What is measured: one entry a case. The first contender is the one that the others are compared with."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench import labs
from bench import live as veth
from bench.inputs import DATA, PACKETS_PER_FLOW, ROOT, big, head, transfer
from bench.many import cluster, copies, into
from bench.web import web

SNIFFKIT = str(ROOT / ".venv" / "bin" / "sniffkit")
OUT = str(DATA / "out")  # each contender writes to files that begin so
LIVE = 300_000  # packets that are sent to a live capture
HEAD = 50_000  # packets that tshark gets; its time is scaled up to all

# The columns of `sniffkit packets` as tshark names them.
TSHARK_FIELDS = (
    "frame.number,frame.time_epoch,frame.interface_name,frame.len,frame.cap_len,frame.protocols,eth.src,eth.dst,eth.type,"
    "vlan.id,vxlan.vni,ip.version,ip.src,ip.dst,ipv6.src,ipv6.dst,ip.proto,ipv6.nxt,ip.ttl,ipv6.hlim,ip.id,ip.frag_offset,"
    "ip.flags.mf,tcp.srcport,tcp.dstport,udp.srcport,udp.dstport,tcp.flags,tcp.seq_raw,tcp.ack_raw,tcp.window_size_value,"
    "icmp.type,icmp.code,icmpv6.type,icmpv6.code,arp.opcode,arp.src.hw_mac,arp.src.proto_ipv4,arp.dst.hw_mac,"
    "arp.dst.proto_ipv4,tcp.len,udp.length,tcp.stream,udp.stream"
)


@dataclass(frozen=True)
class Contender:
    """One command of a case.

    scale: its time beyond `startup` (a command that does the same on one packet) is multiplied by this, for peers that
    get only a part of the input. load: a capture that is sent while it listens on the veth pair of bench/live.py.
    after: a command that undoes what the run did; it is not measured.
    """

    name: str
    command: Sequence[str]
    scale: float = 1.0
    startup: Sequence[str] = ()
    load: Path | None = None
    after: Sequence[str] = ()


@dataclass(frozen=True)
class Target:
    """`figure` of `of` is at most `at_most` times that of `against`; without, at most `at_most` seconds or bytes."""

    of: str
    figure: Literal["wall", "cpu", "rss", "lost"]
    at_most: float
    against: str = ""


@dataclass(frozen=True)
class Case:
    """A table of the report. `contenders` gets the number of packets and makes the inputs that it needs."""

    name: str
    title: str
    contenders: Callable[[int], list[Contender]]
    targets: tuple[Target, ...]


def flows(capture: str) -> list[Contender]:
    nfstream = str(ROOT / ".tools" / "nfstream" / "bin" / "python")
    return [
        Contender("sniffkit", [SNIFFKIT, "flows", capture, "-o", f"{OUT}-f.parquet"]),
        Contender("tcpdump", ["tcpdump", "-r", capture, "-w", "/dev/null"]),
        Contender("softflowd", ["softflowd", "-d", "-r", capture]),
        Contender("argus", ["argus", "-r", capture, "-w", f"{OUT}-argus.out"]),
        Contender("NFStream", [nfstream, str(ROOT / "bench" / "nfstream_flows.py"), capture]),
    ]


def flows_long(packets: int) -> list[Contender]:
    return flows(str(big(packets, packets // 100)))[:2]


def packets(packets: int) -> list[Contender]:
    capture = big(packets)
    fields = [part for field in TSHARK_FIELDS.split(",") for part in ("-e", field)]
    tshark = ["tshark", "-n", "-r", str(head(capture, HEAD)), "-T", "fields", *fields]
    return [
        Contender("sniffkit", [SNIFFKIT, "packets", str(capture), "-o", f"{OUT}-p.parquet"]),
        Contender("tshark", tshark, scale=packets / HEAD, startup=[*tshark, "-c", "1"]),
    ]


def core(packets: int) -> list[Contender]:
    capture = big(packets)
    program = str(ROOT / "rust" / "target" / "release" / "examples" / "core")
    start = [program, str(head(capture, 1))]
    scale = 1_000_000 / packets
    return [
        Contender("core", [program, str(capture)], scale=scale, startup=start),
        Contender("applications", [program, str(capture), "facts"], scale=scale, startup=[*start, "facts"]),
    ]


def memory(packets: int) -> list[Contender]:
    once = big(packets)
    tenfold = big(10 * packets, packets // PACKETS_PER_FLOW)
    return [
        Contender("sniffkit", [SNIFFKIT, "flows", str(once), "-o", f"{OUT}-m.parquet"]),
        Contender("10 × packets", [SNIFFKIT, "flows", str(tenfold), "-o", f"{OUT}-m.parquet"]),
    ]


def capture(packets: int, load: Callable[[int], Path]) -> list[Contender]:
    veth.pair()
    sent = load(min(packets, LIVE))
    where = ["--netns", veth.B, "-i", "veth2"]
    out = ["-w", f"{OUT}-live.pcapng"]
    return [
        Contender(
            "tcpdump", ["ip", "netns", "exec", veth.B, "tcpdump", "-i", "veth2", "-w", f"{OUT}-tcpdump.out"], load=sent
        ),
        Contender("sniffkit", [SNIFFKIT, "capture", *where, *out, "--flows", f"{OUT}-live.parquet"], load=sent),
        Contender("without flows", [SNIFFKIT, "capture", *where, *out], load=sent),
    ]


def http(served: str) -> list[Contender]:
    capture = str(web(served))
    fields = ("frame.number", "http.request.method", "http.host", "http.request.uri", "http.response.code")
    tshark = ["tshark", "-n", "-r", capture, "-Y", "http", "-T", "fields", *(p for f in fields for p in ("-e", f))]
    table = [SNIFFKIT, "http", capture, "-o", f"{OUT}-http.parquet"]
    return [
        Contender("same fields", [*table, "--columns", "request_frame,method,host,uri,status_code"]),
        Contender("all + SHA-256", table),
        Contender("tshark", tshark),
    ]


def extract(_: int) -> list[Contender]:
    """Into memory where there is /dev/shm: what a file system does after removing files is not to be measured."""
    capture = str(web())
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() and os.access(memory, os.W_OK) else DATA

    def into(name: str, *command: str) -> Contender:
        folder = base / f"skbench-{os.getpid()}-{name}"
        folder.mkdir()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        words = [word.format(folder=folder) for word in command]
        return Contender(name, words, after=["sh", "-c", f"rm -rf {folder}/*"])

    return [
        into("sniffkit", SNIFFKIT, "extract", "--http", capture, "-d", "{folder}"),
        into("tcpflow", "tcpflow", "-a", "-r", capture, "-o", "{folder}"),
        into("tshark", "tshark", "-q", "-r", capture, "--export-objects", "http,{folder}"),
    ]


def startup(_: int) -> list[Contender]:
    return [
        Contender("--help", [SNIFFKIT, "--help"]),
        Contender("import", [sys.executable, "-c", "import sniffkit"]),
        Contender("bare Python", [sys.executable, "-c", "pass"]),
    ]


def line_of_labs(_: int) -> list[Contender]:
    """100 namespaces in a line, made by each; their removal is not measured."""
    made = labs.line(100)
    remove = ["ip", "-batch", str(made.removal)]
    return [
        Contender("sniffkit", [SNIFFKIT, "lab", "up", str(made.lab)], after=[SNIFFKIT, "lab", "down", str(made.lab)]),
        Contender("ip -batch", ["ip", "-batch", str(made.batch)], after=remove),
        Contender("nested batches", ["ip", "-batch", str(made.nested)], after=remove),
        Contender("links only", ["ip", "-batch", str(made.links)], after=remove),
    ]


def sql(packets: int) -> list[Contender]:
    capture = str(big(packets))
    question = "SELECT orig_h, sum(orig_bytes) FROM flows GROUP BY 1"
    columns = "SELECT ip_src, sum(frame_len) FROM packets GROUP BY 1"
    few = "SELECT ts, ip_dst FROM packets WHERE ip_proto = 1"
    return [
        Contender("flows", [SNIFFKIT, "flows", capture, "-o", f"{OUT}-q.parquet"]),
        Contender("sql flows", [SNIFFKIT, "sql", question, capture, "-o", f"{OUT}-q1.parquet"]),
        Contender("packets", [SNIFFKIT, "packets", capture, "-o", f"{OUT}-q2.parquet"]),
        Contender("two columns", [SNIFFKIT, "sql", columns, capture, "-o", f"{OUT}-q3.parquet"]),
        Contender("few rows", [SNIFFKIT, "sql", few, capture, "-o", f"{OUT}-q4.parquet"]),
    ]


def many(packets: int) -> list[Contender]:
    flows = [SNIFFKIT, "flows", copies(packets, 16)]
    return [
        Contender("one core", into("one", ["taskset", "-c", "0", *flows, "--workers", "1"])),
        Contender("one worker", into("two", [*flows, "--workers", "1"])),
        Contender("two workers", into("three", [*flows, "--workers", "2"])),
    ]


def many_memory(packets: int) -> list[Contender]:
    return [Contender("10 GB", into("ten", [SNIFFKIT, "flows", copies(packets, 32), "--workers", "2"]))]


def dask(packets: int) -> list[Contender]:
    flows = [SNIFFKIT, "flows", copies(packets, 16)]
    return [
        Contender("one core", into("one", ["taskset", "-c", "0", *flows, "--workers", "1"])),
        Contender("Dask, two", into("dask", [*flows, "--engine", cluster()])),
    ]


CASES = (
    Case(
        "flows",
        "flow table of a file",
        lambda packets: flows(str(big(packets))),
        (
            Target("sniffkit", "wall", 1.0, "tcpdump"),
            Target("sniffkit", "wall", 1 / 2, "softflowd"),
            Target("sniffkit", "wall", 1 / 4, "argus"),
            Target("sniffkit", "wall", 1 / 30, "NFStream"),
        ),
    ),
    Case(
        "flows-long",
        "the same of longer flows: 100 packets each",
        flows_long,
        (Target("sniffkit", "wall", 1.0, "tcpdump"),),
    ),
    Case(
        "packets",
        "packet table of a file (tshark: first 50,000 packets, scaled)",
        packets,
        (Target("sniffkit", "wall", 1 / 80, "tshark"),),
    ),
    Case(
        "core",
        "reading, decoding and following flows on one thread, for 1,000,000 packets",
        core,
        (Target("core", "cpu", 1 / 3), Target("applications", "cpu", 1.0)),
    ),
    Case(
        "memory",
        "the same number of flows from ten times the packets",
        memory,
        (Target("10 × packets", "rss", 1.2, "sniffkit"),),
    ),
    Case(
        "live",
        "capture over veth at full speed: traffic of many short flows",
        lambda packets: capture(packets, big),
        (Target("sniffkit", "lost", 1.0, "tcpdump"), Target("sniffkit", "cpu", 1.3, "tcpdump")),
    ),
    Case(
        "live-large",
        "capture over veth at full speed: 1,400-byte packets of 64 flows",
        lambda packets: capture(packets, transfer),
        (Target("sniffkit", "lost", 1.0, "tcpdump"), Target("sniffkit", "cpu", 1.3, "tcpdump")),
    ),
    Case(
        "http",
        "HTTP transactions of 152 MB that nginx served to curl over a veth pair: 2,200, the files of a site",
        lambda _: http("web"),
        (Target("same fields", "cpu", 1 / 50, "tshark"),),
    ),
    Case(
        "http-answers",
        "the same of 150 MB of short answers, 78,000 transactions",
        lambda _: http("answers"),
        (Target("same fields", "cpu", 1 / 50, "tshark"),),
    ),
    Case(
        "extract",
        "its bodies as files",
        extract,
        (Target("sniffkit", "cpu", 1 / 2, "tcpflow"), Target("sniffkit", "cpu", 1 / 5, "tshark")),
    ),
    Case(
        "sql",
        "questions in SQL, against whole tables",
        sql,
        (Target("sql flows", "wall", 1.2, "flows"), Target("two columns", "wall", 1 / 2, "packets")),
    ),
    Case(
        "many",
        "data set of 16 files, 5 GB",
        many,
        (Target("two workers", "wall", 1 / 1.7, "one core"),),
    ),
    Case(
        "many-memory",
        "data set of 32 files, 10 GB: the larger of two workers",
        many_memory,
        (Target("10 GB", "rss", 300e6),),
    ),
    Case(
        "dask",
        "data set of 16 files by two Dask workers, their start not measured (CPU and MB: the client's)",
        dask,
        (Target("Dask, two", "wall", 1 / 1.5, "one core"),),
    ),
    Case(
        "labs",
        "100 namespaces in a line with veth pairs, addresses, all up (links only: neither)",
        line_of_labs,
        (
            Target("sniffkit", "wall", 1.5, "ip -batch"),
            Target("sniffkit", "wall", 1.5, "nested batches"),
        ),
    ),
    Case(
        "startup",
        "before any work",
        startup,
        (Target("--help", "wall", 0.150), Target("import", "wall", 0.100)),
    ),
)
