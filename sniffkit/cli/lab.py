"""`sniffkit lab`: virtual networks from a YAML file: up, down, list, show, graph, exec, check, from-host."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from sniffkit.cli import say
from sniffkit.errors import LabError, PrivilegeError
from sniffkit.interrupts import end_as_on_interrupt

if TYPE_CHECKING:
    from sniffkit.sinks import Output


@click.group()
def lab() -> None:
    """Build virtual networks from one YAML file, run commands in them, prove what must flow.

    \b
    Examples:
      sniffkit lab up docs/labs/veth.yaml
      sniffkit lab exec net1 -- ping -c1 10.0.0.11
      sniffkit lab check docs/labs/veth.yaml
      sniffkit lab down docs/labs/veth.yaml
    """


@lab.command()
@click.argument("file", type=click.Path())
@click.option("--dry-run", is_flag=True, help="Only print the operations, as iproute2 commands.")
@click.pass_context
def up(ctx: click.Context, /, file: str, dry_run: bool) -> None:
    """Make a lab, or change a running one into what the file says now.

    \b
    Examples:
      sniffkit lab up docs/labs/veth.yaml
      sniffkit lab up docs/labs/nat.yaml --dry-run
    """
    from sniffkit.lab.namespaces import unseen
    from sniffkit.lab.running import Lab
    from sniffkit.lab.spec import parse

    made = Lab(parse(file))
    if dry_run:
        for op in made.plan():
            print(op.line)
        return
    end_as_on_interrupt()
    made.up(keep=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it is done: while Python ends there is nothing to take back
    size = f"{len(made.spec.nodes)} namespaces, {len(made.spec.interfaces)} interfaces"
    say(f"sniffkit: lab {made.name} is up: {size}")
    if unseen(made, made.directory):
        say(
            f"sniffkit: the namespaces of lab {made.name} are seen in this mount namespace alone, and lost with it: "
            f"take nsenter --net=/run/netns/NAME instead of ip netns exec NAME"
        )


@lab.command()
@click.argument("lab", required=False)
@click.option("--all", "everything", is_flag=True, help="Every lab that is up.")
@click.pass_context
def down(ctx: click.Context, /, lab: str | None, everything: bool) -> None:
    """Remove a lab, by its file or its name, and nothing else. One that is not up is no error.

    Exits with 1 if an interface of this machine could not be brought back: it and the lab's record stay.

    \b
    Examples:
      sniffkit lab down docs/labs/veth.yaml
      sniffkit lab down veth
      sniffkit lab down --all
    """
    from sniffkit.lab import state
    from sniffkit.lab.engine import tear_down

    if (lab is None) == (not everything):
        raise LabError("down needs a FILE or a lab's name, or --all")
    end_as_on_interrupt()
    stayed = False
    for name in state.names() if lab is None else [name_of(lab)]:
        if not (state.ROOT / name).is_dir():
            say(f"sniffkit: lab {name} is not up")
            continue
        for text in tear_down(state.Journal(state.ROOT / name)):
            say(f"sniffkit: {text}")
        stayed |= (state.ROOT / name).is_dir()
    ctx.exit(1 if stayed else 0)


def name_of(text: str) -> str:
    """The name of a lab given by its file or its name. A file that is gone or wrong still names its lab.

    Raises LabError if the lab of that name came up from another file.
    """
    import os

    from sniffkit.lab import state
    from sniffkit.lab.spec import parse

    if "/" not in text and text in state.names():
        return text
    path = os.path.abspath(text)
    hidden = False  # whether there are labs whose file root alone may know
    for name in state.names():
        try:
            if state.file_of(name) == path:
                return name
        except PrivilegeError:
            hidden = True
    if os.path.exists(text):
        name = parse(text).name
        other = state.file_of(name)
        if name in state.names() and (other is None or os.path.realpath(other) != os.path.realpath(path)):
            raise LabError(f"{text}: lab {name} is up from {other or 'a Python program'}: sniffkit lab down {name}")
        return name
    if "/" in text or text.endswith((".yaml", ".yml")):
        if hidden:
            raise PrivilegeError(f"{text}: no such file; whether a lab came up from it root may see: run it with sudo")
        raise LabError(f"{text}: no such file")
    return text


@lab.command("list")
@click.option("-o", "--out", metavar="FILE", help="Write to FILE: .parquet .csv .jsonl .arrow; - is stdout.")
@click.option("--json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def list_(ctx: click.Context, /, out: str | None, json: bool) -> None:
    """List the labs that are up. Of labs that only root may read there is the name; exit 1.

    \b
    Examples:
      sniffkit lab list
      sniffkit lab list --json
    """
    from sniffkit.lab.report import LABS, labs

    rows = labs()
    _write("labs", rows, LABS, _output(out, json))
    hidden = sum(row["state"] is None for row in rows)
    if hidden:
        say(f"sniffkit: {hidden} of {len(rows)} labs not read: labs are root's; run it with sudo")
    ctx.exit(1 if hidden else 0)


@lab.command()
@click.argument("lab")
@click.option("-o", "--out", metavar="FILE", help="Write to FILE: .parquet .csv .jsonl .arrow; - is stdout.")
@click.option("--json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def show(ctx: click.Context, /, lab: str, out: str | None, json: bool) -> None:
    """Show a lab's interfaces: kind, addresses, where they lead, and their state if the lab is up.

    LAB is a file, the name of a lab that is up, or a capture that was made in one.

    \b
    Examples:
      sniffkit lab show docs/labs/vlan.yaml
      sniffkit lab show veth --json
    """
    from sniffkit.lab.report import INTERFACES, interfaces, load, outdated

    spec = load(lab)
    changed = outdated(spec)
    if changed is not None:
        say(f"sniffkit: {changed}")
    ctx.exit(0 if _write("lab_interfaces", interfaces(spec), INTERFACES, _output(out, json)) else 1)


def _output(out: str | None, json: bool) -> Output:
    from sniffkit.sinks import Output

    return Output(out, json, sys.stdout.isatty())


def _write(name: str, rows: list[dict[str, Any]], kinds: dict[str, str], output: Output) -> int:
    from sniffkit.sinks import write_rows

    write_rows(name, rows, kinds, output)
    return len(rows)


@lab.command()
@click.argument("lab")
@click.option("-o", "--out", metavar="FILE", help="Write .svg, .png, .dot or .txt; without it, or to -, text.")
def graph(lab: str, out: str | None) -> None:
    """Draw a lab: namespaces as boxes, interfaces with addresses, VLANs and VNIs, and the links between.

    LAB is a file, the name of a lab that is up, or a capture that was made in one.

    \b
    Examples:
      sniffkit lab graph docs/labs/nat.yaml
      sniffkit lab graph docs/labs/nat.yaml -o nat.svg
    """
    from sniffkit.lab.graph import draw
    from sniffkit.lab.report import load

    draw(load(lab), None if out == "-" else out)


@lab.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("node")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(node: str, command: tuple[str, ...]) -> None:
    """Run a command in a node of a lab that is up; exits with its exit code. LAB/NODE where two labs have the node.

    \b
    Examples:
      sniffkit lab exec net1 -- ping -c1 10.0.0.11
      sniffkit lab exec net1 bash
    """
    import os

    from sniffkit.lab.report import find_node

    words = list(command[1:] if command[0] == "--" else command)
    if not words:
        raise LabError("exec needs a command after the node")
    argv, env = find_node(node, words)
    sys.stdout.flush()
    for number in (
        signal.SIGPIPE,
        signal.SIGXFSZ,
    ):  # Python ignores them, and what is ignored stays so behind execve(2)
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        raise LabError(f"{argv[0]}: {error.strerror}") from None


@lab.command()
@click.argument("file", type=click.Path())
@click.option("-w", "write", metavar="FILE", help="Keep what was captured meanwhile, pcapng.")
@click.option("-o", "--out", metavar="FILE", help="Write to FILE: .parquet .csv .jsonl .arrow; - is stdout.")
@click.option("--json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def check(ctx: click.Context, /, file: str, write: str | None, out: str | None, json: bool) -> None:
    """Run a lab's traffic and expectations, and say which failed and what was seen on the wire.

    A lab that is not up is built for it and removed again. Exits with 1 if an expectation is not met.

    \b
    Examples:
      sniffkit lab check docs/labs/nat.yaml
      sniffkit lab check docs/labs/vxlan.yaml -w vxlan.pcapng
    """
    from sniffkit.cli.inputs import damage_as_lines
    from sniffkit.lab.check import COLUMNS, check_file

    output = _output(out, json)
    end_as_on_interrupt()
    with damage_as_lines():
        results = check_file(file, write)
    kinds = COLUMNS | {"ok": "text"} if output.is_text else COLUMNS
    _write("lab_check", [one.row(output.is_text) for one in results], kinds, output)
    for one in results:
        for line in one.seen if not one.ok else []:
            say(f"  {line}")
    failed = sum(not one.ok for one in results)
    if failed:
        say(f"sniffkit: {failed} of {len(results)} expectations failed")
    ctx.exit(1 if failed else 0)


@lab.command("from-host")
@click.option("-o", "--out", metavar="FILE", help="Write to FILE instead of standard output.")
@click.option("--netns", metavar="NAME", multiple=True, help="Only these namespaces (all that have names).")
def from_host(out: str | None, netns: tuple[str, ...]) -> None:
    """Write the YAML of what runs on this machine: namespaces, links, addresses, routes, rules, nftables and the rest.

    What a lab file has no words for, programs among it, is named in comments at its end.

    \b
    Examples:
      sniffkit lab from-host
      sniffkit lab from-host --netns ns1 --netns ns2 -o found.yaml
    """
    from sniffkit.lab.host import from_host as found
    from sniffkit.sinks.file import NewFile

    text = found(list(netns))
    if out is None or out == "-":
        print(text, end="")
        return
    with NewFile(out) as file:
        file.write(text.encode())


@lab.command()
def schema() -> None:
    """Print the JSON schema of a lab file.

    \b
    Examples:
      sniffkit lab schema > lab.schema.json
    """
    import json

    from sniffkit.lab.filekeys import json_schema

    print(json.dumps(json_schema(), indent=1))
