"""Lab files that are wrong, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniffkit.errors import LabError
from sniffkit.lab.spec import parse


def refused(path: Path, text: str, line: int, message: str) -> None:
    """The file is refused in one line with its name, this line of it, and this message."""
    path.write_text(text)
    with pytest.raises(LabError) as error:
        parse(path)
    said = str(error.value)
    assert said.startswith(f"{path}:{line}: "), said
    assert message in said
    assert "\n" not in said
