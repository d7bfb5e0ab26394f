"""A command starts without the modules that click imports for others; whoever asks for one gets it."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniffkit import startup

WAIT = ("inspect", "uuid", "gettext", "dataclasses", "locale")


def python(code: str) -> list[str]:
    """The lines that `code` prints in a process of its own that began as the command does."""
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{textwrap.dedent(code)}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("arguments", [("http", "no/such.pcap"), ("flows", "no/such.pcap"), ("--version",)])
def test_a_command_does_without_what_it_does_not_use(arguments: tuple[str, ...]) -> None:
    shown = python(
        f"""
        import os
        from sniffkit.__main__ import main
        os._exit = sys.exit
        sys.argv[1:] = {arguments!r}
        try:
            main()
        except SystemExit:
            print(*[name for name in {WAIT!r} if name in sys.modules])
        """
    )
    assert shown[-1] == ""


def test_what_waits_is_there_when_it_is_asked_for() -> None:
    shown = python(
        """
        from sniffkit.startup import import_click
        import_click()
        assert "uuid" not in sys.modules
        import click
        print(repr(click.UUID.convert("12345678123456781234567812345678", None, None)))
        import uuid, inspect, gettext
        print(type(uuid).__name__, type(inspect).__name__, type(gettext).__name__, inspect.isfunction(import_click))
        print(click.types.uuid.UUID is uuid.UUID, click.core.inspect.isfunction is inspect.isfunction)
        """
    )
    assert shown == ["UUID('12345678-1234-5678-1234-567812345678')", "module module module True", "True True"]


def test_a_module_that_is_there_already_does_not_wait() -> None:
    shown = python(
        """
        import uuid
        from sniffkit.startup import import_click
        import_click()
        import click
        print(click.types.uuid is uuid, sys.modules["uuid"] is uuid)
        """
    )
    assert shown == ["True True"]


@given(st.text(alphabet=" \tab\n", max_size=20))
def test_help_texts_are_stripped_as_by_inspect(text: str) -> None:
    assert startup.cleandoc(text) == inspect.cleandoc(text)


def test_counts_in_messages_of_click() -> None:
    assert [startup.one_or_more("1 value", "more values", count) for count in (0, 1, 2)] == [
        "more values",
        "1 value",
        "more values",
    ]
