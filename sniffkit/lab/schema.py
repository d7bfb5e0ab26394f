"""Types of the values in a lab file. Each parses a value and describes it as JSON schema: one declaration for both."""

from __future__ import annotations

import ipaddress
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sniffkit.lab.yamlfile import Path, Source


def nearest(word: str, known: Mapping[str, Any] | list[str] | tuple[str, ...]) -> str:
    """`; did you mean 'x'?`, else the list of what there is."""
    import difflib

    if not known:
        return "; there is none"

    close = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {' '.join(known)}"


REDACTED = "redacted"


class Type(ABC):
    """A kind of value."""

    words = "a value"

    @abstractmethod
    def parse(self, value: Any, path: Path, source: Source) -> Any:
        """The value as the model keeps it (JSON types only). Raises LabError."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The same as JSON schema."""

    def redact(self, value: Any) -> Any:
        """The value as parsed, without what is secret in it."""
        return value

    def wrong(self, value: Any, path: Path, source: Source) -> Exception:
        """The error for a value that is not of this type."""
        return source.error(path, f"{path[-1] if path else 'lab'}: {value!r} is not {self.words}")


@dataclass(frozen=True)
class Key:
    """One key of a mapping.

    attribute: what the kernel calls it, (number, wire format of sniffkit.lab.wire.NUMBERS), for keys of link kinds.
    default: what the kernel has when the key is not given, for those keys.
    word: what ip-link(8) calls it, where not the same; for some flags the words for true and for false.
    """

    type: Type
    doc: str
    required: bool = False
    attribute: tuple[int, str] | None = None
    default: Any = None
    word: str | tuple[str, str] = ""


class Text(Type):
    """Any text, or one that matches a pattern; `words` says in the message what it should be."""

    def __init__(self, words: str = "text", pattern: str | None = None) -> None:
        self.words = words
        self.pattern = pattern

    def parse(self, value: Any, path: Path, source: Source) -> str:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self.wrong(value, path, source)
        text = str(value)
        if self.pattern is not None and not re.fullmatch(self.pattern, text):
            raise self.wrong(value, path, source)
        return text

    def schema(self) -> dict[str, Any]:
        out: dict[str, Any] = {"type": ["string", "number"], "description": self.words}
        if self.pattern is not None:
            out["pattern"] = f"^(?:{self.pattern})$"
        return out


class Measure(Text):
    """A number with its unit, within bounds. units: what each is in the smallest one, which the bounds are in."""

    def __init__(self, words: str, pattern: str, units: Mapping[str, int], low: float, high: float) -> None:
        super().__init__(words, pattern)
        self.units, self.low, self.high = units, low, high

    def parse(self, value: Any, path: Path, source: Source) -> str:
        text = super().parse(value, path, source)
        if not (source.stored or self.low <= self.number(text) <= self.high):
            raise self.wrong(value, path, source)
        return text

    def number(self, text: str) -> float:
        """A value as parsed, in the smallest unit."""
        number = re.match(r"[0-9.]+", text)[0]  # type: ignore[index]
        return float(number) * self.units[text[len(number) :]]


class Secret(Text):
    """Text that is not for other eyes: captures carry REDACTED in its place, which is read back, but makes no lab."""

    def __init__(self, words: str, pattern: str) -> None:
        super().__init__(words, f"{pattern}|{REDACTED}")

    def redact(self, value: Any) -> Any:
        return REDACTED


class Int(Type):
    """A whole number within bounds."""

    def __init__(self, low: int, high: int, unit: str = "") -> None:
        self.low, self.high = low, high
        self.words = f"a number from {low} to {high}{' ' + unit if unit else ''}"

    def parse(self, value: Any, path: Path, source: Source) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise self.wrong(value, path, source)
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


