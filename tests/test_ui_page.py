"""What a browser makes of `sniffkit ui`'s page."""

from __future__ import annotations

import os
import shutil
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


def test_what_was_typed_stays_until_it_is_run(browser: Browser, page: Page) -> None:
    typed = "[...document.querySelectorAll('#filter, #where, #query')].map(one => one.value)"
    browser.open(f"{page.address}&filter=udp+port+53&query=SELECT+1+AS+a")
    browser.wait_text("#count", "4 rows")
    assert browser.js(typed) == ["udp port 53", "", "SELECT 1 AS a"]
    browser.js("filter.value = 'tcp'; where.value = 'frame_len > 66'; query.value = 'SELECT 42 AS answer'")
    browser.js("document.getElementById('all').click()")
    browser.wait_text("#rows th", "tcp_seq")
    browser.click("#rows th")
    browser.wait_text("#rows th", "frame_number ▲")
    browser.wait_text("#count", "4 rows")
    assert browser.js(typed) == ["tcp", "frame_len > 66", "SELECT 42 AS answer"]
    drafts = "[...document.querySelectorAll('.draft')].map(one => one.id + ' ' + one.title)"
    assert browser.js(drafts) == ["filter not run yet", "where not run yet", "query not run yet"]
    browser.click("[data-table=sql]")
    browser.wait_text("#rows", "a1")  # what was run last
    assert "SELECT 1 AS a" in browser.text("#command")
    assert browser.js(typed) == ["tcp", "", "SELECT 42 AS answer"]
    browser.js("document.querySelector('#asksql button').click()")
    browser.wait_text("#rows", "answer42")
    assert browser.js(drafts) == ["filter not run yet"]


def test_rows_are_chosen_and_heads_sort_by_keys_alone(browser: Browser, page: Page) -> None:
    browser.open(page.address)
    browser.wait_text("#count", "46 rows")
    browser.js("document.getElementById('rows').focus()")
    browser.press("ArrowDown")
    browser.wait_text("#about", "Frame 1")
    browser.js("[...document.querySelectorAll('#about button')].at(-1).click()")
    assert browser.text("#about") == ""
    assert "frame" not in browser.js("location.hash")
    browser.press("Enter")
    browser.wait_text("#about", "Frame 1")
    browser.js("document.querySelector('#rows th').focus()")
    for mark in (" ▲", " ▼"):
        browser.press("Enter")
        browser.wait_text("#rows th", f"frame_number{mark}")
        assert browser.js("document.activeElement.textContent") == f"frame_number{mark}"
    browser.wait_text(f"{ROWS}[aria-selected]", "12026")
    browser.press("Home")
    browser.wait_text("#about", "Frame 46")


def test_the_frame_below_is_that_of_the_marked_row_after_fast_keys(browser: Browser, tmp_path: Path) -> None:
    many(path := tmp_path / "many.pcap", 20_000)
    with Page(str(path)) as page:
        browser.open(page.address)
        browser.wait_text("#count", "20,000 rows")
        browser.wait_text(f"{ROWS}:first-child", "IP ")
        press = "rows.dispatchEvent(new KeyboardEvent('keydown', {key: 'PageDown', bubbles: true}))"
        browser.js(f"for (let at = 0; at < 60; at++) {press}")
        number = "document.querySelector('#rows tr[aria-selected]')?.cells[0].textContent"
        browser.wait(lambda: browser.js(f"document.querySelector('#about b')?.textContent === 'Frame ' + {number}"))
        assert int(browser.js(number)) > 600
        assert f"frame={browser.js(number)}" in browser.js("location.hash")


def test_a_narrow_window_shows_tree_and_bytes(browser: Browser, page: Page) -> None:
    try:
        browser.call("Emulation.setDeviceMetricsOverride", width=480, height=800, deviceScaleFactor=1, mobile=False)
        browser.open(f"{page.address}&frame=16")
        browser.wait_text("#about", "Frame 16")
        size = "(one => [one.offsetWidth, one.offsetHeight])(document.getElementById({!r}))"
        sizes = [browser.js(size.format(name)) for name in ("tree", "bytes")]
        assert all(width == 480 and height > 100 for width, height in sizes)
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")


