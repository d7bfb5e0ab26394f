"""What may be scanned: targets are checked here, so that none can be an option, a file or somebody else's address."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sniffkit.errors import SniffkitError
from sniffkit.namefiles import run_with_files

# nmap's own IPv4 grammar: an octet is a number, a range with open ends, a star, or several of these.
# ASCII digits only; without a leading zero, which is octal for some readers and decimal for nmap.
_NUMBER = r"(?:0|[1-9][0-9]{0,2})"
_OCTET_PART = rf"(?:\*|{_NUMBER}?-{_NUMBER}?|{_NUMBER})"
_OCTET = rf"{_OCTET_PART}(?:,{_OCTET_PART})*"
_RANGES = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}(?:/[0-9]{{1,2}})?")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?P<host>{_LABEL}(?:\.{_LABEL})*\.?)(?:/(?P<bits>[0-9]{{1,3}}))?")
MAX_FILE_TARGETS = 1 << 20


@dataclass(frozen=True)
class Target:
    """One target as nmap understands it. family: 4 or 6; name: it is a host name, not an address."""

    text: str
    family: int
    name: bool = False


def parse(text: str, netns: str | None = None, prefer: int = 4) -> Target:
    """A target: address, CIDR network, nmap's octet ranges (10.0.0-3.1,5), or a name that resolves in `netns`
    (prefer: to an address of which family, if it has both).

    Raises SniffkitError for anything else, option-like words and shell characters among it.
    """
    bare, _, zone = text.partition("%")
    zone, slash, bits = zone.partition("/")
    try:
        network = ipaddress.ip_network(bare + slash + bits if zone else text, strict=False)
    except ValueError:
        pass
    else:
        if "%" in text and not (
            network.version == 6 and "/" not in bare and re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", zone)
        ):
            raise SniffkitError(f"target {text!r}: no such zone")
        if not re.fullmatch("[0-9]*", text.partition("/")[2]):  # nmap takes none either
            raise SniffkitError(f"target {text!r}: a prefix length in bits, not a netmask")
        return Target(text, network.version)
    # Ranges may begin with a dash for nmap (-5.0.0.1); as a word of a command line that would be an option.
    if _RANGES.fullmatch(text) and not text.startswith("-"):
        octets = text.partition("/")[0].split(".")
        if any(int(number) > 255 for octet in octets for number in re.findall("[0-9]+", octet)):
            raise SniffkitError(f"target {text!r}: an octet is over 255")
        if int(text.partition("/")[2] or 0) > 32:
            raise SniffkitError(f"target {text!r}: no such prefix length")
        return Target(text, 4)
    found = _NAME.fullmatch(text)
    if found is None or re.fullmatch("[0-9./]+", text):
        raise SniffkitError(f"target {text!r} is neither an address, a network, a range nor a host name")
    families = [family for family, _ in resolve(found["host"], netns)]
    family = prefer if prefer in families else families[0]
    if found["bits"] is not None and int(found["bits"]) > (32 if family == 4 else 128):
        raise SniffkitError(f"target {text!r}: no such prefix length")
    return Target(text, family, name=True)


def resolve(host: str, netns: str | None) -> list[tuple[int, str]]:
    """Family and address, for each address of a name. Raises SniffkitError if it has none."""

    def ask() -> list[tuple[int, str]]:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return [(4 if family == socket.AF_INET else 6, str(where[0])) for family, *_, where in found]

    try:
        return run_with_files(netns, ask)
    except (OSError, UnicodeError) as error:
        raise SniffkitError(f"target {host!r} does not resolve: {getattr(error, 'strerror', None) or error}") from None


def parse_all(texts: Iterable[str], netns: str | None = None, prefer: int = 4) -> list[Target]:
    """Every target, checked; SniffkitError for the first that is none, or if there are none."""
    targets = [parse(text, netns, prefer) for text in dict.fromkeys(texts)]
    if not targets:
        raise SniffkitError("no target: an address, a network, a range or a host name")
    return targets


def from_file(path: str) -> list[str]:
    """The targets of a file: words apart by white space, `#` begins a comment, as in nmap's -iL."""
    try:
        # A lone dash is standard input.
        with open(0 if path == "-" else path, encoding="utf-8", closefd=path != "-") as file:
            words = [word for line in file for word in line.partition("#")[0].split()]
    except OSError as error:
        raise SniffkitError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SniffkitError(f"{path}: not a text file") from None
    if len(words) > MAX_FILE_TARGETS:
        raise SniffkitError(f"{path}: over {MAX_FILE_TARGETS} targets")
    return words


def addresses(target: Target, netns: str | None, limit: int) -> Iterator[str]:
    """The single addresses of a target, a network's own and broadcast address left out, at most `limit`.

    Raises SniffkitError if there are more.
    """
    host, slash, bits = target.text.partition("/")
    bare, _, zone = host.partition("%")
    if target.name:
        found = next((address for family, address in resolve(host, netns) if family == target.family), None)
        if found is None:
            raise SniffkitError(f"target {host!r} does not resolve to an IPv{target.family} address any more")
        bare, _, zone = found.partition("%")
    if target.family == 4 and not re.fullmatch("[0-9.]+", bare):
        octets = [sorted(octet_values(one)) for one in bare.split(".")]
        networks = (
            [
                f"{a}.{b}.{c}.{d}{slash}{bits}"
                for a in octets[0]
                for b in octets[1]
                for c in octets[2]
                for d in octets[3]
            ]
            if count(octets) <= limit
            else None
        )
        if networks is None:
            raise SniffkitError(f"{target.text}: over {limit} addresses")
    else:
        networks = [bare + slash + bits]
    given = 0
    for text in networks:
        network = ipaddress.ip_network(text, strict=False)
        given += network.num_addresses
        if given > limit:
            raise SniffkitError(f"{target.text}: over {limit} addresses; give a smaller network")
        for address in network.hosts():
            yield f"{address}%{zone}" if zone else str(address)


def count(octets: list[list[int]]) -> int:
    """How many addresses lists of octet values make."""
    total = 1
    for octet in octets:
        total *= len(octet)
    return total


def octet_values(text: str) -> set[int]:
    """The values of one octet in nmap's grammar: `1,5-7`, `-3`, `250-`, `*`."""
    values: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if part == "*" or dash:
            first, last = (0, 255) if part == "*" else (int(low or 0), int(high or 255))
        else:
            first = last = int(part)
        if last < first:
            raise SniffkitError(f"range {part!r} runs backwards")
        values.update(range(first, last + 1))
    return values
