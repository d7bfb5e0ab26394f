"""What a pipe gives, to commands that read their captures several times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from setting import ROOT

import sniffkit as sk

NAT = ROOT / "docs" / "labs" / "nat.pcapng"
COMMAND = [sys.executable, "-m", "sniffkit"]
COMMANDS = (
    ["stats", "--json"],
    ["trace", "--columns", "packet,hop,delay,changes"],
    ["diff", "-i", "router/lan", "-i", "router/wan", "--json"],
    ["sql", "select uid, count(*) from flows join packets using (uid) group by uid order by uid"],
)


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_says_what_its_file_does(command: list[str], name: str) -> None:
    of_file = subprocess.run([*COMMAND, *command, str(NAT)], capture_output=True, check=True)
    piped = [*COMMAND, *command, name]
    of_pipe = subprocess.run(piped, input=NAT.read_bytes(), capture_output=True, check=True)
    assert of_file.stdout.count(b"\n") > 5
    assert (of_pipe.stdout, of_pipe.stderr) == (of_file.stdout, b"")


def test_damage_names_the_pipe_once() -> None:
    piped = [*COMMAND, "stats", "-"]
    done = subprocess.run(piped, input=NAT.read_bytes()[:-9], capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"sniffkit: standard input: at byte")
    assert done.stderr.count(b"\n") == 1


def test_what_a_pipe_gave_is_kept_where_there_is_room(tmp_path: Path) -> None:
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); sys.argv[1:] = ['stats', '-']\n"
    )
    code += "from sniffkit.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code], input=NAT.read_bytes(), capture_output=True, check=False, cwd=tmp_path
    )
    assert len(NAT.read_bytes()) > 9000
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"sniffkit: keeping standard input to read it again: File too large\n"


@pytest.mark.parametrize("names", [["-", "-"], ["-", "/dev/stdin"], ["/dev/fd/0", "/dev/stdin"]])
def test_a_pipe_is_given_once(names: list[str]) -> None:
    done = subprocess.run([*COMMAND, "stats", *names], input=NAT.read_bytes(), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.endswith(b" can be read once, and is given twice\n")


def test_standard_input_may_be_a_file() -> None:
    with NAT.open("rb") as file:
        done = subprocess.run([*COMMAND, "trace", "-", "--json"], stdin=file, capture_output=True, check=True)
    assert done.stdout.count(b"\n") > 100


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_a_prompt_needs_a_file(name: str) -> None:
    done = subprocess.run([*COMMAND, "sql", name], input=NAT.read_bytes(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


def test_a_pipe_is_read_once_by_tables(tmp_path: Path) -> None:
    script = (
        "import sniffkit as sk; c = sk.open('/dev/stdin'); print(c.packets().to_arrow().num_rows); c.flows().to_arrow()"
    )
    done = subprocess.run([sys.executable, "-c", script], input=NAT.read_bytes(), capture_output=True, check=False)
    assert int(done.stdout) == sk.open(str(NAT)).packets().to_arrow().num_rows
    assert b"CaptureFileError: /dev/stdin can be read once, and has been" in done.stderr