def test_null_is_the_last_however_rows_are_sorted(browser: Browser, page: Page) -> None:
    browser.open(f"{page.address}&table=sql&query=SELECT+*+FROM+(VALUES+(2),(NULL),(3))+t(a)")
    browser.wait_text("#count", "3 rows")
    for drawn in ("2|3|", "3|2|"):
        browser.click("#rows th")
        browser.wait(lambda drawn=drawn: browser.text(f"{ROWS} td") == drawn)


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


def test_an_address_that_leads_nowhere_says_so(browser: Browser, page: Page) -> None:
    for address, count, said in (
        ("table=packets&frame=99999", "46 rows", ("Frame 99999", "there is no frame 99999")),
        ("table=flows&uid=Cnope", "8 rows", ("Flow Cnope", "there is no flow Cnope")),
        ("table=flows&uid=C05fF86lKQM1sORMvM", "8 rows", ("Flow C05fF86lKQM1sORMvM", "Nothing was said in it")),
    ):
        browser.open(f"{page.address}&{address}")
        browser.wait_text("#count", count)
        browser.wait_text("#about", said[0])
        assert said[1] in browser.text("#tree")


def test_the_tab_and_the_order_of_rows_are_told_to_screen_readers(browser: Browser, page: Page) -> None:
    browser.open(f"{page.address}&sort=ts+DESC")
    browser.wait_text("#count", "46 rows")
    current = "[...document.querySelectorAll('[aria-current]')].map(one => [one.textContent, one.ariaCurrent])"
    order = "[...document.querySelectorAll('[aria-sort]')].map(one => [one.textContent, one.ariaSort])"
    assert browser.js(current) == [["packets", "page"]]
    assert browser.js(order) == [["ts ▼", "descending"]]
    browser.click("[data-table=flows]")
    browser.wait_text("#count", "8 rows")
    assert browser.js(current) == [["flows", "page"]]
    assert browser.js(order) == []
    browser.click("#rows th")
    browser.wait_text("#rows th", "ts ▲")
    assert browser.js(order) == [["ts ▲", "ascending"]]


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


def test_characters_that_turn_text_around_are_named(browser: Browser, page: Page) -> None:
    query = "SELECT 'gpj.\u202eexe' AS a, 'é\x07\U000e0041' AS b"
    browser.open(f"{page.address}&table=sql&query={quote(query)}")
    browser.wait_text(f"{ROWS} td", r"gpj.\u202eexe|é\x07\U000e0041")
    assert browser.text("#command").startswith(r"sniffkit sql $'SELECT \'gpj.\u202eexe\' AS a")


def test_two_clicks_narrow_though_the_first_one_opens_what_covers_the_row(browser: Browser, page: Page) -> None:
    browser.open(page.address)
    browser.wait_text(f"{ROWS}:nth-child(30)", "IP ")
    browser.click(f"{ROWS}:nth-child(30) td:nth-child(5)", times=2, pause=0.2)
    browser.wait(lambda: browser.js("document.getElementById('where').value") == "ip_src = '10.0.100.11'")
    browser.wait_text("#about", "Frame 30")


