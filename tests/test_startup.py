"""A command starts without the modules that click imports for others; whoever asks for one gets it."""

from __future__ import annotations

import inspect
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniffkit import startup
from sniffkit.cli import group, plain, session

PCAP = str(Path(__file__).resolve().parent.parent / "rust" / "fuzz" / "corpus" / "pcap" / "micros-le")
HEAVY = ("click", "typing", "re", "contextlib", "datetime", "threading", "enum", "signal")
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


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("flows", PCAP, "-o", "f.parquet"), "0"),
        (("capture", "--netns", "no-such", "-i", "veth1", "-w", "x.pcapng"), "2"),
    ],
)
def test_a_plain_request_needs_no_click(
    arguments: tuple[str, ...], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = python(
        f"""
        import os
        from sniffkit.__main__ import main
        os._exit = sys.exit
        sys.argv[1:] = {arguments!r}
        try:
            main()
        except SystemExit as end:
            print(end.code, *[name for name in {HEAVY!r} if name in sys.modules])
        """
    )
    assert shown == [code]


WORDS = (
    *("a.pcap", "-", "", "b c", "/tmp", "new/", "3", "ts,uid", "o.parquet"),
    *("-o", "--out", "--out=p.csv", "-oq.csv", "--columns", "--columns=ts", "--json"),
    *("--limit", "--live", "-x", "--", "--where", "-f", "--help"),
)


CAPTURE_WORDS = (
    *("ns1", "ns1/veth1", "-", "", "tcp port 80", "10", "0", "007", "x.pcapng"),
    *("--netns", "--netns=ns2", "-i", "-iveth1", "--interface", "-w", "--flows", "-c", "-c3", "--no-save"),
    *("-n", "-e", "-p", "-ne", "-x", "-Q", "--print", "http", "--", "--help", "-l", "-U", "-K"),
)


def as_click(words: list[str]) -> tuple[object, dict[str, object]]:
    """The words, and the options by name, that click makes of a command line."""
    command = group.cli.get_command(click.Context(group.cli), words[0])
    assert command is not None
    given = command.make_context(words[0], words[1:]).params
    return given.pop("file" if "file" in given else "expression"), given


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_the_plain_form_of_a_table_is_what_click_would_make_of_it(words: list[str]) -> None:
    request = plain.parse(["http", *words])
    if request is None:
        return
    files, given = as_click(["http", *words])
    assert (request.command, request.words) == ("http", files)
    assert request.options == {option: given.pop(option) for option in request.options}
    assert not any(given.values())  # --live and its company, data sets


@given(st.lists(st.sampled_from(CAPTURE_WORDS), max_size=8))
def test_the_plain_form_of_a_capture_is_what_click_would_make_of_it(words: list[str]) -> None:
    request = plain.parse(["capture", *words])
    if request is not None:
        assert (request.words, request.options) == as_click(["capture", *words])


def test_plain_forms_are_taken_and_nothing_else() -> None:
    capture = [
        "capture",
        *[
            "--netns",
            "ns1",
            "-i",
            "veth1",
            "-i",
            "ns2/veth2",
            "-w",
            "x.pcapng",
            "--flows",
            "f.csv",
            "-c",
            "10",
            "-e",
            "tcp",
            "or",
            "arp",
        ],
    ]
    for words in (["flows", "a.pcap", "-o", "f.csv", "--json"], ["dns"], ["capture"], capture):
        request = plain.parse(words)
        assert request is not None
        files, given = as_click(words)
        assert (request.words, request.options) == (files, {name: given[name] for name in request.options})
    for other in ([], ["hosts"], ["arp"], ["--debug", "flows"], ["flows", "--help"], ["flows", "-o"], ["nosuch"]):
        assert plain.parse(other) is None
    for other in (["--help"], ["-i"], ["-c", "0"], ["-c", "x"], ["-w", "a", "-w", "b"], ["--lab", "a.yaml"]):
        assert plain.parse(["capture", *other]) is None


def test_flags_of_tcpdump_are_bundled_as_its_users_type_them() -> None:
    bundled = as_click(["capture", "-lnni", "any", "-eUK", "tcp"])
    assert bundled == as_click(["capture", "-l", "-n", "-n", "-i", "any", "-e", "-U", "-K", "tcp"])
    assert bundled[1]["interface"] == ("any",)
    assert as_click(["capture", "-nnieth0"])[1]["interface"] == ("eth0",)


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_command_line_is_quoted_as_by_shlex(words: list[str]) -> None:
    assert session.command_line(words) == shlex.join(words)


def test_a_plain_capture_needs_no_click() -> None:
    shown = python(
        f"""
        import os
        from sniffkit.__main__ import main
        os._exit = sys.exit
        sys.argv[1:] = ["capture", "--netns", "no-such-namespace", "-i", "veth1", "-w", "/tmp/x.pcapng"]
        try:
            main()
        except SystemExit as end:
            print(end.code, *[name for name in {HEAVY!r} if name in sys.modules])
        """
    )
    assert shown == ["2"]


def test_a_shell_that_asks_what_could_follow_asks_click(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_SNIFFKIT_COMPLETE", "bash_complete")
    assert plain.parse(["flows", "a.pcap"]) is None


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
