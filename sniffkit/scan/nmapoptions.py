"""nmap's options as users pass them on: which are refused, and what happens to them without raw sockets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sniffkit.errors import PrivilegeError, SniffkitError

# Profile → nmap options (nmap 7.93, its manual page).
PROFILES: dict[str, list[str]] = {
    "ping": ["-sn"],
    "ports": [],
    "all": ["-A"],
}

# Options whose value is the next word. Whatever else does not begin with a dash would be a further target.
WITH_VALUE = {
    "-b", "-D", "-S", "-e", "-g", "-p", "-M", "-T", "-m", "-s", "-sI", "-oN", "-oG", "--script", "--script-args",
    "--script-args-file", "--script-timeout", "--version-intensity", "--top-ports", "--port-ratio", "--exclude",
    "--excludefile", "--exclude-ports", "--dns-servers", "--min-hostgroup", "--max-hostgroup", "--min-parallelism",
    "--max-parallelism", "--min-rtt-timeout", "--max-rtt-timeout", "--initial-rtt-timeout", "--max-retries",
    "--host-timeout", "--scan-delay", "--max-scan-delay", "--min-rate", "--max-rate", "--mtu", "--spoof-mac",
    "--source-port", "--proxies", "--data", "--data-string", "--data-length", "--ip-options", "--ttl", "--datadir",
    "--servicedb", "--versiondb", "--stats-every", "--scanflags", "--nsock-engine", "--max-os-tries",
}  # fmt: skip

# Where results go and what is scanned is decided by sniffkit, never by a passed-on option.
REFUSED = {
    "-oX": "XML is kept with --xml FILE",
    "-oA": "results are kept with --xml FILE and -o FILE",
    "-oS": "results are kept with -o FILE",
    "-oH": "results are kept with -o FILE",
    "-iL": "targets of a file are given with -iL before --",
    "-iR": "random targets are never scanned",
    "--resume": "a scan cannot be resumed",
    "--stylesheet": "XML is kept as nmap writes it",
    "--webxml": "XML is kept as nmap writes it",
    "--iflist": "see sniffkit interfaces",
    "--interactive": "a scan is not interactive",
    "-V": "see sniffkit doctor",
    "--version": "see sniffkit doctor",
    "-h": "see man nmap",
    "--help": "see man nmap",
    "--script-help": "see nmap --script-help",
}
# One-letter options that may stand together (-nR); those of them that are refused, -i with a file behind it among them.
FLAGS = set("46AFfInqRr")
REFUSED_LETTERS = {"h": "-h", "V": "-V", "i": "-iL"}
# Long names without a value that begin with such a letter: they go with one dash as well.
LONG_FLAGS = {
    "--fuzzy", "--no-stylesheet", "--nogcc", "--noninteractive", "--randomize-hosts", "--reason", "--release-memory",
}  # fmt: skip

MOST_ARGUMENTS = 1 << 20  # bytes of a file of script arguments that are looked at

# Scan types that need raw sockets and that a connect scan can stand in for: they ask which TCP ports are open.
RAW_TCP = set("SNFXWM")
# Those that nothing stands in for.
RAW_ONLY = {
    "-sA": "ACK scan", "-sU": "UDP scan", "-sO": "protocol scan", "-sY": "SCTP scan", "-sZ": "SCTP scan",
    "-sI": "idle scan", "-O": "OS detection", "--traceroute": "traceroute", "-PR": "ARP ping", "-PU": "UDP ping",
    "-PE": "ICMP ping", "-PP": "ICMP ping", "-PM": "ICMP ping", "-PI": "ICMP ping", "-PB": "ICMP ping",
    "-PO": "protocol ping", "-PY": "SCTP ping", "-f": "fragmentation", "-D": "decoys", "-S": "source address",
}  # fmt: skip


def check(options: Sequence[str]) -> list[str]:
    """The options if they are all of nmap's kind. Raises SniffkitError for one that is refused or is no option."""
    expected: str | None = None
    for word in options:
        if "\0" in word:
            raise SniffkitError("an nmap option with a NUL byte")
        if expected is not None:
            no_new_targets(expected, word)
            expected = None
            continue
        if not word.startswith("-") or word == "-" or word == "--":
            raise SniffkitError(f"{word!r} behind -- is no option of nmap's; targets stand before --")
        name, equals, value = word.partition("=")
        if why := refusal(name):
            raise SniffkitError(f"{word}: {why}")
        no_new_targets(name, value)
        expected = name if name in WITH_VALUE and not equals else None
    if expected is not None:
        raise SniffkitError(f"{expected} needs a value")
    return list(options)


