"""What a browser makes of `sniffkit ui`'s page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap
from setting import ROOT
from webpage import Browser, Page, browser_path

DEMO = ROOT / "captures" / "demo" / "demo.pcapng"
ROWS = "#rows tbody tr"

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
    browser.js(f"document.querySelector('{ROWS}:nth-child(16)').click()")
    browser.wait_text("#about", "Frame 16")
    assert "Internet Protocol Version 4 (ip), 20 bytes at 14" in browser.text("#tree")
    browser.js("[...document.querySelectorAll('summary')].find(one => one.textContent.startsWith('Ethernet')).click()")
    assert browser.text("#bytes .on").replace("|", "").startswith("d68c6e1ca377eacbe57367b30800")
    browser.js("document.getElementById('rows').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowDown'}))")
    browser.wait_text("#about", "Frame 17")
    browser.js(
        "[...document.querySelectorAll('#about button')].find(one => one.textContent.startsWith('Follow')).click()"
    )
    browser.wait_text("#tree", "GET / HTTP/1.1")
    assert "orig" in browser.js("document.querySelector('.said').className")


def test_heads_sort_cells_narrow_and_mistakes_are_told(browser: Browser, page: Page) -> None:
    browser.open(page.address)
    browser.wait_text("#count", "46 rows")
    click = "[...document.querySelectorAll('#rows th')].find(one => one.textContent.startsWith('frame_len')).click()"
    browser.js(click)
    browser.wait_text("#rows th", "frame_len ▲")
    browser.js(click)
    browser.wait_text(f"{ROWS}:first-child", "251")
    browser.js(f"document.querySelector('{ROWS}:first-child').cells[4].dispatchEvent(new MouseEvent('dblclick'))")
    browser.wait_text("#command", "ip_src = '\\''10.0.42.11'\\''' --sort 'frame_len DESC'")
    browser.wait_text("#count", "6 rows")
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
    browser.wait_text("#rows", "http")
    browser.open(f"{page.address}&table=stats")
    browser.wait_text("#rows", "packets_per_s")
    browser.js("section.value = 'io'; section.dispatchEvent(new Event('change', {bubbles: true}))")
    browser.wait_text("#rows svg text", "frames")
    assert browser.text("#command") == f"sniffkit stats --only io {DEMO}"


def test_without_the_token_the_page_says_so(browser: Browser, page: Page) -> None:
    browser.call("Page.navigate", url="about:blank")
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