def test_sql_answers_keep_their_digits_and_are_sorted_as_they_are(browser: Browser, page: Page) -> None:
    numbers = ("9007199254740993", "9007199254740992", "-0.50", "1.0", "18446744073709551615", "0.1234567890123456789")
    values = ", ".join(f"({one}::decimal(38, 2), random(), {{'a': 9007199254740993}})" for one in numbers[:5])
    query = f"SELECT a, b, c, {numbers[5]}::decimal(38, 19) AS d FROM (VALUES {values}) t(a, b, c)"
    browser.open(f"{page.address}&table=sql&query={quote(query)}")
    browser.wait_text("#count", "5 rows")
    browser.wait_text(
        f"{ROWS} td:first-child", "9007199254740993.00|9007199254740992.00|-0.50|1.00|18446744073709551615.00"
    )
    assert browser.text(f"{ROWS}:first-child td:nth-child(n + 3)") == '{"a":9007199254740993}|0.1234567890123456789'
    assert browser.js("document.querySelector('#rows td').className") == "number"
    drawn = set(browser.text(f"{ROWS} td:nth-child(2)").split("|"))
    browser.click("#rows th")
    browser.wait_text("#rows th", "a ▲")
    in_order = "-0.50|1.00|9007199254740992.00|9007199254740993.00|18446744073709551615.00"
    assert browser.text(f"{ROWS} td:first-child") == in_order
    assert set(browser.text(f"{ROWS} td:nth-child(2)").split("|")) == drawn  # it was not asked again
    browser.js(
        "query.value = 'SELECT uid, ts FROM flows WHERE false'; document.querySelector('#asksql button').click()"
    )
    browser.wait_text("#count", "0 rows")
    browser.wait_text("#rows th", "uid|ts")


def test_of_rows_that_are_alike_one_is_chosen(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "pipelined.pcap"
    said = b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(4))
    wrpcap(str(path), Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=5, dport=80, seq=1, flags="PA") / said)
    with Page(str(path)) as page:
        for table in ("http", "sql&query=SELECT+1+FROM+http"):
            browser.open(f"{page.address}&table={table}")
            browser.wait_text("#count", "4 rows")
            browser.wait(lambda: browser.js(f"document.querySelectorAll('{ROWS}').length") == 4)
            browser.click(f"{ROWS}:nth-child(3)")
            marks = browser.js(f"[...document.querySelectorAll('{ROWS}')].map(one => one.ariaSelected)")
            assert marks == [None, None, "true", None]


def test_a_name_that_is_no_text_is_shown_and_pasted(browser: Browser, tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/n\xff'\xe9.pcapng")
    shutil.copy(DEMO, path)
    with Page(path) as page:
        browser.open(f"{page.address}&table=dns")
        browser.wait_text("#count", "2 rows")
        assert browser.text("#what").endswith(r"/n\xff'\xe9.pcapng")
        command = browser.js("document.getElementById('command').innerText").replace("sniffkit", SNIFFKIT, 1)
        out = subprocess.run(
            ["bash", "-c", f"{command} | tail -n +2"], capture_output=True, text=True, check=True
        ).stdout
        assert len(out.splitlines()) == 2


def many(path: Path, count: int) -> bytes:
    """Writes a capture of that many frames that are alike; the bytes of one."""
    frame = bytes(Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2))
    record = bytes(8) + len(frame).to_bytes(4, "little") * 2 + frame
    head = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000")
    path.write_bytes(head + record * count)
    return record


def test_rows_that_are_passed_by_have_their_lines_in_the_end(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "many.pcap"
    many(path, 300_000)
    with Page(str(path)) as page:
        browser.open(page.address)
        browser.wait_text("#count", "300,000 rows")
        browser.wait_text(f"{ROWS}:first-child", "IP ")
        tops = [20 * row for row in range(150_010, 151_210, 200)]
        for top in tops:  # faster than lines come
            browser.js(f"document.getElementById('rows').scrollTop = {top}")
            time.sleep(0.15)
        for top in [*reversed(tops), 250_190 * 20]:  # the last shows two blocks
            browser.js(f"document.getElementById('rows').scrollTop = {top}")
            blank = f"[...document.querySelectorAll('{ROWS}')].filter(one => !one.lastChild.textContent).length"
            browser.wait_text(f"{ROWS}:first-child td:first-child", str(top // 20 + 1))
            browser.wait(lambda blank=blank: browser.js(blank) == 0)


def test_many_rows_can_be_scrolled_to_the_last(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "many.pcap"
    count = 450_000  # taller than browsers let an element be
    record = many(path, count)
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
