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
# All long names of nmap 7.93; getopt_long_only(3) takes them, and their beginnings, with one dash as well.
LONG = {
    "adler32", "allports", "append-output", "badsum", "data", "data-length", "data-string", "datadir", "debug",
    "defeat-icmp-ratelimit", "defeat-rst-ratelimit", "deprecated-xml-osclass", "disable-arp-ping", "dns-servers",
    "exclude", "exclude-ports", "excludefile", "ff", "fuzzy", "help", "host-timeout", "iL", "iR", "iflist",
    "initial-rtt-timeout", "ip-options", "log-errors", "max-hostgroup", "max-os-tries", "max-parallelism",
    "max-rate", "max-retries", "max-rtt-timeout", "max-scan-delay", "min-hostgroup", "min-parallelism", "min-rate",
    "min-rtt-timeout", "mtu", "no-stylesheet", "nogcc", "noninteractive", "nsock-engine", "oA", "oG", "oH", "oM",
    "oN", "oS", "oX", "open", "osscan-guess", "osscan-limit", "packet-trace", "port-ratio", "privileged", "proxies",
    "proxy", "rH", "randomize-hosts", "reason", "release-memory", "resolve-all", "resume", "route-dst", "sI",
    "scan-delay", "scanflags", "script", "script-args", "script-args-file", "script-help", "script-timeout",
    "script-trace", "script-updatedb", "send-eth", "send-ip", "servicedb", "source-port", "spoof-mac",
    "stats-every", "stylesheet", "system-dns", "thc", "timing", "top-ports", "traceroute", "ttl", "unique",
    "unprivileged", "verbose", "version", "version-all", "version-intensity", "version-light", "version-trace",
    "versiondb", "vv", "webxml",
}  # fmt: skip

MOST_ARGUMENTS = 1 << 20  # bytes of a file of script arguments that are looked at

# Scan types that need raw sockets and that a connect scan can stand in for: they ask which TCP ports are open.
RAW_TCP = set("SNFXWM")
# Those that nothing stands in for.
RAW_ONLY = {
    "-sA": "ACK scan", "-sU": "UDP scan", "-sO": "protocol scan", "-sY": "SCTP scan", "-sZ": "SCTP scan",
    "--sI": "idle scan", "-O": "OS detection", "--traceroute": "traceroute", "-PR": "ARP ping", "-PU": "UDP ping",
    "-PE": "ICMP ping", "-PP": "ICMP ping", "-PM": "ICMP ping", "-PI": "ICMP ping", "-PB": "ICMP ping",
    "-PO": "protocol ping", "-PY": "SCTP ping", "-f": "fragmentation", "--ff": "fragmentation", "-D": "decoys",
    "-S": "source address",
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
    if long_name(name) is not None:
        return None
    letter = next((one for one in name[1:] if one not in FLAGS), "")
    return REFUSED[REFUSED_LETTERS[letter]] if letter in REFUSED_LETTERS else None


def long_name(name: str) -> str | None:
    """What nmap's getopt takes `name` for if for a long name, with one dash or two, or the only one that begins so."""
    plain = name.lstrip("-").replace("_", "-")
    found = [one for one in LONG if one.startswith(plain)]
    if not name.startswith("--") and (len(plain) < 2 or not found):
        return None
    return found[0] if len(found) == 1 else plain


def apart(options: Sequence[str]) -> Iterator[tuple[list[str], str]]:
    """Of each word the options that it holds, as getopt(3) takes them. Letters that stand together are options of their
    own, the last one with its value: -nfD10.0.0.1 is -n, -f and -D. A word that is a value holds none.
    """
    value = False
    for word in options:
        rest, names = word.partition("=")[0], list[str]()
        if value:
            value = False
        elif (long := long_name(rest)) is not None:
            names = [f"--{long}"]
            value = not {rest, *names}.isdisjoint(WITH_VALUE) and rest == word
        else:
            rest = word
            while rest[1:2] in FLAGS and rest[2:3] not in ("", "-"):
                names.append(rest[:2])
                rest = f"-{rest[2:]}"
            names.append(rest[:3] if rest[1:2] == "P" else rest[:2] if rest[1:2] in "DSO" else rest.partition("=")[0])
            value = rest in WITH_VALUE
        yield names, word


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
    used: set[str] = set()
    for names, word in apart(options):
        used |= {*names}
        last = names[-1] if names else ""
        types = last[2:] if last.startswith("-s") and last[2:].isalpha() else ""
        letters |= set(types)
        for name in [*names, *(f"-s{one}" for one in types if one in "AUOYZ")]:
            if name in RAW_ONLY:
                raise PrivilegeError(f"{word}: {RAW_ONLY[name]} needs root (CAP_NET_RAW): run it with sudo")
        if RAW_TCP & set(types):
            rest = "".join(letter for letter in types if letter not in RAW_TCP | {"T"})
            kept += [*names[:-1], f"-sT{rest}"]
            changed.append(f"{word} needs CAP_NET_RAW: connect scan instead")
            continue
        kept.append(word)
    lost = []
    if not changed and not letters & set("LTnP"):
        lost.append("connect scan instead of SYN scan")
    elif letters & set("TnP") and used.isdisjoint({"-Pn", "-PN", "-P0"}):
        lost.append("TCP connects instead of ARP and ICMP")
    if "-A" in used:
        lost.append("no OS detection")
    return kept, changed + ([f"no CAP_NET_RAW: {', '.join(lost)}"] if lost else [])
