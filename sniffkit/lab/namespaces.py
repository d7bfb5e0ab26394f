"""Making, entering and removing named network namespaces, as ip-netns(8) does: a name below /run/netns is a bind mount.

Everything here moves the calling thread from namespace to namespace: call it on a thread that ends afterwards
(sniffkit.lab.engine does). mount(2), setns(2), unshare(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import itertools
import os
import re
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from sniffkit.errors import LabError, PrivilegeError
from sniffkit.netlink import NETNS_DIR

CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 0x1000, 0x4000, 1 << 18, 1 << 20
MNT_DETACH = 2
SO_NETNS_COOKIE = 71  # asm-generic/socket.h

_libc = ctypes.CDLL(None, use_errno=True)


def system_error(what: str, code: int) -> LabError | PrivilegeError:
    """The error for an errno."""
    if code in (errno.EPERM, errno.EACCES):
        return PrivilegeError(f"{what}: not permitted: CAP_SYS_ADMIN and CAP_NET_ADMIN are missing; run it with sudo")
    return LabError(f"{what}: {os.strerror(code)}")


def _call(what: str, result: int) -> None:
    if result != 0:
        raise system_error(what, ctypes.get_errno())


def own() -> int:
    """A descriptor of the namespace that the calling thread is in."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def identity() -> list[int]:
    """What tells the calling thread's namespace from any other since the machine started: its inode and its cookie.

    Inodes are used again; cookies are not, but Linux before 5.14 has none: 0.
    """
    cookie = 0
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asked:
        cookie = int.from_bytes(asked.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), sys.byteorder)
    return [os.stat("/proc/thread-self/ns/net").st_ino, cookie]


def find(wanted: list[int]) -> int | None:
    """A descriptor of the namespace of an identity; None if it is mounted nowhere here and nobody seen is in it.

    The calling thread is where it was afterwards.
    """
    here = own()
    try:
        # Processes end meanwhile, which glob passes over and Path.glob does not.
        for path in itertools.chain(_mounted(wanted[0]), glob.iglob("/proc/[0-9]*/task/[0-9]*/ns/net")):
            fd = -1
            try:
                if os.stat(path).st_ino != wanted[0]:
                    continue
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                enter(fd)
                if identity() == wanted:
                    found, fd = fd, -1
                    return found
            except (OSError, LabError, PrivilegeError):  # it has gone, or is no namespace, or not for this user
                continue
            finally:
                if fd >= 0:
                    os.close(fd)
        return None
    finally:
        enter(here)
        os.close(here)


def _mounted(inode: int) -> list[str]:
    """Where the namespace of an inode is mounted, as `ip netns` does it."""
    return [mount[4] for mount in _mounts("self") if mount[3] == f"net:[{inode}]"]


def _mounts(process: str) -> list[list[str]]:
    """The fields of a process' mountinfo (proc(5)), a list a mount; paths as they are."""
    try:
        with open(f"/proc/{process}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            found = [line.split() for line in file]
    except OSError:
        return []
    for fields in found:
        fields[4] = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
    return found


def processes_seen() -> int:
    """What tells the PID namespace of this process from others: of what is in it alone it knows the processes."""
    return os.stat("/proc/self/ns/pid").st_ino


def enter(fd: int) -> None:
    """Move the calling thread."""
    _call("entering a namespace", _libc.setns(fd, CLONE_NEWNET))


def unshare() -> None:
    """Move the calling thread into a new namespace without a name."""
    _call("making a namespace", _libc.unshare(CLONE_NEWNET))


def mount_sysfs() -> None:
    """Give the calling thread a /sys of its own, which shows the namespace it is in."""
    _call("making a mount namespace", _libc.unshare(CLONE_NEWNS))
    _call("mounting", _libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    _libc.umount2(b"/sys", MNT_DETACH)  # the same one cannot be mounted over itself
    _call("mounting /sys", _libc.mount(b"sysfs", b"/sys", b"sysfs", 0, None))


def make(name: str, record: Callable[[int], None]) -> int:
    """Make a namespace, stay in it, and return its descriptor.

    record gets its inode before the name exists: without a name it would vanish with the thread.
    """
    _call(f"making namespace {name}", _libc.unshare(CLONE_NEWNET))
    fd = own()
    try:
        record(os.fstat(fd).st_ino)
        path = os.fsencode(NETNS_DIR / name)
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0))
        _call(f"naming namespace {name}", _libc.mount(b"/proc/thread-self/ns/net", path, b"none", MS_BIND, None))
    except BaseException:
        os.close(fd)
        raise
    return fd


def prepare() -> None:
    """The directory of the names, shared with other mount namespaces so that all see the same names."""
    path = os.fsencode(NETNS_DIR)
    try:
        os.makedirs(path, 0o755, exist_ok=True)
    except OSError as error:
        raise system_error(f"making {NETNS_DIR}", error.errno or errno.EIO) from None
    if _libc.mount(b"", path, b"none", MS_SHARED | MS_REC, None) == 0:
        return
    if ctypes.get_errno() != errno.EINVAL:
        raise system_error(f"sharing {NETNS_DIR}", ctypes.get_errno())
    _call(f"mounting {NETNS_DIR}", _libc.mount(path, path, b"none", MS_BIND | MS_REC, None))
    _call(f"sharing {NETNS_DIR}", _libc.mount(b"", path, b"none", MS_SHARED | MS_REC, None))


def inode(name: str) -> int | None:
    """The inode of the namespace of that name; 0 for a name without one, None if there is no such name."""
    try:
        found = os.stat(NETNS_DIR / name)
    except FileNotFoundError:
        return None
    return 0 if found.st_dev == os.stat(NETNS_DIR).st_dev else found.st_ino


def unseen(names: Iterable[str], record: Path) -> bool:
    """Whether the first process has the file system that `record` is in, but not all of these namespaces' names: those
    are mounts in a mount namespace of our own (ip netns exec, unshare -m), and gone with it. False where that cannot be
    known.
    """
    try:
        device = os.stat(record).st_dev
    except OSError:
        return False
    mounts = _mounts("1")
    shared = any(mount[2] == f"{os.major(device)}:{os.minor(device)}" for mount in mounts)
    # As it ends: from a chroot the first process sees the same mount in another place.
    seen = {name for mount in mounts for place, _, name in [mount[4].rpartition("/")] if place.endswith("/netns")}
    return shared and not seen.issuperset(names)


def remove(name: str) -> None:
    """Take away a name; the namespace goes when nothing holds it any more."""
    path = os.fsencode(NETNS_DIR / name)
    if inode(name):
        _call(f"unmounting {NETNS_DIR / name}", _libc.umount2(path, MNT_DETACH))
    os.unlink(path)
