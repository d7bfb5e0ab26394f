"""Both sides of a router that loses packets: `.venv/bin/python captures/loss/make.py`.

nftables drops every tenth packet on the way out and every twentieth on the way back, at random. Pings and HTTP through
NAT. `dropped.txt` has nftables' counters: out, back. Needs root.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import sniffkit as sk

HERE = Path(__file__).resolve().parent
NEAR, ROUTER, FAR = "sklossnear", "sklossrouter", "sklossfar"
RULES = """add table inet loss
add chain inet loss forward { type filter hook forward priority 10; }
add rule inet loss forward iifname "near" numgen random mod 10 == 0 counter drop
add rule inet loss forward iifname "far" numgen random mod 20 == 0 counter drop"""


def main() -> None:
    """Build the lab, talk, keep the captures of the router's two interfaces."""
    spec = {
        "nodes": {
            NEAR: {"routes": ["default via 10.0.0.254"]},
            ROUTER: {"forward": True, "nat": [{"masquerade": "far"}]},
            FAR: {"services": {"http": {"port": 80, "text": "x" * 20_000}}},
        },
        "links": [
            {f"{NEAR}/eth0": "10.0.0.1/24", f"{ROUTER}/near": "10.0.0.254/24"},
            {f"{ROUTER}/far": "203.0.113.1/24", f"{FAR}/eth0": "203.0.113.2/24"},
        ],
    }
    paths = [HERE / f"{side}.pcapng" for side in ("near", "far")]
    for path in paths:
        path.unlink(missing_ok=True)
    with sk.lab(spec) as lab:
        lab[ROUTER].run(["nft", "-f", "-"], input=RULES)
        with (
            sk.capture(f"{ROUTER}/near", write=paths[0], filter="icmp or tcp", snap_len=96),
            sk.capture(f"{ROUTER}/far", write=paths[1], filter="icmp or tcp", snap_len=96),
        ):
            lab[NEAR].run(["ping", "-q", "-c", "100", "-i", "0.01", "-W", "1", "203.0.113.2"], check=False)
            for _ in range(5):
                lab[NEAR].run(["curl", "-s", "-m", "3", "-o", "/dev/null", "http://203.0.113.2/"], check=False)
            time.sleep(0.3)
        counted = re.findall(r"packets (\d+)", lab[ROUTER].run(["nft", "list", "table", "inet", "loss"]).stdout)
        (HERE / "dropped.txt").write_text(" ".join(counted) + "\n")


if __name__ == "__main__":
    main()