def no_new_targets(name: str, value: str) -> None:
    """Raise SniffkitError if an option's value, or the file that it names, lets scripts add targets (newtargets)."""
    told = [value]
    if value and name.lstrip("-").startswith("script-args-f"):
        try:
            with open(value, errors="replace") as file:
                told.append(file.read(MOST_ARGUMENTS))
        except OSError as error:
            raise SniffkitError(f"{value}: {error.strerror}") from None
    if any("newtargets" in text for text in told):
        raise SniffkitError("newtargets: scripts may not add targets to those that were asked for")


def refusal(name: str) -> str | None:
    """Why an option is refused, in words; None if it is not.

    nmap takes -oXfile for -oX file, one dash or two, unambiguous beginnings of long names, and letters together.
    """
    long = f"--{name.lstrip('-')}"
    if long in WITH_VALUE:
        return None  # --script is not the beginning of --script-help
    for refused, why in REFUSED.items():
        if matches(name, refused):
            return why
    if is_long(name):
        return None
    letter = next((one for one in name[1:] if one not in FLAGS), "")
    return REFUSED[REFUSED_LETTERS[letter]] if letter in REFUSED_LETTERS else None


def is_long(name: str) -> bool:
    """Whether nmap's getopt takes `name` for a long one or the beginning of one, with one dash or two."""
    long = f"--{name.lstrip('-')}"
    return name.startswith("--") or (len(name) > 3 and any(one.startswith(long) for one in WITH_VALUE | LONG_FLAGS))


def apart(options: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each option with its word, as getopt(3) takes them. Letters that stand together are options of their own, the
    last one with its value: -nfD10.0.0.1 is -n, -f and -D10.0.0.1, the option -D. A value that is a word is none: "".
    """
    value = False
    for word in options:
        option, rest = word.partition("=")[0], word
        if value:
            option = ""
        elif not is_long(option):
            while rest[1:2] in FLAGS and len(rest) > 2:
                yield rest[:2], rest[:2]
                rest = f"-{rest[2:]}"
            option = rest[:3] if rest[1:2] == "P" else rest[:2] if rest[1:2] in "DSO" else rest.partition("=")[0]
        value = option in WITH_VALUE and rest == option
        yield option, rest


def matches(name: str, refused: str) -> bool:
    """Whether nmap's getopt would take `name` for the option `refused`."""
    plain, word = refused.lstrip("-"), name.lstrip("-")
    if refused.startswith("--"):
        # Long names go with one dash as well; so short a beginning is that of a short option with its value.
        return len(word) > (1 if name.startswith("--") else 3) and plain.startswith(word)
    if plain[:1] in "oi":
        return word.startswith(plain) and word[:1] == plain[:1]
    return name == refused


def without_raw_sockets(options: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options for nmap without raw sockets, and what changed, in words. Raises PrivilegeError if nothing helps."""
    changed: list[str] = []
    kept: list[str] = ["--unprivileged"]
    letters: set[str] = set()
    for name, word in apart(options):
        types = name[2:] if name.startswith("-s") and name[2:].isalpha() and not is_long(name) else ""
        letters |= set(types)
        what = RAW_ONLY.get(name) or next((RAW_ONLY[f"-s{one}"] for one in types if one in "AUOYZ"), None)
        if what is not None:
            raise PrivilegeError(f"{name}: {what} needs root (CAP_NET_RAW): run it with sudo")
        if RAW_TCP & set(types):
            rest = "".join(letter for letter in types if letter not in RAW_TCP | {"T"})
            kept.append(f"-sT{rest}")
            changed.append(f"{word} needs CAP_NET_RAW: connect scan instead")
            continue
        kept.append(word)
    lost = []
    if not changed and not letters & set("LTnP"):
        lost.append("connect scan instead of SYN scan")
    elif letters & set("TnP") and not {"-Pn", "-PN", "-P0"} & set(kept):
        lost.append("TCP connects instead of ARP and ICMP")
    if "-A" in kept:
        lost.append("no OS detection")
    return kept, changed + ([f"no CAP_NET_RAW: {', '.join(lost)}"] if lost else [])
