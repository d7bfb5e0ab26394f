"""The `sniffkit` command: one command a module, loaded when it is called."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from contextlib import suppress
from typing import Any

import click

from sniffkit import __version__
from sniffkit.errors import SniffkitError

# command -> (module, attribute, one-line help). The help stands here so that `sniffkit --help` imports no command.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "interfaces": ("sniffkit.cli.interfaces", "interfaces", "Interfaces of one or all namespaces."),
    "capture": ("sniffkit.cli.capture", "capture", "Capture live on interfaces in any namespace."),
    "read": ("sniffkit.cli.read", "read", "Print captured frames, a line each, as tcpdump does."),
    "packets": ("sniffkit.cli.table", "packets", "Table of frames."),
    "flows": ("sniffkit.cli.table", "flows", "Table of flows."),
    "http": ("sniffkit.cli.table", "http", "Table of HTTP requests with their responses."),
    "dns": ("sniffkit.cli.table", "dns", "Table of DNS queries with their answers."),
    "tls": ("sniffkit.cli.table", "tls", "Table of TLS handshakes."),
    "dhcp": ("sniffkit.cli.table", "dhcp", "Table of DHCP messages."),
    "streams": ("sniffkit.cli.table", "streams", "Table of TCP streams."),
    "files": ("sniffkit.cli.table", "files", "Table of bodies that were transferred."),
    "follow": ("sniffkit.cli.follow", "follow", "Both sides of flows, as they were said."),
    "extract": ("sniffkit.cli.extract", "extract", "Streams or HTTP bodies as files."),
    "arp": ("sniffkit.cli.arp", "arp", "Who claims which address, and whether somebody lies."),
    "neighbors": ("sniffkit.cli.table", "neighbors", "Table of ARP and IPv6 Neighbor Discovery messages."),
    "hosts": ("sniffkit.cli.hosts", "hosts", "Hosts by what their traffic tells."),
    "scan": ("sniffkit.cli.scan", "scan", "Hosts, ports and services, by nmap inside a namespace."),
    "sql": ("sniffkit.cli.sql", "sql", "Ask the tables of captures in SQL."),
    "stats": ("sniffkit.cli.stats", "stats", "Summary, hierarchy, conversations, endpoints, I/O, TCP health."),
    "diff": ("sniffkit.cli.diff", "diff", "Two captures of the same traffic: loss, delay, what changed."),
    "trace": ("sniffkit.cli.trace", "trace", "The same packet at each point it was seen, hop by hop."),
    "lab": ("sniffkit.cli.lab", "lab", "Virtual networks from a YAML file: up, down, check, graph, …."),
    "doctor": ("sniffkit.cli.doctor", "doctor", "What this machine allows, and how to get what is missing."),
}


def forget_stdout() -> None:
    """Nothing more can be written: not an error again when the interpreter flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command runs or shows its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader went away: quiet, also when the interpreter flushes at exit, and no failure (click exits 1).
            forget_stdout()
            return 0
        return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if not COMMANDS:
            return
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sniffkit")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Capture, decode and tabulate traffic of virtual networks.

    \b
    First of all:
      sniffkit capture --netns ns1 -i veth1    a line a packet; saves pcapng and flow table under captures/
      sniffkit flows                           the flow table of the newest capture
    """
    ctx.obj = {"debug": debug}


def main(argv: list[str] | None = None) -> Any:
    """Run the command line. Exit codes: 0 fine, 1 nothing found or incomplete, 2 bad request, 130 after ^C."""
    debug = "--debug" in (sys.argv[1:] if argv is None else argv)
    try:
        code = cli.main(args=argv, prog_name="sniffkit", standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except KeyboardInterrupt:
        code = 130
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = 2
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "sniffkit"
        print(f"sniffkit: {' '.join(error.format_message().split())} (see {path} --help)", file=sys.stderr)
        code = 2
    except click.ClickException as error:
        print(f"sniffkit: {error.format_message()}", file=sys.stderr)
        code = 2
    except SniffkitError as error:
        if debug:
            raise
        code = failed(error)
    except OSError as error:
        if debug or error.filename is not None:
            raise
        from sniffkit.tables import output_error

        forget_stdout()
        code = failed(output_error("standard output", error))
    code = code if isinstance(code, int) else 0
    if argv is None:
        leave(code)
    sys.exit(code)


def failed(error: SniffkitError) -> int:
    """Say what went wrong; the exit code."""
    print(f"sniffkit: {error}", file=sys.stderr)
    return error.exit_code


def leave(code: int) -> None:
    """End the process, quickly where nobody waits for its end: taking the interpreter apart is a twentieth of a short
    command's time.
    """
    if "threading" not in sys.modules:  # then there are no threads, and no module that has to do something at the end
        with suppress(OSError):
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            os._exit(code)
    if "duckdb" not in sys.modules:  # its binding would tell of every object left as a leak
        gc.freeze()  # what is left need not be searched for cycles
