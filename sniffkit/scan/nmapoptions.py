"""nmap's options as users pass them on: which are refused, and what happens to them without raw sockets."""

from __future__ import annotations

from collections.abc import Sequence

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

MOST_ARGUMENTS = 1 << 20  # bytes of a file of script arguments that are looked at

# Scan types that need raw sockets and that a connect scan can stand in for: they ask which TCP ports are open.
RAW_TCP = set("SNFXWM")
# Those that nothing stands in for.
RAW_ONLY = {
    "-sA": "ACK scan", "-sU": "UDP scan", "-sO": "protocol scan", "-sY": "SCTP scan", "-sZ": "SCTP scan",
    "-sI": "idle scan", "-O": "OS detection", "--traceroute": "traceroute", "-PR": "ARP ping", "-PU": "UDP ping",
    "-PE": "ICMP ping", "-f": "fragmentation", "-D": "decoys", "-S": "source address",
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
    if name.startswith("--") or (len(name) > 3 and any(one.startswith(long) for one in WITH_VALUE)):
        return None
    letter = next((one for one in name[1:] if one not in FLAGS), "")
    return REFUSED[REFUSED_LETTERS[letter]] if letter in REFUSED_LETTERS else None


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
    for word in options:
        name = word.partition("=")[0]
        what = RAW_ONLY.get(name) or RAW_ONLY.get(name[:3] if name.startswith("-P") else "")
        if name.startswith("-s") and name[2:].isalpha():
            what = what or next((RAW_ONLY[f"-s{one}"] for one in name[2:] if one in "AUOYZ"), None)
        if what is not None:
            raise PrivilegeError(f"{name}: {what} needs root (CAP_NET_RAW): run it with sudo")
        if word.startswith("-s") and RAW_TCP & set(word[2:]) and word[2:].isalpha():
            rest = "".join(letter for letter in word[2:] if letter not in RAW_TCP | {"T"})
            kept.append(f"-sT{rest}")
            changed.append(f"{word} needs CAP_NET_RAW: connect scan instead")
            continue
        kept.append(word)
    letters = {letter for word in options if word.startswith("-s") and word[2:].isalpha() for letter in word[2:]}
    lost = []
    if not changed and not letters & set("LTnP"):
        lost.append("connect scan instead of SYN scan")
    elif letters & set("TnP") and not {"-Pn", "-PN", "-P0"} & set(options):
        lost.append("TCP connects instead of ARP and ICMP")
    if "-A" in options:
        lost.append("no OS detection")
    return kept, changed + ([f"no CAP_NET_RAW: {', '.join(lost)}"] if lost else [])
