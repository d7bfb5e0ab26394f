"""The programs of a lab: services, and commands run once. All carry the lab's token in their environment."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sniffkit.errors import LabError, MissingToolError
from sniffkit.lab.model import HOST
from sniffkit.lab.ops import Op
from sniffkit.lab.state import TOKEN, Journal, write

if TYPE_CHECKING:
    from sniffkit.lab.engine import Engine

READY_SECONDS = 20.0
STOP_SECONDS = 3.0
COMMAND_SECONDS = 60.0
ADMIN_PATH = "/usr/local/sbin:/usr/sbin:/sbin"  # not on an ordinary user's PATH
# Mounts files over others for the program alone: ip-netns gives it a mount namespace of its own.
BIND = 'while [ "$1" != -- ]; do [ ! -e "$1" ] || mount --bind "$1" "$2" || exit 1; shift 2; done; shift; exec "$@"'


def token(journal: Journal) -> str:
    """What every process of a lab has as SNIFFKIT_LAB in its environment."""
    return f"{journal.name}:{journal.entries[0]['token']}"


def search_path() -> str:
    """PATH, and where the administrator's programs are."""
    return f"{os.environ.get('PATH', os.defpath)}:{ADMIN_PATH}"


def environment(lab_token: str, directory: Path) -> dict[str, str]:
    """The environment of a lab's programs."""
    ours = f"{shlex.quote(sys.executable)} -m sniffkit"
    return {**os.environ, "PATH": search_path(), TOKEN: lab_token, "LAB": str(directory), "SNIFFKIT": ours}


def inside_argv(node: str, argv: list[str], binds: list[tuple[str, str]]) -> list[str]:
    """A command as run in a node, with files mounted over others for it alone."""
    if node == HOST:
        return argv
    if binds:
        pairs = [word for pair in binds for word in pair]
        argv = ["sh", "-c", BIND, "sh", *pairs, "--", *argv]
    return ["ip", "netns", "exec", node, *argv]


def resolver(directory: Path, node: str) -> list[tuple[str, str]]:
    """The node's own resolv.conf, if it has one."""
    return [(str(directory / f"{node}.resolv.conf"), "/etc/resolv.conf")]


def run_command(engine: Engine, op: Op) -> None:
    """A command of the plan; its words stand in the error."""
    _once(op, op.args["argv"], op.args.get("stdin"))


def undo_command(engine: Engine, op: Op) -> None:
    """The opposite command, where there is one. What it was for may be gone: then it has nothing to do."""
    if "undo" in op.args:
        try:
            _once(op, op.args["undo"], op.args.get("undo_stdin"))
        except LabError:
            if op.args["undo"][0] != "tc":
                raise


def _once(op: Op, argv: list[str], text: str | None) -> None:
    found = shutil.which(argv[0], path=search_path())
    if found is None:
        package = {"nft": "nftables", "tc": "iproute2", "ip": "iproute2"}.get(argv[0], argv[0])
        raise MissingToolError(f"{op.args['what']}: {argv[0]} is missing: sudo apt install {package}")
    command = inside_argv(op.node, [found, *argv[1:]], [])
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        raise LabError(f"{op.args['what']}: {argv[0]} does not end within {COMMAND_SECONDS:.0f} s") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise LabError(f"{op.args['what']}: {_explain(argv, said)}")


def _explain(argv: list[str], said: str) -> str:
    """tc's words for a queueing discipline that the kernel does not have, made useful."""
    from sniffkit.lab.actions import lacking
    from sniffkit.lab.qdiscs import QDISCS

    unknown = "qdisc kind is unknown" in said or "classifier not found" in said or "No such file or directory" in said
    if argv[0] == "tc" and unknown:
        for name, one in QDISCS.items():
            if name in argv:
                return lacking("", one.option, one.module)
        if "u32" in argv:
            return lacking("filter u32", "CONFIG_NET_CLS_U32", "cls_u32")
    return said[:300]


# services


