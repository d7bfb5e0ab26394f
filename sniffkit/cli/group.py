"""All commands as click knows them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from sniffkit import __version__
from sniffkit.cli import COMMANDS, forget_stdout, say


def with_debug(command: click.Command) -> click.Command:
    """A command, and its own ones, that take --debug behind their names too; `sniffkit.cli.main` looks for it."""
    if all(option.name != "debug" for option in command.params):
        command.params.append(click.Option(["--debug"], is_flag=True, expose_value=False, hidden=True))
    if isinstance(command, click.Group):
        for one in command.commands.values():
            with_debug(one)
    return command


@contextmanager
def quiet_on_a_closed_pipe() -> Iterator[None]:
    """The reader went away: quiet, also when the interpreter flushes at exit, and no failure (click exits 1)."""
    try:
        yield
    except BrokenPipeError:
        forget_stdout()
        raise click.exceptions.Exit(0) from None


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command runs or shows its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return with_debug(command)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with quiet_on_a_closed_pipe():  # our own --help and --version print here
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with quiet_on_a_closed_pipe():
            result = super().invoke(ctx)
            sys.stdout.flush()
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


def _command(arguments: list[str]) -> list[str]:
    """The command that is asked for, if there is one."""
    return [word for word in arguments if word in COMMANDS][:1]


def run(arguments: list[str]) -> int:
    """Run any command; the exit code."""
    try:
        code = cli.main(args=arguments, prog_name="sniffkit", standalone_mode=False)
    except click.exceptions.Abort:
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        for line in error.format_message().splitlines():
            say(line)
        return 2
    except click.UsageError as error:
        # An option without its value comes without a context.
        path = error.ctx.command_path if error.ctx else " ".join(["sniffkit", *_command(arguments)])
        say(f"sniffkit: {' '.join(error.format_message().split())} (see {path} --help)")
        return 2
    except click.ClickException as error:
        say(f"sniffkit: {error.format_message()}")
        return 2
    return code if isinstance(code, int) else 0
