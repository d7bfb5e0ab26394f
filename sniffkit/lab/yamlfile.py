"""A YAML file as plain data, with the line of every value: what an error message needs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

from sniffkit.errors import LabError

Path = tuple[Any, ...]

# A lab is read from a file that somebody else may have written: aliases can multiply, and nest without end.
MAX_VALUES = 200_000
MAX_DEPTH = 40
MAX_BYTES = 4 << 20
TOO_MANY = "too many or too deeply nested values"

# Core schema of YAML 1.2 with 1.1's yes/no/on/off; 1.1's base 60 is left out, it turns MAC addresses into numbers.
WORDS = {"null": None, "~": None, "": None, "true": True, "yes": True, "on": True}
WORDS |= {"false": False, "no": False, "off": False}
# "!" is no tag in particular.
TAGS = {"!", *(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null"))}
_INTEGER = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]+")


class Source:
    """Where a description came from; makes the errors about it.

    name: the file's name, or None for a mapping handed over from Python.
    stored: of a lab that came up once, which is shown whatever its values.
    """

    def __init__(self, name: str | None = None, stored: bool = False) -> None:
        self.name = name
        self.stored = stored
        self._lines: dict[Path, int] = {}

    def line(self, path: Path) -> int | None:
        """The line of a value, or of the nearest value around it that has one."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)

    def mark(self, path: Path, line: int | None) -> None:
        """Remember that the value at `path` stands on `line` (from 1), if that is known."""
        if line is not None:
            self._lines[path] = line

    def error(self, path: Path, message: str) -> LabError:
        """`FILE:LINE: message`, or the place in the mapping when there is no file."""
        line = self.line(path)
        if self.name is None:
            where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        else:
            where = self.name if line is None else f"{self.name}:{line}"
        return LabError(f"{where}: {message}" if where else message)

    def refuse(self, path: Path, message: str) -> None:
        """Raises the error for what the kernel refuses, or makes something else of: not where it came up once."""
        if not self.stored:
            raise self.error(path, message)


def read(path: str | os.PathLike[str]) -> tuple[Any, Source]:
    """The data of a YAML file and its lines. Raises LabError with file and line."""
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise LabError(f"{name}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise LabError(f"{name}: over {MAX_BYTES >> 20} MiB is no description of a lab")
    return parse(data, name)


def parse(data: bytes | str, name: str, stored: bool = False) -> tuple[Any, Source]:
    """As `read`, from text; `name` stands in the messages. stored: as Source has it."""
    import yaml

    source = Source(name, stored)
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_events(yaml.parse(data, loader), source)
        node = yaml.compose(data, loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise LabError(f"{name}{line}: {' '.join(str(error.problem or error.context).split())}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise LabError(f"{name}: {' '.join(str(error).split())}") from None
    return (None if node is None else _Builder(source).build(node, ())), source


def _check_events(events: Iterable[Any], source: Source) -> None:
    """Before libyaml builds the nodes: it goes down one call a level, and a stack that is used up is no exception.

    Tags beside YAML's own are nothing that a lab could mean.
    """
    depth = 0
    for event in events:
        tag = getattr(event, "tag", None)  # only one that is written
        if tag is not None and tag not in TAGS:
            source.mark((), event.start_mark.line + 1)
            raise source.error((), f"unknown tag {tag}: a lab is plain data")
        if hasattr(event, "flow_style"):  # the start of a sequence or a mapping
            depth += 1
            if depth > MAX_DEPTH + 1:
                source.mark((), event.start_mark.line + 1)
                raise source.error((), TOO_MANY)
        elif type(event).__name__ in ("SequenceEndEvent", "MappingEndEvent"):
            depth -= 1


class _Builder:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.values = 0

    def build(self, node: Any, path: Path) -> Any:
        self.values += 1
        self.source.mark(path, node.start_mark.line + 1)
        if self.values > MAX_VALUES or len(path) > MAX_DEPTH:
            raise self.source.error(path, TOO_MANY)
        if node.id == "scalar":
            return self.scalar(node, path)
        if node.id == "sequence":
            return [self.build(item, (*path, number)) for number, item in enumerate(node.value)]
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.id != "scalar":
                raise self.source.error((*path, "?"), "a key must be plain text")
            key = str(key_node.value)
            if key in out:
                self.source.mark((*path, key), key_node.start_mark.line + 1)
                raise self.source.error((*path, key), f"{key!r} is there twice")
            out[key] = self.build(value_node, (*path, key))
            self.source.mark((*path, key), key_node.start_mark.line + 1)
        return out

    def scalar(self, node: Any, path: Path) -> Any:
        text = str(node.value)
        if node.style in ("'", '"', "|", ">"):
            return text
        if text.lower() in WORDS:
            return WORDS[text.lower()]
        if _INTEGER.fullmatch(text):
            if len(text) > 20 or (text[0] == "0" and text.isdecimal() and text != "0"):
                return text  # a key, a serial number: its digits matter
            return int(text, 16) if text.lower().startswith("0x") else int(text)
        return float(text) if _FLOAT.fullmatch(text) else text
