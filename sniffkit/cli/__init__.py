"""The `sniffkit` command: one command a module, loaded when it is called."""

from __future__ import annotations

import gc
import os
import sys

from sniffkit.errors import SniffkitError

TYPE_CHECKING = False  # as typing's, whose import takes longer than that of the modules of a plain command together
if TYPE_CHECKING:
    from collections.abc import Sequence

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
    "ui": ("sniffkit.cli.ui", "ui", "Captures, and live ones, in a web page."),
    "doctor": ("sniffkit.cli.doctor", "doctor", "What this machine allows, and how to get what is missing."),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line. Exit codes: 0 fine, 1 nothing found or incomplete, 2 bad request, 130 after ^C."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments[: arguments.index("--") if "--" in arguments else None]
    try:
        code = run(arguments)
    except KeyboardInterrupt:
        code = 130
    except SniffkitError as error:
        if debug:
            show_traceback()
        code = failed(error)
    except BrokenPipeError:
        # The reader went away: quiet, also when the interpreter flushes at exit, and no failure.
        forget_stdout()
        code = 0
    except ModuleNotFoundError as error:
        from sniffkit.packages import missing

        lacking = missing(error)
        if lacking is None:
            raise
        if debug:
            show_traceback()
        code = failed(lacking)
    except OSError as error:
        if debug:
            show_traceback()
        code = cannot_go_on(error)
    if argv is None:
        leave(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run a command, quickly if it is of the plain form; the exit code."""
    from sniffkit.cli import plain

    request = plain.parse(arguments)
    if request is None:
        from sniffkit.startup import import_click

        import_click()
        from sniffkit.cli.group import run as run_any

        imported()
        return run_any(arguments)
    run_plain = request.runner()
    imported()
    code = run_plain(request.command, request.words, request.options)
    sys.stdout.flush()
    return code


def show_traceback() -> None:
    """Show where the error that is handled comes from, on stderr."""
    import traceback

    traceback.print_exc()


def imported() -> None:
    """What has been imported stays, and need never be searched for garbage."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def cannot_go_on(error: OSError) -> int:
    """Say what the system refused: files, memory, the working directory or, where no file is named, to write to stdout;
    the exit code.
    """
    import errno

    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        say(f"sniffkit: {error.strerror}")
        return 1
    if error.filename is not None:
        raise error
    if error.errno == errno.ENOENT:  # of getcwd(3); no write ends so
        return failed(SniffkitError("the working directory was removed: change into another one"))
    from sniffkit.tables import output_error

    forget_stdout()
    return failed(output_error("standard output", error))


def forget_stdout() -> None:
    """Nothing more can be written: not an error again when the interpreter flushes at exit."""
    stdout = sys.stdout.fileno()
    os.close(stdout)  # first: where no more files can be open, this makes room for one
    null = os.open(os.devnull, os.O_WRONLY)
    if null != stdout:
        os.dup2(null, stdout)


def failed(error: SniffkitError) -> int:
    """Say what went wrong; the exit code."""
    say(f"sniffkit: {error}")
    return error.exit_code


def say(text: str) -> None:
    """A line on stderr for whoever watches: one, whatever is in it, and no command to a terminal. That nobody can read
    it changes nothing else.
    """
    if not text.isprintable():
        from sniffkit.sinks.screen import printable

        text = printable(text).replace("\n", "\\n")
    try:  # noqa: SIM105 - contextlib takes longer to import than the rest of this
        print(text, file=sys.stderr, flush=True)
    except OSError:
        pass


def leave(code: int) -> None:
    """End the process, quickly where nobody waits for its end: taking the interpreter apart is a twentieth of a short
    command's time.
    """
    idle = "threading" not in sys.modules and "atexit" not in sys.modules  # then nothing is left to be done at the end
    # DuckDB's binding tells of every object that is left as a leak: of those that ^C left where they were too. And a
    # query that goes on would be waited for.
    asking = "_duckdb" in sys.modules
    if idle or (asking and code == 130):
        try:
            if not idle:
                import atexit

                atexit._run_exitfuncs()
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        except OSError:
            return
        os._exit(code)
    if not asking:
        gc.freeze()  # what is left need not be searched for cycles
