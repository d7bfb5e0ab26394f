"""`sniffkit …` in the process of the tests."""

from __future__ import annotations

import pytest

from sniffkit import cli


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    with pytest.raises(SystemExit) as stop:
        cli.main([*arguments])
    captured = capfd.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err
