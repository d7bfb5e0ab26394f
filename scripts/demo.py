#!/usr/bin/env python3
"""The demo: real traffic between two namespaces, captured live, shown as a flow table. `make demo` runs it (root).

    scripts/demo.py [--dir DIR]

Writes demo.pcapng and demo.parquet into DIR (where you are). All else that it makes (two namespaces, their links,
processes, a temporary directory) is gone at the end, also after ^C or SIGTERM; then it leaves no file either.
Exit codes: 0 fine, 1 something did not come out as it should, 2 cannot run here, 130 after ^C.
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
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sniffkit.lab import Lab, Node

SCRIPTS = Path(__file__).resolve().parent
BIN = SCRIPTS.parent / ".venv" / "bin"
WIDTH = 120  # columns of the flow table where nobody sits at a terminal
PATIENCE = 20.0  # seconds for anything that should take a fraction of one
SITE = "www.demo.test"  # .test never exists in the real DNS (RFC 6761, 6.2)
PAGE = "<h1>Served inside a namespace</h1>\n"
NEEDED = {"ip": "iproute2", "dnsmasq": "dnsmasq-base", "curl": "curl", "ping": "iputils-ping", "mount": "mount"}
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}:{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"}


class DemoError(Exception):
    """Something that the demo cannot go on after, in one line."""


class Interrupted(Exception):
    """A signal asks to end."""


class Signals:
    """SIGINT, SIGTERM and SIGHUP only leave a mark, and the demo looks at it where it waits.

    So no signal, whenever it comes, falls between making a thing and noting that it must be removed.
    """

    def __init__(self) -> None:
        self.seen: int | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.mark)

    def mark(self, number: int, _frame: object) -> None:
        self.seen = self.seen or number

    def check(self) -> None:
        if self.seen is not None:
            raise Interrupted


signals = Signals()  # before anything else is loaded


def wait_until(ready: Callable[[], bool], what: str) -> None:
    """Look every 20 ms. Raises DemoError after PATIENCE seconds, Interrupted after a signal."""
    deadline = time.monotonic() + PATIENCE
    while True:
        signals.check()
        if ready():
            return
        if time.monotonic() > deadline:
            raise DemoError(f"{what}: nothing after {PATIENCE:.0f} s")
        time.sleep(0.02)


def say(text: str) -> None:
    signals.check()
    print(f"\n{text}", flush=True)


class Demo:
    """One run: `scene` is the directory of everything temporary, the lab's processes end with the lab."""

    def __init__(self, lab: Lab, scene: Path) -> None:
        self.lab = lab
        self.client, self.server = (lab[name] for name in lab.spec.nodes)
        self.scene = scene

    def start(self, node: Node, command: Sequence[str], output: str) -> subprocess.Popen[Any]:
        """Start a server in a node; what it says goes to a file of the scene. A ^C at the terminal is not for it."""
        with open(self.scene / output, "wb") as file:
            return node.popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)

    def said(self, output: str) -> str:
        return (self.scene / output).read_text(errors="replace")

    def do(self, node: Node, command: Sequence[str], shown: str) -> str:
        """Run a client in a node to its end, show its command, return what it printed."""
        print(f"  {node.name}$ {shown}", flush=True)
        process = self.start(node, command, "client.out")
        wait_until(lambda: process.poll() is not None, shown)
        text = self.said("client.out")
        if process.returncode != 0:
            raise DemoError(f"{shown}: exit {process.returncode}: {' '.join(text.split())}")
        return text

    def serve(self) -> None:
        """HTTP and DNS servers in the second node; back once both listen."""
        www = self.scene / "www"
        www.mkdir()
        (www / "index.html").write_text(PAGE)
        http = self.start(self.server, [sys.executable, "-m", "http.server", "80", "--directory", str(www)], "http.out")
        dns = self.start(
            self.server,
            [
                *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--log-facility=-"),
                *("--user=nobody", "--no-hosts", "--no-resolv", "--bind-interfaces", "--listen-address=10.0.0.11"),
                *(f"--host-record={SITE},10.0.0.11", "--local=/demo.test/"),
            ],
            "dns.out",
        )
        for process, table, socket, output in (
            (http, "tcp", "00000000:0050 00000000:0000 0A", "http.out"),
            (dns, "udp", "0B00000A:0035 ", "dns.out"),
        ):
            wait_until(lambda p=process, t=table, s=socket, o=output: self.listens(p, t, s, o), output)  # type: ignore[misc]

    def listens(self, process: subprocess.Popen[Any], table: str, socket: str, output: str) -> bool:
        """Whether a server has its socket, as its namespace's /proc/net says (addresses there are little-endian)."""
        if process.poll() is not None:
            raise DemoError(f"a server ended: {' '.join(self.said(output).split())}")
        return socket in Path(f"/proc/{process.pid}/net/{table}").read_text()

    def tagged_links(self) -> str:
        """VLAN 100 over the veth pair, 10.0.100.10 and .11. Returns how."""
        ends = ((self.client, "veth1", "10.0.100.10/24"), (self.server, "veth2", "10.0.100.11/24"))
        by_kernel = True
        for node, parent, address in ends:
            name = f"{parent}.100"
            done = node.run(
                ["ip", "link", "add", "link", parent, "name", name, "type", "vlan", "id", "100"], check=False
            )
            by_kernel = done.returncode == 0
            if by_kernel:
                node.run(["ip", "address", "add", address, "dev", name])
                node.run(["ip", "link", "set", name, "up"])
                continue
            if not any(words in done.stderr for words in ("Unknown device type", "not supported")):
                raise DemoError(f"a VLAN link: {' '.join(done.stderr.split())}")
            output = f"{name}.out"
            link = self.start(
                node, [sys.executable, str(SCRIPTS / "tagged_link.py"), parent, "100", name, address], output
            )
            wait_until(lambda p=link, o=output: self.is_ready(p, o), name)  # type: ignore[misc]
        return "the kernel's vlan links" if by_kernel else "tagged by scripts/tagged_link.py, this kernel has no vlan"

    def is_ready(self, process: subprocess.Popen[Any], output: str) -> bool:
        if process.poll() is not None:
            raise DemoError(f"tagged_link.py ended: {' '.join(self.said(output).split())}")
        return "ready" in self.said(output)

    def tunnels(self) -> None:
        """VXLAN 42 between the two addresses of the veth pair, 10.0.42.10 and .11 inside it."""
        for node, parent, remote, address in (
            (self.client, "veth1", "10.0.0.11", "10.0.42.10/24"),
            (self.server, "veth2", "10.0.0.10", "10.0.42.11/24"),
        ):
            how = ["type", "vxlan", "id", "42", "dstport", "4789", "remote", remote, "dev", parent]
            node.run(["ip", "link", "add", "vxlan42", *how])
            node.run(["ip", "address", "add", address, "dev", "vxlan42"])
            node.run(["ip", "link", "set", "vxlan42", "up"])

    def capture(self) -> subprocess.Popen[Any]:
        """`sniffkit capture …` as anyone would type it; back once it says that it listens."""
        words = ["sniffkit", "capture", "--netns", self.client.name, "-i", "veth1"]
        words += ["-w", "demo.pcapng", "--flows", "demo.parquet"]
        print(f"  $ {' '.join(words)}", flush=True)
        with open(self.scene / "capture.out", "wb") as file:
            process = subprocess.Popen(
                words,
                cwd=self.scene,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.lab.started(process)

        def listening() -> bool:
            if process.poll() is not None:
                raise DemoError(f"sniffkit capture: {' '.join(self.said('capture.out').split())}")
            return "listening" in self.said("capture.out")

        wait_until(listening, "sniffkit capture")
        return process

    def traffic(self) -> None:
        """What the capture shall see."""
        say("Ping: three echo requests and their replies, after the ARP that finds the neighbour.")
        self.ping("10.0.0.11")
        say(f"DNS and HTTP: curl looks {SITE} up (a dnsmasq in {self.server.name} answers), then fetches it over TCP.")
        mounts = []
        for name, text in (("resolv.conf", "nameserver 10.0.0.11\n"), ("nsswitch.conf", "hosts: dns\n")):
            (self.scene / name).write_text(text)
            if Path("/etc", name).exists():
                mounts.append(f"mount --bind {shlex.quote(str(self.scene / name))} /etc/{name}")
        # In a mount namespace of its own: what is mounted there is seen by nobody else and ends with the command.
        curl = f"curl -s --noproxy '*' http://{SITE}/"
        resolving = ["unshare", "--mount", "sh", "-c", " && ".join([*mounts, f"exec {curl}"])]
        self.expect(self.do(self.client, resolving, f"curl -s http://{SITE}/"))
        say("VLAN: another ping, in VLAN 100, each frame with an 802.1Q tag.")
        self.ping("10.0.100.11")
        say("VXLAN: an Ethernet of its own (VNI 42) inside UDP port 4789, and HTTP in it.")
        curl_inner = ["curl", "-s", "--noproxy", "*", "http://10.0.42.11/"]
        self.expect(self.do(self.client, curl_inner, "curl -s http://10.0.42.11/"))

    def ping(self, address: str) -> None:
        text = self.do(self.client, ["ping", "-c", "3", "-i", "0.2", address], f"ping -c 3 {address}")
        print("    " + next(line for line in text.splitlines() if "packets transmitted" in line), flush=True)

    def expect(self, page: str) -> None:
        if page != PAGE:
            raise DemoError(f"the web page came back as {page!r}")
        print(f"    {page.strip()}", flush=True)

    def stop_capture(self, process: subprocess.Popen[Any]) -> None:
        """^C to the capture; what it then says."""
        process.send_signal(signal.SIGINT)
        wait_until(lambda: process.poll() is not None, "the end of sniffkit capture")
        for line in filter(None, self.said("capture.out").splitlines()):
            print(f"  {line}", flush=True)
        if process.returncode != 0:
            raise DemoError(f"sniffkit capture: exit {process.returncode}")


def without_ipv6(node: Node) -> None:
    """No IPv6 in a node: its neighbour discovery would put rows into the table that nobody asked for."""
    script = "for f in all default; do f=/proc/sys/net/ipv6/conf/$f/disable_ipv6; [ ! -e $f ] || echo 1 > $f; done"
    node.run(["sh", "-c", script])


def free_names() -> tuple[str, str]:
    """ns1 and ns2, or the next pair that is free: namespaces that exist are not ours to touch."""
    from sniffkit.netlink import namespaces

    taken = set(namespaces())
    number = 1
    while {f"ns{number}", f"ns{number + 1}"} & taken:
        number += 2
    names = (f"ns{number}", f"ns{number + 1}")
    if number > 1:
        print(f"The namespaces ns1 and ns2 are in use and stay untouched; the demo uses {' and '.join(names)}.")
    return names


def show_table(directory: Path) -> None:
    """`sniffkit flows demo.pcapng`, as a terminal shows it."""
    from on_terminal import on_terminal

    print("  $ sniffkit flows demo.pcapng", flush=True)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH
    code, text = on_terminal(["sniffkit", "flows", "demo.pcapng"], width, directory, ENVIRONMENT)
    print(text, flush=True)
    if code != 0:
        raise DemoError(f"sniffkit flows: exit {code}")


def compare(directory: Path) -> int:
    """How many flows there are; the table kept while capturing must have as many as the one made from the file."""
    import pyarrow.parquet

    import sniffkit as sk

    kept: int = pyarrow.parquet.read_table(directory / "demo.parquet").num_rows
    made = sk.open(directory / "demo.pcapng").flows().to_arrow().num_rows
    if kept != made:
        raise DemoError(f"demo.parquet has {kept} flows, demo.pcapng gives {made}")
    return kept


def run(directory: Path) -> None:
    """The whole story; what it makes is removed on every way out."""
    from sniffkit.lab import lab as make_lab

    first, second = free_names()
    say(f"Two network namespaces, {first} and {second}, joined by a veth pair; web and DNS servers in {second}.")
    link = {f"{first}/veth1": "10.0.0.10/24", f"{second}/veth2": "10.0.0.11/24"}
    with tempfile.TemporaryDirectory(prefix="sniffkit-demo-") as scene, make_lab({"links": [link]}) as lab:
        demo = Demo(lab, Path(scene))
        for node in (demo.client, demo.server):
            without_ipv6(node)
        demo.serve()
        how = demo.tagged_links()
        demo.tunnels()
        print(f"  {first}/veth1 10.0.0.10 ── 10.0.0.11 {second}/veth2", flush=True)
        print(f"  VLAN 100: 10.0.100.10 ── 10.0.100.11 ({how})", flush=True)
        print("  VXLAN 42: 10.0.42.10 ── 10.0.42.11", flush=True)
        say(f"sniffkit captures on veth1 inside {first}, from outside it, and keeps the flow table meanwhile.")
        capture = demo.capture()
        demo.traffic()
        say("^C ends the capture; what the kernel still holds is written before.")
        demo.stop_capture(capture)
        say("One row per flow, both directions: who, in which VLAN or VXLAN, what service, how much, how it ended.")
        show_table(demo.scene)
        flows = compare(demo.scene)
        signals.check()
        for name in ("demo.pcapng", "demo.parquet"):
            shutil.copyfile(demo.scene / name, directory / name)
    print(f"\nThe namespaces and servers are gone. {directory}/ keeps demo.pcapng and demo.parquet ({flows} flows).")
    print(f"Next: {shown(BIN / 'sniffkit')} read demo.pcapng · … flows --help · the examples of README.md")


def shown(path: Path) -> str:
    """A path as one would type it from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def missing() -> str | None:
    """Why the demo cannot run here, in one line."""
    if not (BIN / "sniffkit").exists():
        return "sniffkit is not built: make setup"
    lacking = [package for tool, package in NEEDED.items() if shutil.which(tool, path=ENVIRONMENT["PATH"]) is None]
    lines = [f"Debian packages are missing: {' '.join(lacking)}"] if lacking else []
    if os.geteuid() != 0:
        lines.insert(0, "root is missing (it makes network namespaces): sudo make demo")
    return "; ".join(lines) or None


def main() -> int:
    parser = argparse.ArgumentParser(description="Capture real traffic between two namespaces and show its flow table.")
    parser.add_argument("--dir", type=Path, default=Path(), help="where demo.pcapng and demo.parquet go (here)")
    directory = parser.parse_args().dir.resolve()
    if reason := missing():
        print(f"demo: {reason}", file=sys.stderr)
        return 2
    if not os.access(directory, os.W_OK):
        print(f"demo: {directory} is not a directory that can be written to", file=sys.stderr)
        return 2
    os.environ["PATH"] = ENVIRONMENT["PATH"]
    from sniffkit.errors import SniffkitError

    try:
        run(directory)
    except (Interrupted, DemoError, SniffkitError, OSError) as error:
        if signals.seen is not None:  # whatever failed then, failed for that
            print("\ndemo: interrupted; what it had made is removed", file=sys.stderr)
            return 128 + signals.seen
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, SniffkitError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
