"""What a browser makes of the statistics on `sniffkit ui`'s page."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap
from webpage import Browser, Page, browser_path, burst_at_the_end

ROWS = "#rows tbody tr"

pytestmark = pytest.mark.skipif(browser_path() is None, reason="needs a browser (Debian: chromium)")


def test_statistics_of_a_capture_that_grows_stay_where_they_are_read(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "grows.pcap"
    frames = [
        Ether() / IP(src=f"10.0.{n // 250}.{n % 250}", dst="10.1.0.1") / TCP(sport=1, dport=2) for n in range(500)
    ]
    wrpcap(str(path), frames[:499])
    with Page(str(path)) as page:
        browser.open(f"{page.address}&table=stats&section=endpoints")
        browser.wait_text("#count", "500 rows")
        browser.js("document.getElementById('rows').scrollTop = 3000")
        wrpcap(str(path), frames[499:], append=True)
        browser.wait_text("#count", "501 rows")
        time.sleep(0.5)
        assert browser.js("document.getElementById('rows').scrollTop") == 3000
        with path.open("ab") as file:
            file.write(b"\1\2\3")
        browser.wait_text("#problem", "grows.pcap: at byte")


def test_the_chart_shows_the_whole_time_in_steps_that_it_names(browser: Browser, tmp_path: Path) -> None:
    (path := tmp_path / "long.pcap").write_bytes(whole := burst_at_the_end(2_500))
    path.write_bytes(whole[: 24 + 3 * len(whole[24:]) // 4400])  # of 4,400 frames the first three
    with Page(str(path)) as page:
        browser.open(f"{page.address}&table=stats&section=io")
        browser.wait_text("#chart svg text", "1 frames per 1 s|3 s")
        path.write_bytes(whole)
        browser.wait_text("#chart svg text", "200 frames per 10 s|2500 s")
        assert browser.js("document.querySelector('#chart svg').getAttribute('role')") == "img"
        said = browser.js("document.querySelector('#chart svg').ariaLabel")
        assert said == "Frames over 2500 s, at most 200 per 10 s"
        heights = browser.js("[...document.querySelectorAll('rect')].map(one => Number(one.getAttribute('height')))")
        assert (len(heights), heights.index(max(heights))) == (250, 240)
        browser.click("#rows th")
        browser.wait_text("#rows th", "start ▲")
        assert browser.text("#command") == f"sniffkit stats --only io --interval 10 {path}"
        browser.click("[data-table=flows]")
        browser.wait_text("#count", "1 rows")
        assert browser.text("#command") == f"sniffkit flows {path}"


def test_statistics_of_a_capture_that_was_empty_are_numbers(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "begins.pcap"
    frame = Ether() / IP(src="10.0.0.1", dst="10.1.0.1") / TCP(sport=1, dport=2)
    wrpcap(str(path), [frame])
    whole = path.read_bytes()
    path.write_bytes(whole[:24])
    with Page(str(path)) as page:
        browser.open(f"{page.address}&table=stats&section=hierarchy")
        browser.wait_text("#count", "0 rows")
        path.write_bytes(whole)
        browser.wait(lambda: browser.js("document.querySelectorAll('#rows td.number').length > 0"))


def test_statistics_are_sorted_before_they_are_cut(browser: Browser, tmp_path: Path) -> None:
    frames = [
        Ether() / IP(src=f"10.0.{n // 250}.{n % 250}", dst="10.1.0.1") / TCP(sport=1, dport=2) / bytes(2_200 - n)
        for n in range(2_200)
    ]
    wrpcap(str(path := tmp_path / "many.pcap"), frames)
    with Page(str(path)) as page:
        browser.open(f"{page.address}&table=stats&section=conversations")
        browser.wait_text("#count", "2,000 rows, and there are more")
        browser.js("[...document.querySelectorAll('#rows th')].find(one => one.textContent === 'start').focus()")
        browser.press("Enter")
        browser.press("Enter")
        browser.wait_text("#rows th", "start ▼")
        browser.wait_text(f"{ROWS}:first-child", "10.0.8.199")
        assert browser.js("document.activeElement.textContent") == "start ▼"
        browser.wait_text("#count", "2,000 rows, and there are more")
        browser.press("Enter")
        browser.wait_text(f"{ROWS}:first-child", "10.0.0.0")
        told = page.ask("stats/endpoints", sort="bytes")["rows"]
        assert told[0]["bytes"] == 55
        assert page.ask("stats/endpoints", sort="none DESC")["rows"][0]["address"] == "10.1.0.1"