def start_service(engine: Engine, op: Op) -> None:
    """Start a program; `wait_ready` sees to it that it works."""
    directory = engine.journal.directory
    tool = op.args["tool"]
    env = environment(token(engine.journal), directory)
    if tool and shutil.which(tool, path=env["PATH"]) is None:
        raise MissingToolError(f"{op.node}: {op.key}: {tool} is missing: sudo apt install {op.args['package']}")

    for name, text in op.args["files"].items():
        path = directory / name
        write(path, _placed(text, directory))
        path.chmod(0o755)
    for name in [op.args["ready"].get("file"), *op.args.get("gives", [])[1:]]:  # of one whose namespace went, say
        if name:
            (directory / name).unlink(missing_ok=True)
    binds = [(str(directory / name), target) for name, target in op.args["binds"]] + resolver(directory, op.node)
    argv = inside_argv(op.node, [_placed(word, directory) for word in op.args["argv"]], binds)
    with open(log(directory, op), "wb") as out:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd="/", start_new_session=True
        )
    engine.journal.add(**{"is": "process", "id": op.id, "pid": process.pid})
    op.args["pid"] = process.pid
    _children[process.pid] = process


def _placed(text: str, directory: Path) -> str:
    """A word or file of a service, with the lab's directory in it."""
    return text.replace("{dir}", str(directory))


# Processes that this one started, so that their ends are seen and reaped.
_children: dict[int, subprocess.Popen[bytes]] = {}


def log(directory: Path, op: Op) -> Path:
    """Where a service's output goes."""
    return directory / f"{op.node}.{op.key}.log"


def wait_ready(engine: Engine, ops: list[Op]) -> None:
    """Wait until every service does what it is there for. Raises LabError with its last words if one ends instead."""
    from sniffkit.lab.engine import Stopped

    until = time.monotonic() + READY_SECONDS
    waiting = [(op, op.args.pop("pid")) for op in ops]
    grace = time.monotonic() + 0.15  # a command without a port to wait for must at least have survived this long
    while waiting:
        if engine.stop.is_set():
            raise Stopped
        left = []
        for op, pid in waiting:
            code = _children[pid].poll()
            if code is not None:
                how = f"ended with exit code {code}" if code >= 0 else f"was killed by signal {-code}"
                raise LabError(f"{op.node}: service {op.key} {how}: {_last_words(engine, op)}")
            ready = is_ready(engine, op, pid) if op.args["ready"] else time.monotonic() > grace
            if not ready:
                left.append((op, pid))
        waiting = left
        if waiting and time.monotonic() > until:
            op = waiting[0][0]
            raise LabError(
                f"{op.node}: service {op.key} is not ready after {READY_SECONDS:.0f} s: {_last_words(engine, op)}"
            )
        if waiting:
            time.sleep(0.01)


def _last_words(engine: Engine, op: Op) -> str:
    lines = log(engine.journal.directory, op).read_text(errors="replace").strip().splitlines()
    return " | ".join(line.strip() for line in lines[-3:])[:300] or "it said nothing"


def is_ready(engine: Engine, op: Op, pid: int) -> bool:
    """Whether it listens, or has written its file."""
    ready = op.args["ready"]
    if "file" in ready:
        return os.path.exists(engine.journal.directory / ready["file"])
    for protocol, state in LISTENING.items():
        if protocol in ready:
            engine.enter(op.node)  # what was started may not be there yet
            there = [*_sockets(f"/proc/thread-self/net/{protocol}"), *_sockets(f"/proc/thread-self/net/{protocol}6")]
            port = f":{ready[protocol]:04X}"
            sockets = {words[9] for words in there if words[3] == state and words[1].endswith(port)}
            # Any process of the namespace, what was started may have started another; but no other service's.
            holders = _holders(sockets, {entry["pid"] for entry in engine.journal.of("process")}) if sockets else set()
            return bool(sockets) and (pid in holders or not holders)
    return True


def _holders(sockets: set[str], groups: set[int]) -> set[int]:
    """Which of these process groups hold one of these sockets, given by their inodes."""
    out: set[int] = set()
    for entry in os.scandir("/proc"):
        group = _group(int(entry.name)) if entry.name.isdecimal() else -1
        if group in groups - out and sockets & _sockets_of(int(entry.name)):
            out.add(group)
    return out


