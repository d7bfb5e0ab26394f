"""`sniffkit ui …` in a process of its own: asked over HTTP, and looked at with a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from captures.wire import SECOND, T0, Frame, eth, ip4, pcap, udp


def burst_at_the_end(seconds: int) -> bytes:
    """A capture of a frame a second, 20 a second in the last 100 s."""
    data = eth(0x0800, ip4("10.0.0.1", "10.0.0.2", 17, udp("10.0.0.1", 1, "10.0.0.2", 2, b"")))
    times = [T0 + at * SECOND // 20 for at in range(20 * seconds) if at % 20 == 0 or at >= 20 * (seconds - 100)]
    return pcap([Frame(time, data) for time in times])


class Page:
    """The command, past the line with its address."""

    def __init__(self, *arguments: str, **options: Any) -> None:
        command = [sys.executable, "-m", "sniffkit", "ui", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, restore_signals=True, **options
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        if not self.address:
            raise AssertionError(f"no address: {self.process.communicate()[1]}")
        self.base, _, self.token = self.address.partition("#token=")

    def fetch(self, path: str, token: str | None = None, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; token: another one than the page's."""
        wanted = {"Authorization": f"Bearer {self.token if token is None else token}"}
        request = urllib.request.Request(self.base + path, headers=wanted, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def ask(self, path: str, method: str = "GET", **query: Any) -> Any:
        """What the page is told; an error as {"error": its line}."""
        status, _, body = self.fetch(f"api/{path}?{urllib.parse.urlencode(query)}", method=method)
        said = json.loads(body)
        assert ("error" in said) == (status != 200), said
        return said

    def end(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Send a signal, wait; exit code and standard error."""
        self.process.send_signal(how)
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def browser_path() -> str | None:
    """A browser that can be driven, if there is one."""
    return shutil.which("chromium") or shutil.which("google-chrome")


class Browser:
    """A browser without a window, driven by the DevTools protocol."""

    def __init__(self, profile: Path) -> None:
        path = browser_path()
        assert path is not None
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1500,900"]  # root has no sandbox
        self.process = subprocess.Popen(
            [path, *flags, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.loop, self.calls = asyncio.new_event_loop(), 0
        port = profile / "DevToolsActivePort"
        self.wait(lambda: port.exists() and len(port.read_text().splitlines()) == 2, 30)
        with urllib.request.urlopen(f"http://127.0.0.1:{port.read_text().splitlines()[0]}/json") as answer:
            pages = [one for one in json.load(answer) if one["type"] == "page"]
        self.socket = self.loop.run_until_complete(self._connect(pages[0]["webSocketDebuggerUrl"]))

    async def _connect(self, address: str) -> Any:
        from tornado.websocket import websocket_connect

        return await websocket_connect(address, max_message_size=1 << 28)

    def call(self, method: str, **parameters: Any) -> Any:
        """A method of the DevTools protocol."""
        self.calls += 1
        request = json.dumps({"id": self.calls, "method": method, "params": parameters})

        async def go() -> Any:
            await self.socket.write_message(request)
            while (answer := json.loads(await self.socket.read_message())).get("id") != self.calls:
                continue
            return answer["result"]

        return self.loop.run_until_complete(go())

    def open(self, address: str) -> None:
        """Load a page, also where only what is behind the # differs from the one before."""
        self.call("Page.navigate", url="about:blank")
        self.wait(lambda: self.js("location.href") == "about:blank")
        self.call("Page.navigate", url=address)
        self.wait(lambda: self.js("document.querySelectorAll('#tabs button').length") > 0)

    def js(self, code: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """The text of the elements that are shown, joined by |."""
        found: str = self.js(
            f"[...document.querySelectorAll({json.dumps(selector)})].filter(one => one.checkVisibility())"
            ".map(one => one.textContent).join('|')"
        )
        return found

    def click(self, selector: str, times: int = 1, shift: bool = False, pause: float = 0) -> None:
        """Press and release the mouse in the middle of the first element that matches, as a hand does.

        pause: s behind each click.
        """
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.js(f"(box => [box.x + box.width / 2, box.y + box.height / 2])({box})")
        at = {"x": x, "y": y, "button": "left", "modifiers": 8 if shift else 0}
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, clickCount=count, **at)
            time.sleep(pause)

    def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def wait(self, true: Any, seconds: float = 20) -> None:
        """Until `true()`."""
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(KeyError):  # between two pages there is no answer
                if true():
                    return
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.05)

    def wait_text(self, selector: str, wanted: str) -> None:
        """Until the text of the elements holds `wanted`."""
        until = time.monotonic() + 20
        while wanted not in (text := self.text(selector)):
            assert time.monotonic() < until, text
            time.sleep(0.05)

    def close(self) -> None:
        self.socket.close()
        self.process.terminate()
        self.process.wait(20)
        self.loop.close()
