"""The rows of a table: made of captures, and put where they were asked for."""

from __future__ import annotations

import os
import sys

from sniffkit.cli.inputs import damage_as_lines
from sniffkit.cli.inputs import files as inputs_of
from sniffkit.cli.progress import counter
from sniffkit.errors import SniffkitError

TYPE_CHECKING = False  # as in sniffkit.cli
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class About:
    """What a table's command says of it. short: columns on a terminal when none are asked for, the most wanted
    first (the last ones go where it is narrow); all without.
    """

    def __init__(self, summary: str, examples: Sequence[str], short: Sequence[str] | None = None) -> None:
        self.summary, self.examples, self.short = summary, examples, short


# A table without an entry here has a command all the same: its line in COMMANDS is enough. Files and --json always have
# every column.
ABOUT: dict[str, About] = {
    "flows": About(
        "One row per bidirectional flow, Zeek's column names.",
        [
            "sniffkit flows",
            "sniffkit flows lab.pcapng -o flows.parquet",
            "sniffkit flows 'captures/*.pcapng' -o flows/",
            "sniffkit flows a.pcap b.pcapng --where \"service = 'dns'\" --sort 'orig_bytes desc' --limit 10",
        ],
        [
            *("ts", "proto", "orig_h", "orig_p", "resp_h", "resp_p", "vlan", "vni", "service", "conn_state"),
            *("orig_pkts", "resp_pkts", "orig_bytes", "resp_bytes", "duration", "history"),
        ],
    ),
    "packets": About(
        "One row per frame, Wireshark's field names.",
        [
            "sniffkit packets lab.pcapng",
            "sniffkit packets big.pcap -o packets.parquet",
            "sniffkit packets lab.pcapng --columns ts,ip_src,ip_dst --where 'tcp_flags & 2 > 0'",
        ],
        [
            *("frame_number", "ts", "ip_src", "src_port", "ip_dst", "dst_port", "protocols", "frame_len", "malformed"),
            *("tcp_flags", "vlan_id", "vxlan_vni", "payload_len", "interface"),
        ],
    ),
    "http": About(
        "One row per HTTP request with its response, on any port.",
        [
            "sniffkit http lab.pcapng",
            "sniffkit http big.pcap --where 'status_code >= 400' --columns ts,host,uri,status_code",
            "sniffkit http --live --netns ns1 -i veth1",
        ],
        [
            *("ts", "method", "host", "uri", "status_code", "response_body_len", "content_type", "duration"),
            *("orig_h", "resp_h", "resp_p", "complete"),
        ],
    ),
    "files": About(
        "One row per body that was transferred: name, type, size, SHA-256.",
        [
            "sniffkit files lab.pcapng",
            "sniffkit files lab.pcapng --where \"mime_type like 'image/%'\" -o images.parquet",
        ],
        ["ts", "filename", "mime_type", "size", "orig_h", "resp_h", "is_orig", "sha256", "complete"],
    ),
    "dns": About(
        "One row per DNS, mDNS or LLMNR query with its answer.",
        ["sniffkit dns lab.pcapng", "sniffkit dns lab.pcapng --where \"rcode_name = 'NXDOMAIN'\""],
        ["ts", "query", "qtype_name", "rcode_name", "answers", "rtt", "orig_h", "resp_h", "proto"],
    ),
    "tls": About(
        "One row per TLS handshake: server name, version, cipher, JA3, JA4.",
        ["sniffkit tls lab.pcapng", "sniffkit tls lab.pcapng --columns server_name,ja4,established"],
        ["ts", "server_name", "version", "cipher", "established", "alpn", "ja4", "orig_h", "resp_h", "resp_p"],
    ),
    "dhcp": About(
        "One row per DHCP or DHCPv6 message: leases, host names.",
        ["sniffkit dhcp lab.pcapng"],
        [
            *("ts", "msg_type", "client_mac", "host_name", "assigned_addr", "requested_addr", "server_addr"),
            *("lease_time", "orig_h", "resp_h"),
        ],
    ),
    "streams": About(
        "One row per direction of each TCP connection: bytes, SHA-256, missing ranges.",
        ["sniffkit streams lab.pcapng"],
        ["uid", "ts", "orig_h", "orig_p", "resp_h", "resp_p", "is_orig", "size", "complete", "missing"],
    ),
}


def about(name: str) -> About:
    """What is said of a table; without an entry in ABOUT, the line of COMMANDS."""
    from sniffkit.cli import COMMANDS

    examples = (f"sniffkit {name} lab.pcapng", f"sniffkit {name} lab.pcapng -o {name}.parquet")
    return ABOUT.get(name) or About(COMMANDS[name][2], examples)


def run_plain(name: str, given: tuple[str, ...], options: dict[str, Any]) -> int:
    """The command in its plain form; the exit code."""
    return run(name, given, **options)


def run(name: str, given: tuple[str, ...], **options: Any) -> int:
    """Make the table `name` and put it where it was asked for; 1 if it is empty or a capture is damaged."""
    from sniffkit.api import open as open_capture
    from sniffkit.cli.rules import rules_of
    from sniffkit.sinks import Output, write

    columns = split(options["columns"])
    inputs = inputs_of(given)
    out = Output(options["out"], options["json"], sys.stdout.isatty(), fit=columns is None)
    query = {key: options[key] for key in ("where", "sort", "limit") if options[key] is not None}
    shown = columns
    if columns is None and out.is_screen:
        short = about(name).short
        shown = None if short is None else list(short)
    with damage_as_lines() as damage:
        capture = open_capture(inputs)
        needed, keep, asked = shown, None, bool(set(query) - {"limit"})
        if asked:
            from sniffkit.points import utf8
            from sniffkit.sql import for_rows

            utf8(options["where"], options["sort"])
            needed, keep = for_rows(capture, name, shown, options["where"], options["sort"])
        table = capture.named(name, needed, options["filter"], keep, **rules_of(options))
        with counter("frames", sys.stderr) as table.progress:
            rows = write(table, out, columns=shown if asked else None, **query)
    return 1 if damage or rows == 0 else 0


def is_directory(out: str | None) -> bool:
    """Whether `-o` names a directory, in which a data set is made: by its slash, or because it is one."""
    from sniffkit.sinks import SINKS

    if out is None or out == "-":
        return False
    return out.endswith("/") or (os.path.isdir(out) and os.path.splitext(out)[1].lower() not in SINKS)


def split(text: str | None) -> list[str] | None:
    """`a,b c` as names, of which each is one column."""
    if text is None:
        return None
    names = list(dict.fromkeys(text.replace(",", " ").split()))
    if not names:
        raise SniffkitError("--columns needs at least one name")
    return names