def stop_service(engine: Engine, op: Op) -> None:
    """End one service and what it started."""
    pids = [entry["pid"] for entry in engine.journal.of("process") if entry["id"] == op.id]
    mine = set(find(token(engine.journal)))
    for pid in pids[-1:]:
        group = [one for one in mine if _group(one) == pid]
        _end(group or [one for one in mine if one == pid])
    if "undo" in op.args:  # what it was for may be gone, and what it says is of no use then
        argv = inside_argv(op.node, [_placed(word, engine.journal.directory) for word in op.args["undo"]], [])
        env = {**os.environ, "PATH": search_path()}
        subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=env)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1


def stop_all(journal: Journal) -> None:
    """End every process of a lab: those that have its token in their environment."""
    if not journal.entries or "token" not in journal.entries[0]:
        return
    for _ in range(3):  # one may have forked meanwhile
        pids = find(token(journal))
        if not pids:
            return
        _end(pids)


def find(lab_token: str) -> list[int]:
    """The processes that have a lab's token, but not this one and those it runs below."""
    wanted = f"{TOKEN}={lab_token}".encode()
    spared = _ancestors()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal() and int(entry.name) not in spared:
            try:
                with open(f"/proc/{entry.name}/environ", "rb") as file:
                    if wanted in file.read().split(b"\0"):
                        found.append(int(entry.name))
            except OSError:
                continue
    return found


def _ancestors() -> set[int]:
    out, pid = set(), os.getpid()
    while pid > 1:
        out.add(pid)
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                pid = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            break
    return out


def _end(pids: list[int]) -> None:
    """SIGTERM, then SIGKILL for those that stay."""
    fds = {}
    for pid in pids:
        try:
            fds[pid] = os.pidfd_open(pid)
            signal.pidfd_send_signal(fds[pid], signal.SIGTERM)
        except ProcessLookupError:
            continue
    until = time.monotonic() + STOP_SECONDS
    pause = 0.001
    while time.monotonic() < until and any(map(alive, fds)):
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    for pid, fd in fds.items():
        if alive(pid):
            try:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if pid in _children:
            _children.pop(pid).wait()
    for fd in fds.values():
        os.close(fd)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and only waits to be reaped does not."""
    child: Any = _children.get(pid)
    if child is not None:
        return child.poll() is None
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


LISTENING = {"tcp": "0A", "udp": "07"}  # states of /proc/net: TCP_LISTEN; UDP without a peer


def listening(pid: int) -> list[str]:
    """The ports that a process listens on, as `tcp 80`."""
    sockets = _sockets_of(pid)
    out = set()
    for protocol, state in LISTENING.items():
        for name in (protocol, f"{protocol}6"):
            for words in _sockets(f"/proc/{pid}/net/{name}"):
                if words[3] == state and words[9] in sockets:
                    out.add((protocol, int(words[1].rpartition(":")[2], 16)))
    return [f"{protocol} {port}" for protocol, port in sorted(out)]


def _sockets_of(pid: int) -> set[str]:
    """The inodes of a process' sockets."""
    out = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            target = os.readlink(entry.path)
            if target.startswith("socket:["):
                out.add(target[8:-1])
    except OSError:
        pass  # it has ended
    return out


def _sockets(path: str) -> list[list[str]]:
    """The lines of one of /proc/net's tables of sockets."""
    try:
        with open(path, encoding="ascii") as file:
            return [line.split() for line in file][1:]
    except OSError:
        return []


def inside(inode: int) -> list[str]:
    """The processes in a namespace, as `PID (name)`."""
    out = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        try:
            if os.stat(f"/proc/{entry.name}/ns/net").st_ino == inode:
                with open(f"/proc/{entry.name}/comm", encoding="utf-8", errors="replace") as file:
                    out.append(f"{entry.name} ({file.read().strip()})")
        except OSError:
            continue
    return out
