"""An HTTP/1.1 connection that becomes HTTP/2 in clear (h2c): `.venv/bin/python captures/h2c/make.py`.

curl asks nghttpx (Debian: nghttp2-proxy) for the upgrade between two namespaces, then sends more on that connection.
Needs root.
"""

from __future__ import annotations

import os
from pathlib import Path

import sniffkit as sk

HERE = Path(__file__).resolve().parent
CLIENT, SERVER = "skh2cclient", "skh2cserver"
PROXY = "exec nghttpx --conf=/dev/null --no-ocsp -n1 -f'*,80;no-tls' -b'127.0.0.1,8080'"


def main() -> None:
    """Build the lab, talk, keep the capture."""
    spec = {
        "nodes": {
            CLIENT: {},
            SERVER: {
                "services": {"http": {"port": 8080, "text": "from behind\n"}, "run": {"command": PROXY, "tcp": 80}}
            },
        },
        "links": [{f"{CLIENT}/veth1": "10.0.0.1/24", f"{SERVER}/veth2": "10.0.0.2/24"}],
    }
    path = HERE / "h2c.pcapng"
    path.unlink(missing_ok=True)
    with sk.lab(spec) as lab, sk.capture(f"{CLIENT}/veth1", write=path, filter="tcp port 80"):
        urls = [f"http://10.0.0.2/{name}" for name in ("one", "two", "three")]
        lab[CLIENT].run(["curl", "-s", "--http2", *(part for url in urls for part in ("-o", os.devnull, url))])


if __name__ == "__main__":
    main()
