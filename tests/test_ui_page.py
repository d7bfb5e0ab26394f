"""What a browser makes of `sniffkit ui`'s page."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap
from setting import ROOT
from webpage import Browser, Page, browser_path

DEMO = ROOT / "captures" / "demo" / "demo.pcapng"
ROWS = "#rows tbody tr"
SNIFFKIT = f"{sys.executable} -m sniffkit"

pytestmark = pytest.mark.skipif(browser_path() is None, reason="needs a browser (Debian: chromium)")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with Page(str(DEMO)) as page:
        yield page


def test_packets_come_first_with_the_lines_of_read(browser: Browser, page: Page) -> None:
    browser.open(page.address)
    browser.wait_text(f"{ROWS}:nth-child(13)", "IP 10.0.0.10.37930 > 10.0.0.11.80: Flags [S]")
    assert browser.text("#count") == "46 rows"
    assert browser.text("#what") == str(DEMO)
    assert browser.text("#command") == f"sniffkit packets {DEMO}"
    assert page.token not in browser.js("location.href")
    assert browser.text("#problem") == ""


def test_a_row_opens_its_frame_and_a_layer_marks_its_bytes(browser: Browser, page: Page) -> None:
    browser.open(page.address)
    browser.wait_text(f"{ROWS}:nth-child(16)", "http")
    browser.click(f"{ROWS}:nth-child(16)")
    browser.wait_text("#about", "Frame 16")
    assert "Internet Protocol Version 4 (ip), 20 bytes at 14" in browser.text("#tree")
    browser.js("[...document.querySelectorAll('summary')].find(one => one.textContent.startsWith('Ethernet')).click()")
    assert browser.text("#bytes .on").replace("|", "").startswith("d68c6e1ca377eacbe57367b30800")
    browser.js("document.getElementById('rows').focus()")
    browser.press("ArrowDown")
    browser.wait_text("#about", "Frame 17")
    assert browser.text(f"{ROWS}[aria-selected]").startswith("17")
    browser.press("End")
    browser.wait_text("#about", "Frame 46")
    assert browser.text(f"{ROWS}[aria-selected]").startswith("46")
    browser.press("Home")
    browser.wait_text("#about", "Frame 1")
    browser.open(f"{page.address}&frame=17&uid=C17XnRfbBmUvfEBvl2")
    browser.wait_text("#about", "Frame 17")
    browser.js(
        "[...document.querySelectorAll('#about button')].find(one => one.textContent.startsWith('Follow')).click()"
    )
    browser.wait_text("#tree", "GET / HTTP/1.1")
    assert "orig" in browser.js("document.querySelector('.said').className")
    browser.js("[...document.querySelectorAll('#about button')].find(one => one.textContent == 'Its packets').click()")
    browser.wait_text("#count", "12 rows")


def test_heads_sort_cells_narrow_and_mistakes_are_told(browser: Browser, page: Page) -> None:
    browser.open(page.address)
    browser.wait_text("#count", "46 rows")
    click = "[...document.querySelectorAll('#rows th')].find(one => one.textContent.startsWith('frame_len')).click()"
    browser.js(click)
    browser.wait_text("#rows th", "frame_len ▲")
    browser.js(click)
    browser.wait_text(f"{ROWS}:first-child", "251")
    browser.click(f"{ROWS}:first-child td:nth-child(5)", times=2)
    browser.wait(lambda: browser.text("#count") == "6 rows")  # not 46
    assert browser.js("document.getElementById('where').value") == "ip_src = '10.0.42.11'"
    browser.click(f"{ROWS}:first-child td:nth-child(8)", times=2, shift=True)
    browser.wait_text("#count", "5 rows")
    browser.js("document.getElementById('where').value = 'x >'; document.querySelector('#ask button').click()")
    browser.wait_text("#problem", "--where 'x >': at column ")
    browser.js("document.getElementById('clear').click()")
    browser.wait_text("#count", "46 rows")
    assert browser.text("#problem") == ""


def test_an_address_leads_to_what_was_looked_at(browser: Browser, page: Page) -> None:
    browser.open(f"{page.address}&table=http&where=status_code+%3D+200&frame=16")
    browser.wait_text("#about", "Frame 16")
    browser.wait_text("#count", "2 rows")
    browser.open(f"{page.address}&table=sql")
    browser.wait_text("#rows td", "http")
    browser.open(f"{page.address}&table=stats")
    browser.wait_text("#rows", "packets_per_s")
    browser.js("section.value = 'io'; section.dispatchEvent(new Event('change', {bubbles: true}))")
    browser.wait_text("#chart svg text", "frames")
    assert browser.text("#command") == f"sniffkit stats --only io {DEMO}"
    assert "section=io" in browser.js("location.hash")


def test_the_row_that_an_address_leads_to_is_marked(browser: Browser, page: Page) -> None:
    chosen = f"{ROWS}[aria-selected]"
    browser.open(f"{page.address}&frame=46")
    browser.wait_text(chosen, "462026")
    box = f"document.querySelector({chosen!r}).getBoundingClientRect()"
    assert browser.js(f"{box}.bottom <= document.getElementById('rows').getBoundingClientRect().bottom + 1")
    browser.js("document.getElementById('rows').focus()")
    browser.press("ArrowUp")
    browser.wait_text("#about", "Frame 45")
    browser.open(f"{page.address}&frame=20&where={quote('ip_proto = 6 OR false')}")
    browser.wait_text(chosen, "202026")
    browser.open(f"{page.address}&frame=20&sort=frame_len")
    browser.wait_text(chosen, "202026")
    browser.open(f"{page.address}&table=flows&uid=C17XnRfbBmUvfEBvl2")
    browser.wait_text(chosen, "http")
    browser.open(f"{page.address}&frame=1&where=ip_proto+%3D+6")
    browser.wait_text("#about", "Frame 1")
    browser.wait_text("#count", "rows")
    assert browser.text(chosen) == ""
    assert browser.text("#problem") == ""


def test_a_late_answer_is_not_shown_on_another_tab(browser: Browser, page: Page) -> None:
    browser.open(f"{page.address}&table=sql&query=SELECT+count(*)+FROM+range(400000000)+WHERE+hash(range)%257=1")
    browser.click("[data-table=flows]")
    browser.wait_text("#count", "8 rows")
    browser.click("[data-table=packets]")
    browser.wait_text("#count", "46 rows")
    time.sleep(3)
    assert browser.text("#count") == "46 rows"
    assert "frame_number" in browser.text("#rows th")
    assert browser.text("#problem") == ""


def test_the_shown_command_gives_the_same_when_pasted(browser: Browser, page: Page) -> None:
    done = {}
    for name, query in (
        ("where", "where=service = 'http'  OR\n proto = 'a\x03\\b'&sort=ts DESC&table=flows"),
        ("sql", "table=sql&query=-- all\nSELECT 'a  b' AS a, count(*) AS n FROM flows"),
        ("stats", "table=stats&section=endpoints&layer=tcp"),
    ):
        browser.open(f"{page.address}&{quote(query, safe='&=')}")
        browser.wait(lambda: " rows" in browser.text("output"))
        command = browser.js("document.getElementById('command').innerText").replace("sniffkit", SNIFFKIT, 1)
        out = subprocess.run(["bash", "-c", f"{command} | tail -n +2"], capture_output=True, text=True, check=True)
        rows = browser.js("document.querySelectorAll('#rows tbody tr').length")
        done[name] = (rows, len(out.stdout.splitlines()))
    assert done == {"where": (2, 2), "sql": (1, 1), "stats": (4, 4)}


def test_without_the_token_the_page_says_so(browser: Browser, page: Page) -> None:
    browser.call("Page.navigate", url="about:blank")
    browser.wait(lambda: browser.js("location.href") == "about:blank")
    browser.call("Page.navigate", url=f"{page.base}#token=wrong")
    browser.wait_text("#problem", "the token is missing or wrong")


def test_markup_in_a_capture_is_text(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=alert(1)>.pcap"
    said = b"GET /<b>bold</b> HTTP/1.1\r\nHost: <img/src=x/onerror=document.title=1>\r\n\r\n"
    wrpcap(str(path), Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=5, dport=80, seq=1, flags="PA") / said)
    with Page(str(path)) as page:
        browser.open(f"{page.address}&table=http&frame=1")
        browser.wait_text(ROWS, "/<b>bold</b>")
        browser.wait_text(ROWS, "<img/src=x/onerror=document.title=1>")
        browser.wait_text("#about", "Frame 1")
        assert browser.js("document.querySelectorAll('img, b:not(#about b)').length") == 0
        assert browser.js("document.title") == "sniffkit"


def test_many_rows_can_be_scrolled_to_the_last(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "many.pcap"
    frame = bytes(Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2))
    record = bytes(8) + len(frame).to_bytes(4, "little") * 2 + frame
    count = 450_000  # taller than browsers let an element be
    head = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000")
    path.write_bytes(head + record * count)
    with Page(str(path)) as page:
        browser.open(page.address)
        browser.wait_text("#count", "450,000 rows")
        browser.js("document.getElementById('rows').scrollTop = 1e9")
        browser.wait_text(f"{ROWS}:last-child", f"{count}1970")
        drawn = browser.js(f"document.querySelectorAll('{ROWS}').length")
        assert drawn < 60
        last = browser.js(f"document.querySelector('{ROWS}:last-child').getBoundingClientRect().bottom")
        assert last <= browser.js("document.getElementById('rows').getBoundingClientRect().bottom")
        browser.js("document.getElementById('rows').scrollTop = 4e6")
        browser.wait_text(ROWS, "22")
        numbers = browser.js(f"[...document.querySelectorAll('{ROWS}')].map(one => Number(one.cells[0].textContent))")
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        browser.click(f"{ROWS}:nth-child(5)")
        browser.wait_text("#about", f"Frame {numbers[4]}")
        with path.open("ab") as file:  # who reads in the middle stays there
            file.write(record * 100_000)
        browser.wait_text("#count", "550,000 rows")
        time.sleep(0.5)
        assert abs(browser.js(f"Number(document.querySelector('{ROWS}').cells[0].textContent)") - numbers[0]) < 3
        assert browser.text(f"{ROWS}[aria-selected]").startswith(str(numbers[4]))
