#!/usr/bin/env python3
"""Run a command as root under User-Mode Linux, a kernel that has the link kinds which the machine's own may lack.

    scripts/uml_run.py [--memory SIZE] [--timeout SECONDS] COMMAND…

The guest is a process: no virtual machine, no image. It sees the machine's files read-only, the current directory
read-write, and has its own /tmp, /run, /proc and network namespaces (no interface of the machine). The exit code is
the command's; 125 if the guest died before it had one. Needs Debian's `user-mode-linux` and `kmod`; on processors with
AMX a C compiler too.

What it does not have: nftables NAT, more than one processor. It is several times slower than the machine.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

KERNEL = "linux.uml"
MODULES = "/usr/lib/uml/modules"
# Lines of the guest's console that are not the command's.
NOISE = ("SELinux", "mmapper", "Failed to initialize ubd", "random:", "Console initialized")

# UML before 6.8 has room for 2696 bytes of a process' extended state. Where processors have more, as with AMX, it reads
# the start and ptrace(2) refuses to write that back. This writes the start over the whole.
AMX = " amx_tile "
SHIM = """#define _GNU_SOURCE
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PEEKUSER = 3, GETREGSET = 0x4204, SETREGSET = 0x4205, NT_X86_XSTATE = 0x202 };

long ptrace(int request, ...) {
  static char state[65536] __attribute__((aligned(64)));
  struct iovec whole = {state, sizeof state};
  va_list words;
  va_start(words, request);
  int pid = va_arg(words, int);
  void *address = va_arg(words, void *), *data = va_arg(words, void *);
  va_end(words);
  if (request > 0 && request <= PEEKUSER) {
    long found;
    return syscall(SYS_ptrace, request, pid, address, &found) < 0 ? -1 : found;
  }
  if (request == SETREGSET && (long)address == NT_X86_XSTATE) {
    const struct iovec *given = data;
    if (syscall(SYS_ptrace, GETREGSET, pid, address, &whole) < 0) return -1;
    memcpy(state, given->iov_base, given->iov_len < whole.iov_len ? given->iov_len : whole.iov_len);
    data = &whole;
  }
  return syscall(SYS_ptrace, request, pid, address, data);
}
"""

# Process 1 of the guest. UML_JOB and UML_DIRECTORY come from the kernel's command line.
INIT = """#!/bin/bash
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /run/netns /run/lock /run/kmod/lib /dev/pts /dev/shm /dev/net
mount -t devpts devpts /dev/pts 2>/dev/null
mount -t tmpfs tmpfs /dev/shm
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
ln -s {modules} /run/kmod/lib/modules
printf '#!/bin/sh\\nexec /sbin/modprobe -d /run/kmod "$@"\\n' > /run/kmod/modprobe
chmod +x /run/kmod/modprobe
echo /run/kmod/modprobe > /proc/sys/kernel/modprobe
ip link set lo up
mkdir -p "$UML_DIRECTORY"
mount -t hostfs none "$UML_DIRECTORY" -o "$UML_DIRECTORY"
set -a
. "$UML_JOB/environment"
set +a
cd "$UML_DIRECTORY"
bash "$UML_JOB/command"
echo $? > "$UML_JOB/status"
sync
echo o > /proc/sysrq-trigger
sleep 5
"""


def missing() -> str | None:
    """Why no guest can be started here; None when one can."""
    if shutil.which(KERNEL) is None:
        return f"{KERNEL} is missing: apt-get install user-mode-linux"
    return None if os.geteuid() == 0 else "needs root to read all of the machine's files"


def shim(job: Path) -> dict[str, str]:
    """What the guest's kernel has in its environment, so that it runs on processors with more state than it knows."""
    if AMX not in Path("/proc/cpuinfo").read_text(encoding="ascii"):
        return {}
    source = job / "ptrace.c"
    source.write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", job / "ptrace.so", source], check=True)
    return {"LD_PRELOAD": str(job / "ptrace.so")}


def run(command: list[str], directory: Path, memory: str, seconds: float, output: int | None = None) -> int:
    """Run a command in a guest. output: a descriptor for what it prints (standard output)."""
    kernel = shutil.which(KERNEL)
    if kernel is None:
        raise FileNotFoundError(KERNEL)
    with tempfile.TemporaryDirectory(prefix=".uml-", dir=directory) as name:
        job = Path(name)
        init = job / "init"
        init.write_text(INIT.replace("{modules}", MODULES))
        init.chmod(0o755)
        (job / "command").write_text(f"exec {shlex.join(command)}\n")
        kept = {key: value for key, value in os.environ.items() if key.isidentifier() and "\n" not in value}
        kept["HOME"] = "/root"
        (job / "environment").write_text("".join(f"{key}={shlex.quote(value)}\n" for key, value in kept.items()))
        argv = [kernel, f"mem={memory}", f"uml_dir={job}", "umid=guest", "root=/dev/root", "rootfstype=hostfs"]
        argv += ["rootflags=/", "ro", f"init={init}", "con=null", "con0=null,fd:1", "con1=null", "ssl=null", "quiet"]
        argv += [f"UML_JOB={job}", f"UML_DIRECTORY={directory}"]
        guest = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **shim(job)},
        )
        try:
            copy(guest, output if output is not None else sys.stdout.fileno(), seconds)
        finally:
            end(guest)
        status = job / "status"
        return int(status.read_text()) if status.exists() and status.read_text().strip() else 125


def copy(guest: subprocess.Popen[bytes], output: int, seconds: float) -> None:
    """What the guest prints, but not the kernel's own lines; the guest is ended after `seconds`."""
    timer = threading.Timer(seconds, lambda: end(guest))
    timer.start()
    try:
        if guest.stdout is not None:
            for line in guest.stdout:
                if not line.startswith(tuple(word.encode() for word in NOISE)):
                    os.write(output, line)
        guest.wait()
    finally:
        timer.cancel()


def end(guest: subprocess.Popen[bytes]) -> None:
    """End the guest and the processes it is made of: one of the machine's for each of its own."""
    if guest.poll() is None:
        os.killpg(guest.pid, signal.SIGKILL)
        guest.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", default="512M", metavar="SIZE", help="of the guest (512M)")
    parser.add_argument("--timeout", type=float, default=600, metavar="SECONDS", help="until it is ended (600)")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.command:
        parser.error("no command")
    why = missing()
    if why is not None:
        print(f"uml_run: {why}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the guest and its files go too
    return run(options.command, Path.cwd(), options.memory, options.timeout)


if __name__ == "__main__":
    sys.exit(main())
