"""`sniffkit capture`: capture live on interfaces in any namespace."""

from __future__ import annotations

import itertools
from typing import Any

import click

from sniffkit.cli.lineoptions import absolute_option, times_option
from sniffkit.cli.rules import rule_options
from sniffkit.points import MOST_RING_KIB


class CaptureCommand(click.Command):
    """`--print` alone prints frames, as tcpdump's; `--print http` (dns tls dhcp) transactions as they end."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for at, (one, behind) in enumerate(itertools.pairwise(args)):
            if one == "--print" and behind in ("http", "dns", "tls", "dhcp"):
                args = [*args[:at], f"--print-rows={behind}", *args[at + 2 :]]
                break
        return super().parse_args(ctx, args)


@click.command(cls=CaptureCommand)
@click.argument("expression", nargs=-1, metavar="[FILTER]")
@click.option("--netns", metavar="NS", help="Namespace of the interfaces without one: ip netns name, path or PID.")
@click.option(
    "-i", "--interface", "interface", multiple=True, metavar="[NS/]IF", help="Where to capture; repeatable; any."
)
@click.option("--lab", metavar="FILE", help="A lab that is up: -i NODE/IF, NODE or all. The file carries its topology.")
@click.option("-w", "write", metavar="FILE", help="Write pcapng (.pcap: pcap) and print nothing; - is stdout.")
@click.option(
    "--print",
    "print_lines",
    is_flag=True,
    help="Print a line a frame also with -w; --print http|dns|tls|dhcp: transactions.",
)
@click.option("--print-rows", "print_rows", type=click.Choice(["http", "dns", "tls", "dhcp"]), hidden=True)
@click.option("--no-save", is_flag=True, help="Only print; save nothing.")
@click.option("--dir", "directory", metavar="DIR", help="Where captures are saved ($SNIFFKIT_CAPTURES, captures/).")
@click.option("--flows", metavar="FILE", help="Keep the flow table while capturing: .parquet .csv .jsonl .arrow.")
@rule_options("1800")
@click.option("-c", "count", type=click.IntRange(1, 2**63), metavar="N", help="End after so many frames.")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), metavar="S", help="End after S seconds.")
@click.option("-s", "snap_len", type=click.IntRange(0, 262144), metavar="LEN", help="Bytes kept a frame (0: all).")
@click.option(
    "-B",
    "buffer",
    type=click.IntRange(1, MOST_RING_KIB),
    metavar="KIB",
    help="Ring size per interface (8192; less if many).",
)
@click.option(
    "-Q", "direction", type=click.Choice(["in", "out", "inout"]), default="inout", help="Only this direction."
)
@click.option("-p", "no_promiscuous", is_flag=True, help="No promiscuous mode.")
@click.option(
    "-C", "megabytes", type=click.IntRange(1, 10**12), metavar="MB", help="Next file after so many million bytes."
)
@click.option("-G", "seconds", type=click.IntRange(1, 2**32 - 1), metavar="S", help="Next file after so many seconds.")
@click.option(
    "-W",
    "files",
    type=click.IntRange(1, 2**32 - 1),
    metavar="N",
    help="So many files: a ring with -C, the end with -G.",
)
@click.option("-n", "numeric", is_flag=True, help="No names for addresses; always so, kept for tcpdump's users.")
@click.option("-l", "buffered", is_flag=True, help="Line-buffered; always so, kept for tcpdump's users.")
@click.option("-U", "by_packet", is_flag=True, help="In the file within half a second; always so, for tcpdump's users.")
@click.option("-K", "unverified", is_flag=True, help="No checksum hides a frame; always so, kept for tcpdump's users.")
@times_option
@absolute_option
@click.option("-e", "link", is_flag=True, help="Print the link header of each frame.")
@click.option("-x", "x", count=True, help="Dump in hexadecimal; -xx with the link header.")
@click.option("-X", "upper_x", count=True, help="Dump in hexadecimal and ASCII.")
@click.option("-A", "ascii", count=True, help="Dump as ASCII.")
@click.option("--json", is_flag=True, help="Print every header field of a frame, one JSON object a line.")
@click.option("-Z", "user", metavar="USER", help="Go on as this user once the sockets are open.")
@click.pass_context
def capture(ctx: click.Context, /, expression: tuple[str, ...], **options: Any) -> None:
    """Capture on interfaces in any network namespace, with tcpdump's filters and flags.

    Prints a line a frame and saves pcapng and flow table under captures/; with -w it writes that file and prints only
    with --print. ^C ends it: what the kernel holds by then is still written.

    \b
    Examples:
      sniffkit capture --netns ns1 -i veth1
      sniffkit capture -i ns1/veth1 -i ns2/veth2 -w both.pcapng --flows both.parquet 'tcp port 80'
      sniffkit capture --netns ns1 -i veth1 -w - | wireshark -k -i -
      sniffkit capture --lab docs/labs/nat.yaml -i router -i client/eth0
      sniffkit capture -i any -c 10 --no-save
    """
    from sniffkit.cli.session import run

    ctx.exit(run(" ".join(expression), options))