class Flag(Type):
    """true or false."""

    words = "true or false"

    def parse(self, value: Any, path: Path, source: Source) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(value, path, source)
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Choice(Type):
    """One of a few words."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.words = f"one of {' '.join(names)}"

    def parse(self, value: Any, path: Path, source: Source) -> str:
        if str(value) not in self.names:
            raise source.error(path, f"{path[-1]}: no {str(value)!r}{nearest(str(value), self.names)}")
        return str(value)

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.names)}


class OutOfPlace(ValueError):
    """Says why a value is none here, though it is of its type."""


class Checked(Type):
    """Text that a function accepts (it raises ValueError) and brings into its one form."""

    def __init__(self, words: str, convert: Callable[[str], str]) -> None:
        self.words = words
        self.convert = convert

    def parse(self, value: Any, path: Path, source: Source) -> str:
        if not isinstance(value, str):
            raise self.wrong(value, path, source)
        try:
            return self.convert(value)
        except OutOfPlace as error:
            raise source.error(path, f"{path[-1]}: {value!r}: {error}") from None
        except ValueError:
            raise self.wrong(value, path, source) from None

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "description": self.words}


def _mac(text: str) -> str:
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", text):
        raise ValueError(text)
    return text.lower()


def _own_mac(text: str) -> str:
    found = _mac(text)
    if int(found[:2], 16) & 1 or found == "00:00:00:00:00:00":
        raise ValueError(text)
    return found


def _bare(found: object) -> str:
    text = str(found)
    if "%" in text:  # the kernel is told of an interface in another way
        raise OutOfPlace("it stands here without %INTERFACE")
    return text


def _cidr(text: str) -> str:
    if "/" not in text:
        raise ValueError(text)
    found = ipaddress.ip_interface(text)
    if found.ip.is_unspecified:  # which the kernel takes, and gives to no interface
        raise OutOfPlace("no interface has the unspecified address")
    return _bare(found)


Ip = Checked("an IP address", lambda text: str(ipaddress.ip_address(text)))
BareIp = Checked(Ip.words, lambda text: _bare(ipaddress.ip_address(text)))
Cidr = Checked("an address with its prefix length such as 10.0.0.1/24", _cidr)


def _subnet(text: str) -> str:
    return _bare(ipaddress.ip_network(text))


Subnet = Checked("a network such as 10.0.0.0/24", _subnet)
Network = Checked(Subnet.words, lambda text: text if text == "default" else _subnet(text))
Mac = Checked("a MAC address such as 02:00:00:00:00:01", _mac)
OwnMac = Checked("a MAC address that an interface can have: not zero, and no group's (an odd first byte)", _own_mac)
# Names stand in commands and scripts, so they hold nothing that means something there.
Name = Text("an interface's name: up to 15 of A-Z a-z 0-9 _ . + @ -", r"[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,14}")
NodeName = Text("a namespace's name: up to 60 of A-Z a-z 0-9 _ . + @ -", r"[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,59}")
THOUSANDS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
RATES = {f"{k}{unit}": times * many for unit, times in (("bit", 1), ("bps", 8)) for k, many in THOUSANDS.items()}
SIZES = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20}
TIMES = {"us": 1, "ms": 10**3, "s": 10**6}
# The bounds of tc(8): whole bytes a second in 64 bits; 32 bits of bytes, of microseconds, and of ticks of 64 ns, in µs.
FASTEST, LONGEST, MOST_TICKS = 8 * (2**64 - 1), 4294 * 10**6, 2**32 * 64 // 1000
RATE = r"[0-9]+(?:\.[0-9]+)?(?:[kmg]?bit|[kmg]?bps)"
Rate = Measure("a rate such as 10mbit, of at least 8bit", RATE, RATES, 8, FASTEST)
TIME = r"[0-9]+(?:\.[0-9]+)?(?:us|ms|s)"
Time = Measure("a time such as 20ms, up to 274s", TIME, TIMES, 0, MOST_TICKS)
Wait = Measure("a time such as 20ms, from 1us to 4294s", TIME, TIMES, 1, LONGEST)
Size = Measure("a size such as 32kb, of at least 1b", r"[0-9]+(?:b|kb?|mb?)?", SIZES, 1, 2**32 - 1)
Percent = Measure("a percentage such as 1%, up to 100%", r"[0-9]+(?:\.[0-9]+)?%", {"%": 1}, 0, 100)


class ListOf(Type):
    """A list, or a single item instead of a list of one. Nothing (null) is the empty list."""

    def __init__(self, item: Type) -> None:
        self.item = item
        self.words = f"a list of {item.words}"

    def parse(self, value: Any, path: Path, source: Source) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            return [self.item.parse(value, path, source)]
        return [self.item.parse(one, (*path, number), source) for number, one in enumerate(value)]

    def redact(self, value: Any) -> Any:
        return [self.item.redact(one) for one in value]

    def schema(self) -> dict[str, Any]:
        item = self.item.schema()
        return {"anyOf": [item, {"type": "array", "items": item}, {"type": "null"}]}


class Keys(Type):
    """A mapping with known keys. `shorthand` is the key that a bare value stands for."""

    def __init__(self, keys: dict[str, Key], shorthand: str | None = None, what: str = "key") -> None:
        self.keys = keys
        self.shorthand = shorthand
        self.what = what
        self.words = f"a mapping with {' '.join(keys)}"

    def parse(self, value: Any, path: Path, source: Source) -> dict[str, Any]:
        if value is None:
            value = {}
        elif not isinstance(value, dict):
            if self.shorthand is None:
                raise self.wrong(value, path, source)
            return self.complete(
                {self.shorthand: self.keys[self.shorthand].type.parse(value, path, source)}, path, source
            )
        out: dict[str, Any] = {}
        for name, item in value.items():
            key = self.keys.get(name)
            if key is None:
                raise source.error((*path, name), f"unknown {self.what} {name!r}{nearest(str(name), self.keys)}")
            out[name] = key.type.parse(item, (*path, name), source)
        return self.complete(out, path, source)

    def redact(self, value: Any) -> Any:
        return {name: self.keys[name].type.redact(item) if name in self.keys else item for name, item in value.items()}

    def complete(self, out: dict[str, Any], path: Path, source: Source) -> dict[str, Any]:
        """Nothing that is required may be missing."""
        for name, key in self.keys.items():
            if key.required and name not in out:
                raise source.error(path, f"{path[-1] if path else 'lab'}: {name} is missing ({key.doc})")
        return out

    def schema(self) -> dict[str, Any]:
        properties = {name: {**key.type.schema(), "description": key.doc} for name, key in self.keys.items()}
        empty = "object" if any(key.required for key in self.keys.values()) else ["object", "null"]
        out: dict[str, Any] = {"type": empty, "properties": properties, "additionalProperties": False}
        required = [name for name, key in self.keys.items() if key.required]
        if required:
            out["required"] = required
        if self.shorthand is None:
            return out
        return {"anyOf": [out, self.keys[self.shorthand].type.schema(), {"type": "null"}]}


class MapOf(Type):
    """A mapping from names to values of one type."""

    def __init__(self, name: Type, item: Type) -> None:
        self.name, self.item = name, item
        self.words = f"a mapping from {name.words} to {item.words}"

    def parse(self, value: Any, path: Path, source: Source) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(value, path, source)
        return {
            self.name.parse(name, (*path, name), source): self.item.parse(item, (*path, name), source)
            for name, item in value.items()
        }

    def schema(self) -> dict[str, Any]:
        return {"type": ["object", "null"], "additionalProperties": self.item.schema()}
