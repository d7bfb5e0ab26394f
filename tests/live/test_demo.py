"""`make demo`: the flow table of its traffic, and that nothing of it stays, whenever it is interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import sniffkit as sk

DEMO = Path(__file__).resolve().parents[2] / "scripts" / "demo.py"
MARK = "SNIFFKIT_DEMO_TEST"


class Stage:
    """A place for one run of the demo: everything that it writes or starts can be found again."""

    def __init__(self, place: Path) -> None:
        self.kept, self.temporary = place / "kept", place / "temporary files"
        self.kept.mkdir()
        self.temporary.mkdir()
        self.mark = f"{MARK}={place}"
        self.text = ""

    def start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "TMPDIR": str(self.temporary), MARK: self.mark.partition("=")[2]}
        return subprocess.Popen(
            [sys.executable, str(DEMO), "--dir", str(self.kept)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def left(self) -> list[str]:
        """What is still there of a demo that has ended, apart from the files that it keeps."""
        found = [str(path) for path in self.temporary.rglob("*")]
        found += [f"namespace {name}" for name in self.namespaces() if Path("/run/netns", name).exists()]
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if self.mark.encode() in environ.read_bytes().split(b"\0"):
                    found.append(f"process {(environ.parent / 'cmdline').read_bytes()!r}")
            except OSError:  # it has ended meanwhile
                continue
        return found

    def namespaces(self) -> tuple[str, ...]:
        said = re.search(r"^Two network namespaces, (\S+) and (\S+), ", self.text, re.MULTILINE)
        return said.groups() if said else ()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_the_demo_captures_every_kind_of_traffic_and_cleans_up(stage: Stage) -> None:
    demo = stage.start()
    stage.text, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0, stage.text
    assert stage.left() == []
    assert sorted(path.name for path in stage.kept.iterdir()) == ["demo.parquet", "demo.pcapng"]
    flows = sk.open(stage.kept / "demo.pcapng").flows().to_pandas()
    key = ["proto", "orig_h", "resp_h", "vlan", "vni", "service"]
    rows = flows[key].astype(object).where(flows[key].notna(), None)
    seen = {tuple(row): number for number, row in enumerate(rows.itertuples(index=False))}
    base, tagged, inner = (("10.0.0.10", "10.0.0.11"), ("10.0.100.10", "10.0.100.11"), ("10.0.42.10", "10.0.42.11"))
    for kind in (
        ("arp", *base, None, None, None),
        ("icmp", *base, None, None, None),
        ("udp", *base, None, None, "dns"),
        ("tcp", *base, None, None, "http"),
        ("arp", *tagged, 100, None, None),
        ("icmp", *tagged, 100, None, None),
        ("arp", *inner, None, 42, None),
        ("tcp", *inner, None, 42, "http"),
    ):
        assert kind in seen, f"{kind} is not among\n{rows}"
        flow = flows.iloc[seen[kind]]
        if kind[0] == "icmp":
            assert (flow.orig_pkts, flow.resp_pkts) == (3, 3)
            assert (flow.orig_bytes, flow.resp_bytes) == (3 * (98 + (4 if kind[3] else 0)),) * 2
        elif kind[0] == "tcp":
            assert (flow.conn_state, flow.resp_payload_bytes > 0) == ("SF", True)
        elif kind[0] == "udp":
            assert (flow.orig_pkts, flow.resp_pkts) == (2, 2), "one question for A, one for AAAA, both answered"
    for name in ("10.0.100.11", "10.0.42.11", "http", "dns"):
        assert f" {name} " in stage.text, "the table that the demo prints"


# The demo has just printed this line when the signal comes.
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("Two network namespaces", signal.SIGINT),
        ("  $ sniffkit capture", signal.SIGINT),
        ("DNS and HTTP", signal.SIGINT),
        ("VXLAN:", signal.SIGTERM),
        ("  $ sniffkit flows", signal.SIGINT),
    ],
)
def test_interrupted_the_demo_leaves_nothing(stage: Stage, moment: str, number: int) -> None:
    demo = stage.start()
    assert demo.stdout is not None
    try:
        for line in demo.stdout:
            stage.text += line
            if line.startswith(moment):
                break
        os.killpg(demo.pid, number)
        stage.text += demo.communicate(timeout=30)[0]
    finally:
        demo.kill()
    assert demo.returncode == 128 + number, stage.text
    assert "Traceback" not in stage.text
    assert stage.left() == []
    assert list(stage.kept.iterdir()) == []


def test_namespaces_of_others_stay_untouched(stage: Stage) -> None:
    theirs = [name for name in ("ns1", "ns2") if not Path("/run/netns", name).exists()]
    try:
        for name in theirs:
            subprocess.run(["ip", "netns", "add", name], check=True)
        inodes = [Path("/run/netns", name).stat().st_ino for name in theirs]
        demo = stage.start()
        stage.text, _ = demo.communicate(timeout=60)
        assert demo.returncode == 0, stage.text
        assert not {"ns1", "ns2"} & set(stage.namespaces())
        assert "ns1" in stage.text.splitlines()[0]
        assert stage.left() == []
        assert [Path("/run/netns", name).stat().st_ino for name in theirs] == inodes
    finally:
        for name in theirs:
            subprocess.run(["ip", "netns", "delete", name], check=False)
