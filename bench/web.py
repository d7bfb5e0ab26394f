"""Captures of real web traffic over a veth pair, nginx to curl: a small site, and short answers to programs."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.inputs import DATA, ROOT, NoInput

CONNECTIONS = 8
ADDRESS = "10.233.0.2"
Parts = tuple[tuple[str, int, int, int], ...]
WORDS = ("network", "packet", "capture", "flow", "stream", "segment", "frame", "table", "column", "window", "bridge")
# What is served: how many files of each kind, their sizes in bytes.
SITE = (
    ("html", 24, 8_000, 60_000),
    ("css", 12, 5_000, 80_000),
    ("js", 24, 20_000, 300_000),
    ("json", 24, 500, 40_000),
    ("png", 60, 2_000, 120_000),
    ("jpg", 60, 10_000, 250_000),
    ("woff2", 12, 20_000, 60_000),
)
ANSWERS = (("json", 200, 200, 4_000),)
# Capture -> what is served, bytes of files that are fetched: each makes about 150 MB of frames.
CAPTURES = {"web": (SITE, 170_000_000), "answers": (ANSWERS, 160_000_000)}


def lines(kind: str, chance: random.Random) -> Iterator[str]:
    """Text as a program of that kind writes it, line by line."""
    while True:
        words = chance.choices(WORDS, k=chance.randint(4, 12))
        if kind == "html":
            yield f'  <p class="{words[0]}"><a href="/{words[1]}">{" ".join(words[2:])}</a></p>\n'
        elif kind == "css":
            margin, color = chance.randint(0, 40), chance.randrange(1 << 24)
            yield f".{words[0]}-{words[1]} {{ margin: {margin}px; color: #{color:06x} }}\n"
        elif kind == "js":
            yield f'  function {words[0]}{chance.randrange(999)}({words[1]}) {{ return "{" ".join(words[2:])}"; }}\n'
        else:
            number = chance.randrange(10**6)
            yield f'  {{"id": {number}, "name": "{words[0]}", "tags": ["{words[1]}", "{words[2]}"]}},\n'


def site(root: Path, parts: Parts) -> dict[str, int]:
    """Writes the files that are served, the same every time; bytes by name. Texts also as .gz, as nginx sends them."""
    chance = random.Random(5)
    sizes: dict[str, int] = {}
    for kind, count, least, most in parts:
        for number in range(count):
            size = chance.randint(least, most)
            name = f"{kind}/{number:03}.{kind}"
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind in ("png", "jpg", "woff2"):
                path.write_bytes(chance.randbytes(size))
            else:
                text, made = [], 0
                while made < size:
                    text.append(next(lines(kind, chance)))
                    made += len(text[-1])
                path.write_text("".join(text))
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), 6, mtime=0))
            sizes[name] = size
    return sizes


def urls(sizes: dict[str, int], wanted: int) -> list[str]:
    """What is fetched, so that the bodies come to so many bytes."""
    chance = random.Random(6)
    names = sorted(sizes)
    out: list[str] = []
    total = 0
    while total < wanted:
        name = chance.choice(names)
        out.append(f"/{name}?v={len(out)}")
        total += sizes[name]
    return out


def settings(work: Path) -> str:
    """nginx on its own: one process, nothing outside its directory. Every second file of text goes out compressed."""
    return f"""daemon off; master_process off; pid {work}/nginx.pid; error_log {work}/error.log;
events {{ }}
http {{
  include /etc/nginx/mime.types; sendfile on; tcp_nopush on; keepalive_requests 100;
  log_format both '$remote_port $request_method $request_uri $status $body_bytes_sent';
  access_log {work}/access.log both;
  client_body_temp_path {work}/a; proxy_temp_path {work}/b; fastcgi_temp_path {work}/c; uwsgi_temp_path {work}/d;
  scgi_temp_path {work}/e;
  server {{ listen 80; root {work}/site; location ~ "[02468][.](html|css|js|json)$" {{ gzip_static on; }} }}
}}
"""


def web(name: str = "web") -> Path:
    """A capture of `CAPTURES`, made once: frames of at most 1,514 bytes, as on a cable."""
    parts, size = CAPTURES[name]
    path = DATA / f"{name}.pcap"
    if path.exists():
        return path
    for tool, package in (("nginx", "nginx-light"), ("curl", "curl"), ("ethtool", "ethtool"), ("ip", "iproute2")):
        if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            raise NoInput(f"making web traffic needs {tool} (Debian: {package})")
    if os.geteuid() != 0:
        raise NoInput("making web traffic needs root for network namespaces")
    print(f"bench: making {path.relative_to(ROOT)}", file=sys.stderr, flush=True)
    work = DATA / "web"
    shutil.rmtree(work, ignore_errors=True)
    (work / "site").mkdir(parents=True)
    wanted = urls(site(work / "site", parts), size)
    (work / "nginx.conf").write_text(settings(work))
    config = [f'url = "http://{ADDRESS}{url}"\noutput = "/dev/null"\n' for url in wanted]
    (work / "urls").write_text("compressed\nsilent\nfail-early\n" + "".join(config))
    fetch(work)
    (work / "web.pcap").rename(path)
    shutil.rmtree(work)
    return path


def fetch(work: Path) -> None:
    """Builds the two namespaces, serves the site in one, and fetches it from the other, captured there."""
    import sniffkit as sk

    here, there = f"skweb{os.getpid()}a", f"skweb{os.getpid()}b"
    nginx = f"nginx -p {work} -c {work}/nginx.conf -e {work}/error.log"
    spec = {
        "nodes": {here: {}, there: {"services": {"run": {"command": f"exec {nginx}", "tcp": 80}}}},
        "links": [{f"{here}/veth1": "10.233.0.1/24", f"{there}/veth2": f"{ADDRESS}/24"}],
    }
    with sk.lab(spec) as lab:
        for node, device in ((here, "veth1"), (there, "veth2")):
            lab[node].run(["ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off"])
        with sk.capture(f"{here}/veth1", write=work / "web.pcap") as live:
            lab[here].run(["curl", "--parallel", "--parallel-max", str(CONNECTIONS), "-K", f"{work}/urls"])
        if lost := sum(point.dropped for point in live.stats):
            raise NoInput(f"the capture of web traffic lost {lost} packets; try again")
