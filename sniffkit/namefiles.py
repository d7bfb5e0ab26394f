"""A namespace's own resolv.conf, hosts and the like: in force for what runs in it, as `ip netns exec` makes them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sniffkit.errors import SniffkitError
from sniffkit.netlink import NETNS_DIR, namespace_path, run_in

ETC, ETC_NETNS = Path("/etc"), Path("/etc/netns")
# Without these a name would silently be looked up as everywhere else.
NEEDED = ("resolv.conf", "hosts")

# sched.h, sys/mount.h
CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_SLAVE = 4096, 16384, 1 << 19

T = TypeVar("T")


def own_files(netns: str | None) -> list[tuple[Path, Path]]:
    """(file, what it stands for) of a namespace: those of /etc/netns/NAME (ip-netns(8)), a lab node's resolv.conf."""
    if netns is None:
        return []
    path = namespace_path(netns)
    if path.parent not in (NETNS_DIR, Path("/var/run/netns")):
        return []  # a namespace by path or PID has no name that files could be kept under
    from sniffkit.lab.state import ROOT

    try:
        given = sorted(ETC_NETNS.joinpath(path.name).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        given = []
    files = {ETC / one.name: one for one in given if (ETC / one.name).exists() or one.name in NEEDED}
    for of_lab in sorted(ROOT.glob(f"*/{path.name}.resolv.conf")):
        files[ETC / "resolv.conf"] = of_lab
    return [(source, target) for target, source in files.items()]


def run_with_files(netns: str | None, task: Callable[[], T]) -> T:
    """`netlink.run_in` with the namespace's own files in place of the machine's, for this task and what it starts."""
    files = own_files(netns)
    if not files:
        return run_in(netns, task)

    def covered() -> T:
        cover(files)
        return task()

    return run_in(netns, covered)


def cover(files: list[tuple[Path, Path]]) -> None:
    """Mount files over others for this thread and its children alone; it ends with them."""
    libc = ctypes.CDLL(None, use_errno=True)

    def check(result: int, what: str) -> None:
        if result != 0:
            raise SniffkitError(f"{what}: {os.strerror(ctypes.get_errno())}")

    check(libc.unshare(CLONE_NEWNS), "a mount namespace")
    # What is mounted from here on does not reach the namespace that this one was copied from.
    check(libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_SLAVE), None), "making / a slave")
    for source, target in files:
        result = libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(MS_BIND), None)
        check(result, f"mounting {source} over {target}")
