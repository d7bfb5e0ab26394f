"""Makes captures/discovery/poisoning.pcapng: ordinary traffic, then ARP poisoning with a relay, in a lab.

    sudo .venv/bin/python captures/discovery/make.py [FILE]

Captured at client, gateway and attacker: a name looked up, pages fetched and pings through the gateway; then
docs/labs/poison.py for a second and a half while the client goes on.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import sniffkit as sk

HERE = Path(__file__).resolve().parent
LABS = HERE.parent.parent / "docs" / "labs"
POINTS = ("client/eth0", "gateway/eth0", "attacker/eth0")


def traffic(client: object) -> None:
    """What a client does: looks a name up, fetches a page, pings two machines behind the gateway."""
    run = client.run  # type: ignore[attr-defined]
    run([sys.executable, "-c", LOOKUP])
    for address in ("198.51.100.2", "198.51.100.3"):
        run(["curl", "-s", "--max-time", "5", f"http://{address}/"])
        run(["ping", "-c1", "-W2", address])


# A question for www.lab.test, sent to the gateway: the client's own resolver would ask whom the machine asks.
LOOKUP = """import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(bytes.fromhex("12340100000100000000000003777777036c616204746573740000010001"), ("10.0.0.1", 53))
s.recv(512)"""


def make(path: str, attack: bool = True, seconds: float = 1.5) -> None:
    """Build the lab, run it, write the capture."""
    with sk.lab(str(LABS / "discovery.yaml")) as lab, sk.capture(*POINTS, write=path) as live:
        traffic(lab["client"])
        if attack:
            command = [sys.executable, str(LABS / "poison.py"), "eth0", "10.0.0.2", "10.0.0.1"]
            command += ["--seconds", str(seconds), "--every", "0.3"]
            attacker = lab["attacker"].popen(command, stdout=subprocess.PIPE, text=True)
            assert attacker.stdout is not None
            assert attacker.stdout.readline() == "2 replies sent\n"
            traffic(lab["client"])
            attacker.stdout.read()
            assert attacker.wait(30) == 0
        time.sleep(0.2)  # the last frames' way through three rings
        live.stop()


if __name__ == "__main__":
    make(sys.argv[1] if len(sys.argv) > 1 else str(HERE / "poisoning.pcapng"))
