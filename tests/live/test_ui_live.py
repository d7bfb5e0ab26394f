"""`sniffkit ui -i IF`: a capture that is looked at while it goes on."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from livenet import Net, frame, numbers
from webpage import Page

import sniffkit as sk


def rows(page: Page, count: int) -> list[dict[str, Any]]:
    """The rows of packets, once there are `count`."""
    until = time.monotonic() + 15
    while (told := page.ask("tables/packets"))["total"] < count:
        assert time.monotonic() < until, told["total"]
        time.sleep(0.1)
    found: list[dict[str, Any]] = told["rows"]
    return found


def test_frames_are_on_the_page_while_they_come_and_saved_at_the_end(net: Net, tmp_path: Path) -> None:
    with Page("--netns", net.b, "-i", "veth2", "--dir", str(tmp_path), "udp") as page:
        assert page.ask("tables/packets")["total"] == 0
        net.send(frame(n) for n in range(5))
        found = rows(page, 5)
        assert [one["ip_id"] for one in found] == [0, 1, 2, 3, 4]
        assert {(one["netns"], one["interface"]) for one in found} == {(net.b, "veth2")}
        net.send(frame(n) for n in range(5, 8))
        assert len(rows(page, 8)) == 8
        assert page.ask("lines", frames="8")["8"].startswith("IP 10.231.0.1.4096 > 10.231.0.2.4097: UDP")
        live = page.ask("capture")["live"]
        assert live == {"points": [net.veth2], "frames": 8, "running": True, "why": []}
        code, said = page.end()
    assert (code, "8 packets captured" in said) == (0, True)
    (path,) = tmp_path.glob("*.pcapng")
    assert numbers(path) == list(range(8))
    assert (tmp_path / path.name.replace(".pcapng", ".flows.parquet")).exists()


def test_the_page_stops_the_capture_and_still_answers(net: Net, tmp_path: Path) -> None:
    with Page("-i", net.veth1, "-i", net.veth2, "-w", str(tmp_path / "both.pcapng"), "udp") as page:
        net.send([frame(1)])
        rows(page, 2)
        live = {"points": [net.veth1, net.veth2], "frames": 2, "running": False, "why": []}
        assert page.ask("stop", "POST")["live"] == live
        net.send([frame(2)])
        assert len(rows(page, 2)) == 2
        assert page.ask("stats/summary")["rows"][0]["packets"] == 2
        code, _ = page.end(signal.SIGTERM)
    assert code == 0
    assert sk.open(tmp_path / "both.pcapng").packets(["ts"]).to_arrow().num_rows == 2


def test_a_file_that_was_removed_meanwhile_is_not_said_to_be_written(net: Net, tmp_path: Path) -> None:
    with Page("-i", net.veth2, "-w", str(path := tmp_path / "x.pcapng")) as page:
        path.unlink()
        code, said = page.end()
    assert (code, "wrote" in said, f"{path}: is not there" in said) == (1, False, True)


def test_a_capture_of_somebody_else_grows_on_the_page(net: Net, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pcapng"
    with sk.capture(net.veth2, filter="udp", write=path) as live, Page(str(path)) as page:
        net.send([frame(1)])
        assert live.wait_for(1)
        assert len(rows(page, 1)) == 1
        net.send([frame(2), frame(3)])
        assert [one["ip_id"] for one in rows(page, 3)] == [1, 2, 3]


def test_an_interface_that_goes_ends_the_capture_with_exit_1(own_net: Net, tmp_path: Path) -> None:
    with Page("-i", own_net.veth2, "-w", str(tmp_path / "x.pcapng"), "udp") as page:
        own_net.send([frame(1)])
        rows(page, 1)
        own_net.run(own_net.b, "ip", "link", "del", "veth2")
        until = time.monotonic() + 10
        while page.ask("capture")["live"]["running"]:
            assert time.monotonic() < until
            time.sleep(0.1)
        (why,) = page.ask("capture")["live"]["why"]
        assert why.startswith(f"{own_net.veth2}: the interface has gone")
        assert len(rows(page, 1)) == 1
        code, said = page.end()
    assert (code, "what came before is kept" in said) == (1, True)
