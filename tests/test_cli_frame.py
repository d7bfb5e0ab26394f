"""The frame that every command runs in: exit codes, one-line errors, closed pipes, lazy loading."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable

import click
import pytest

import sniffkit
from sniffkit import cli
from sniffkit.cli import group
from sniffkit.errors import CaptureError, SniffkitError
from sniffkit.points import MOST_RING_KIB

HEAVY = ("pyarrow", "pandas", "polars", "duckdb", "scapy", "pyroute2", "pyshark", "nmap", "numpy")


def python(code: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run `sniffkit probe …` with a body of the test's own; returns exit code, stdout and stderr."""

    def call(body: Callable[[], object] | None, *arguments: str) -> tuple[int, str, str]:
        @click.command()
        def probe() -> None:
            if body is not None:
                body()

        monkeypatch.setitem(cli.COMMANDS, "probe", (__name__, "probe", "A command of the tests."))
        monkeypatch.setattr(sys.modules[__name__], "probe", probe, raising=False)
        with pytest.raises(SystemExit) as stop:
            cli.main([*arguments])
        code = stop.value.code
        assert isinstance(code, int)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def raising(error: BaseException) -> Callable[[], object]:
    def body() -> object:
        raise error

    return body


def test_help_names_every_command_without_loading_one(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = run(raising(AssertionError("the command ran")), "--help")
    assert (code, err) == (0, "")
    assert "A command of the tests." in out
    for name in cli.COMMANDS:
        assert f"\n  {name} " in out


def test_version(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = run(None, "--version")
    assert code == 0
    assert sniffkit.__version__ in out


def test_a_command_that_works_exits_0(run: Callable[..., tuple[int, str, str]]) -> None:
    assert run(lambda: print("done"), "probe") == (0, "done\n", "")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [(["nosuch"], "nosuch"), (["--nosuch"], "--nosuch"), (["probe", "--nosuch"], "--nosuch"), (["probe", "x"], "x")],
)
def test_a_wrong_command_line_is_one_line_and_exit_2(
    run: Callable[..., tuple[int, str, str]], arguments: list[str], names: str
) -> None:
    code, out, err = run(None, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1, err
    assert err.startswith("sniffkit: ")
    assert names in err


def test_an_error_of_ours_is_one_line_and_its_exit_code(run: Callable[..., tuple[int, str, str]]) -> None:
    assert run(raising(SniffkitError("no such file: x.pcap")), "probe") == (2, "", "sniffkit: no such file: x.pcap\n")
    incomplete = CaptureError("ended early")
    incomplete.exit_code = 1
    assert run(raising(incomplete), "probe") == (1, "", "sniffkit: ended early\n")


def test_no_more_files_is_not_taken_for_a_full_stdout(run: Callable[..., tuple[int, str, str]]) -> None:
    for name in (None, "x.pcap"):
        error = OSError(errno.EMFILE, "Too many open files", name)
        assert run(raising(error), "probe") == (1, "", "sniffkit: Too many open files\n")


def test_stdout_is_forgotten_where_no_more_files_can_be_open() -> None:
    code = "import os, resource, sys, sniffkit.cli as c\nresource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
    done = python(code + "c.forget_stdout()\nprint('gone')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_debug_shows_the_traceback() -> None:
    code = "import sniffkit.cli as c, sniffkit.errors as e, click\n"
    code += "@click.command()\ndef probe(): raise e.SniffkitError('no luck')\n"
    code += "c.COMMANDS['probe'] = ('__main__', 'probe', '')\n"
    plain, debug = (python(code + f"c.main({arguments})") for arguments in (["probe"], ["--debug", "probe"]))
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr
    assert "no luck" in debug.stderr


def test_debug_stands_anywhere_and_changes_no_exit_code(called: Callable[..., tuple[int, str, str]]) -> None:
    for arguments in (
        ["--debug", "flows", "nosuch.pcap"],
        ["flows", "nosuch.pcap", "--debug"],
        ["lab", "--debug", "show", "x"],
    ):
        code, out, err = called(*arguments)
        assert (code, out, "Traceback" in err) == (2, "", True), arguments
    assert called("flows", "--", "--debug") == (2, "", "sniffkit: --debug: No such file or directory\n")


def test_interrupt_exits_130(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = run(raising(KeyboardInterrupt()), "probe")
    assert (code, out) == (130, "")
    assert "Traceback" not in err


def unread(*arguments: str) -> tuple[int, str]:
    """Exit code and stderr of Python whose stdout nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)  # as after `| head` has gone
    try:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    finally:
        os.close(writing)
    return done.returncode, done.stderr


@pytest.mark.parametrize("lines", [1, 100_000], ids=["within one buffer", "more than a pipe holds"])
@pytest.mark.parametrize("printer", ["print", "click.echo"])
def test_a_closed_pipe_is_quiet(lines: int, printer: str) -> None:
    code = "import sniffkit.cli as c, click\n"
    code += f"@click.command()\ndef probe():\n  for n in range({lines}): {printer}(n)\n"
    code += "c.COMMANDS['probe'] = ('__main__', 'probe', '')\nc.main(['probe'])"
    assert unread("-c", code) == (0, "")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["flows", "--help"], ["lab", "up", "--help"]])
def test_help_for_a_reader_who_went_away_is_quiet(arguments: list[str]) -> None:
    assert unread("-m", "sniffkit", *arguments) == (0, "")


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_each_command_loads_and_its_help_has_examples(name: str) -> None:
    command = group.cli.get_command(click.Context(group.cli), name)
    assert isinstance(command, click.Command)
    with click.Context(command, info_name=f"sniffkit {name}") as context:
        text = command.get_help(context)
    assert f"sniffkit {name}" in text.split("Usage:", 1)[1].split("\n", 1)[1], "--help shows no example"


def test_help_tells_the_size_of_a_ring_as_it_is() -> None:
    from sniffkit import _core

    command = group.cli.get_command(click.Context(group.cli), "capture")
    assert command is not None
    (option,) = [one for one in command.params if "-B" in one.opts]
    assert isinstance(option, click.Option)
    assert f"({_core.RING_KIB}; less if many)" in (option.help or "")
    assert isinstance(option.type, click.IntRange)
    live = _core.LiveOptions()
    live.buffer = (MOST_RING_KIB + 1) * 1024
    with pytest.raises(OSError, match=f"a ring has at most {option.type.max} KiB"):
        _core.LiveSession([(None, "lo")], live)


@pytest.mark.parametrize(
    "code", ["import sniffkit", "import sniffkit.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass"]
)
def test_nothing_heavy_is_imported_before_it_is_used(code: str) -> None:
    done = python(f"import sys\n{code}\nprint('loaded:', *[m for m in {HEAVY!r} if m in sys.modules])")
    assert done.returncode == 0, done.stderr
    assert done.stdout.rsplit("loaded:", 1)[1].split() == []


def test_every_public_name_resolves() -> None:
    for name in sniffkit.__all__:
        assert getattr(sniffkit, name) is not None
    with pytest.raises(AttributeError, match="nosuch"):
        sniffkit.nosuch  # noqa: B018
